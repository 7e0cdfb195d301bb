//! A plan that has something of everything, for the tests of this crate.

use serde_json::json;

use super::{
    Edge, EdgeReason, Group, PLAN_FORMAT, Param, PinnedStep, Plan, PlanStep, RunbookIdentity, Section,
};
use crate::environment::{Objectives, Settings};
use crate::runbook::{OnConflict, OnCrash, Retry};
use crate::step::{Effect, Intent};
use crate::values::{DurationText, parse_duration};

pub(crate) fn duration(text: &str) -> DurationText {
    DurationText(parse_duration(text).unwrap())
}

/// A step without needs.
pub(crate) fn step(id: &str, kind: &str, effect: Effect, summary: &str) -> PlanStep {
    PlanStep {
        id: id.into(),
        definition: id.split('[').next().unwrap().into(),
        group: None,
        name: None,
        kind: kind.to_owned(),
        section: Section::Main,
        effect,
        params: Param::Value(json!({})),
        when: None,
        skipped: false,
        disabled: None,
        each: None,
        needs: Vec::new(),
        retry: None,
        timeout: None,
        deadline: None,
        max_parallel: None,
        continue_on_error: false,
        on_crash: OnCrash::Rerun,
        approval: None,
        intent: Intent { summary: summary.to_owned(), ..Intent::default() },
        with: None,
        location: None,
    }
}

pub(crate) fn needs(step: &str) -> Edge {
    Edge { step: step.into(), reason: EdgeReason::Declared }
}

pub(crate) fn refers(step: &str, reference: &str) -> Edge {
    Edge { step: step.into(), reason: EdgeReason::Inferred { reference: reference.to_owned() } }
}

/// A plan of these steps.
pub(crate) fn plan(steps: Vec<PlanStep>) -> Plan {
    let mut plan = Plan {
        format: PLAN_FORMAT,
        hash: String::new(),
        runbook: RunbookIdentity {
            name: "disaster-recovery".to_owned(),
            version: "1.2.0".to_owned(),
            summary: "Rebuild the cluster from the latest verified backup.".to_owned(),
            sha256: "0".repeat(64),
            requires: None,
        },
        origin: crate::plan::Origin::default(),
        settings: Settings {
            name: "production".to_owned(),
            objectives: Some(Objectives {
                rto: Some(duration("1h")),
                rpo: Some(duration("15m")),
                recovery_window: None,
            }),
            ..Settings::default()
        },
        values: json!({ "backup": "latest" }),
        concurrency: Some(Group { name: "recover/production".to_owned(), on_conflict: OnConflict::Fail }),
        pinned: Vec::new(),
        unpinned: Vec::new(),
        groups: indexmap::IndexMap::new(),
        steps,
    };
    plan.hash = plan.compute_hash();
    plan
}

/// The recovery runbook of the design, compiled by hand.
pub(crate) fn recovery() -> Plan {
    let mut wait_ready =
        step("wait-ready", "mysql.wait-ready", Effect::Read, "wait until primary accepts connections");
    wait_ready.needs = vec![needs("provision")];
    wait_ready.timeout = Some(duration("10m"));
    wait_ready.retry = Some(Retry {
        attempts: 5,
        delay: duration("2s"),
        backoff: 2.0,
        max_delay: duration("60s"),
        jitter: 0.1,
    });
    let mut restore = step(
        "restore",
        "mysql.restore",
        Effect::Destroy,
        "replace the databases of primary by file:backups/b1 (known after provision)",
    );
    restore.needs = vec![needs("wait-ready"), refers("provision", "steps.provision.outputs.socket")];
    restore.params = Param::Map(
        [
            ("target".to_owned(), Param::Value(json!("primary"))),
            ("socket".to_owned(), Param::Template("{{ steps.provision.outputs.socket }}".to_owned())),
        ]
        .into_iter()
        .collect(),
    );
    restore.timeout = Some(duration("2h"));
    restore.deadline = Some(duration("3h"));
    let mut steps = vec![provision(), wait_ready, restore];
    for instance in 0..2 {
        let id = format!("reset-replication[{instance}]");
        let summary = format!("point replica-{instance} at primary");
        let mut reset = step(&id, "mysql.reset-replication", Effect::Destroy, &summary);
        reset.needs = vec![needs("restore")];
        reset.each = Some(json!({ "key": instance, "value": format!("replica-{instance}") }));
        reset.max_parallel = Some(1);
        steps.push(reset);
    }
    let mut verify =
        step("verify", "mysql.assert", Effect::Read, "compare primary with the backup's inventory");
    verify.needs = vec![needs("reset-replication[0]"), needs("reset-replication[1]")];
    verify.continue_on_error = true;
    let mut smoke = step("smoke", "run", Effect::Write, "run ./smoke.sh");
    smoke.skipped = true;
    let mut page = step("page", "notify", Effect::Write, "send \"recovery failed at (known on failure)\"");
    page.section = Section::OnFailure;
    let mut report = step("report", "report.write", Effect::Write, "write reports/(known in the run)");
    report.section = Section::Finally;
    report.when = Some("run.outcome != \"cancelled\"".to_owned());
    steps.extend([verify, smoke, page, report]);
    let mut plan = plan(steps);
    plan.pinned = vec![PinnedStep {
        id: "find".into(),
        kind: "backup.find".to_owned(),
        outputs: json!({ "uri": "file:backups/b1", "recovery_point": "2026-11-22T14:52:00Z" }),
        at: "2026-11-22T14:56:00Z".parse().unwrap(),
        intent: Intent {
            summary: "find the latest verified backup in primary".to_owned(),
            ..Intent::default()
        },
    }];
    plan.hash = plan.compute_hash();
    plan
}

fn provision() -> PlanStep {
    let mut provision =
        step("provision", "mysql.sandbox", Effect::Write, "start a MariaDB server as primary");
    provision.name = Some("A new primary".to_owned());
    provision.intent.commands = vec!["mariadb-install-db --datadir=work/primary".to_owned()];
    provision.intent.provides = vec!["primary".into()];
    provision
}
