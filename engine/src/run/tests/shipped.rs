//! The shipped recovery runbook, on kinds of its names that remember what they did, killed at every boundary of its
//! journal and resumed.

use std::sync::Arc;

use serde_json::{Value, json};

use super::rig::Seen;
use super::support::{RUN, runner};
use crate::compile::CompileInput;
use crate::document::Source;
use crate::journal::{MemoryJournal, NoFence, Outcome, Record};
use crate::plan::Plan;
use crate::run::{
    Cancellation, NoLogs, Resume, RunEnd, RunOptions, RunRequest, RunState, Unattended, execute, resume,
};
use crate::step::{Effect, Registry};
use crate::testing::{self, FakeWorld, ScriptedStep};
use crate::{environment, preview, runbook};

const RUNBOOK: &str = include_str!("../../../../runbooks/disaster-recovery.yaml");

const ENVIRONMENT: &str = "apiVersion: rekindle/v1
kind: Environment
name: production
targets:
  primary: { host: db-0, user: root, password: { secret: root } }
  replica-0: { host: db-1, user: root, password: { secret: root } }
  replica-1: { host: db-2, user: root, password: { secret: root } }
stores:
  primary: { url: \"file:///backups\" }
secrets:
  root: { env: ROOT }
  replication: { env: REPLICATION }
values: { replicas: [replica-0, replica-1], provision: sandbox, reseed_replicas: true }
";

/// The world of one recovery: it outlives the processes that drive it.
struct Recovery {
    fakes: FakeWorld,
    kinds: Vec<ScriptedStep>,
    plan: Arc<Plan>,
}

impl Recovery {
    async fn new() -> Self {
        let kind = |name, effect, outputs: Value| {
            ScriptedStep::new(name, effect).outputs(outputs).probes_truthfully()
        };
        let kinds = vec![
            kind(
                "backup.find",
                Effect::Read,
                json!({ "uri": "backup://primary/production/x", "flavour": "mariadb" }),
            ),
            kind("mysql.sandbox", Effect::Write, json!({ "pid": 1 })),
            kind("mysql.wait-ready", Effect::Read, json!({ "version": "10.11" })),
            kind("mysql.restore", Effect::Destroy, json!({ "gtid": "0-1-42" })),
            kind("mysql.reset-replication", Effect::Destroy, json!({ "caught_up_seconds": 1 })),
            kind("mysql.assert", Effect::Read, json!({ "tables": 6 })),
            kind("report.write", Effect::Write, json!({ "files": ["report.md"] })),
        ];
        let fakes = testing::world();
        let runbook = runbook::parse(&Source::new("disaster-recovery.yaml", RUNBOOK)).unwrap();
        let environment = environment::parse(&Source::new("production.yaml", ENVIRONMENT)).unwrap();
        let input = CompileInput {
            runbook: &runbook,
            environment: &environment,
            overrides: &[],
            registry: &registry(&kinds),
            pinned: &[],
        };
        let plan = Arc::new(preview::prepare(&input, &fakes.world).await.unwrap().plan);
        Self { fakes, kinds, plan }
    }

    fn journal(&self, records: Vec<Record>) -> MemoryJournal {
        MemoryJournal::with(self.fakes.clock.clone(), records)
    }

    fn request(&self, journal: Arc<MemoryJournal>, pid: u32) -> RunRequest {
        RunRequest {
            plan: Arc::clone(&self.plan),
            earlier: Vec::new(),
            run: RUN.into(),
            registry: registry(&self.kinds),
            world: self.fakes.world.clone(),
            journal,
            fence: Arc::new(NoFence),
            observer: Arc::new(Seen::default()),
            logs: Arc::new(NoLogs),
            approvals: Unattended::shared(),
            cancellation: Cancellation::default(),
            options: RunOptions { jobs: 4, grace: RunOptions::GRACE, runner: runner(pid), commit: None },
        }
    }

    /// What the world is like: every effect, in order of step.
    fn effects(&self) -> Vec<String> {
        let mut effects: Vec<String> = self.kinds.iter().flat_map(ScriptedStep::effects).collect();
        effects.sort();
        effects
    }
}

fn registry(kinds: &[ScriptedStep]) -> Registry {
    let mut registry = Registry::default();
    for kind in kinds {
        kind.register(&mut registry);
    }
    registry
}

fn end(plan: &Plan, records: &[Record]) -> (Option<Outcome>, Vec<(String, Option<Value>)>) {
    let mut state = RunState::new(plan);
    for record in records {
        state.apply(record).unwrap();
    }
    let outputs =
        plan.steps.iter().map(|step| (step.id.to_string(), state.outputs().get(&step.id).cloned())).collect();
    (state.outcome(), outputs)
}

#[tokio::test]
async fn the_shipped_recovery_killed_at_every_boundary_and_resumed_ends_the_same() {
    let undisturbed = Recovery::new().await;
    let journal = Arc::new(undisturbed.journal(Vec::new()));
    execute(undisturbed.request(Arc::clone(&journal), 1)).await.unwrap();
    let boundaries = journal.records().len();
    assert!(boundaries > 20, "{boundaries}");
    let wanted = end(&undisturbed.plan, &journal.records());
    assert_eq!(wanted.0, Some(Outcome::Succeeded));

    for boundary in 0..boundaries {
        let recovery = Recovery::new().await;
        let dying = Arc::new(recovery.journal(Vec::new()).fail_after(boundary));
        execute(recovery.request(Arc::clone(&dying), 1)).await.unwrap_err();
        let succeeded = end(&recovery.plan, &dying.records()).1;

        let journal = Arc::new(recovery.journal(dying.records()));
        let runs_before: Vec<usize> = succeeded.iter().map(|(step, _)| runs_of(&recovery, step)).collect();
        let is_alive = Arc::new(|_: &_| false);
        let ended = resume(
            recovery.request(Arc::clone(&journal), 2),
            Resume { decisions: Vec::new(), verdicts: Vec::new(), is_alive },
        )
        .await;

        assert!(
            matches!(ended, Ok(RunEnd::Finished { outcome: Outcome::Succeeded, .. })),
            "{boundary}: {ended:?}"
        );
        assert_eq!(end(&recovery.plan, &journal.records()), wanted, "killed after event {boundary}");
        assert_eq!(recovery.effects(), undisturbed.effects(), "killed after event {boundary}");
        for ((step, outputs), before) in succeeded.iter().zip(runs_before) {
            if outputs.is_some() {
                assert_eq!(runs_of(&recovery, step), before, "{step} ran again after event {boundary}");
            }
        }
    }
}

fn runs_of(recovery: &Recovery, step: &str) -> usize {
    recovery.kinds.iter().map(|kind| kind.runs_of(step)).sum()
}
