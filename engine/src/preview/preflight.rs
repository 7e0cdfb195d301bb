//! Asks every step of a plan whether what it needs is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use super::bounded::{LOOK_LIMIT, Looked, look_at_all};
use super::findings::Findings;
use super::names::secrets_used;
use super::quiet::QuietReporter;
use super::secrets::unreadable;
use super::{Preview, StepPreview};
use crate::environment::Settings;
use crate::host::{Masker, World};
use crate::id::{RunId, SecretName, StepId, TargetName};
use crate::plan::{Plan, PlanStep, Section, ShownParams};
use crate::step::{
    ErasedStep, Preflight, PreflightContext, Problem, Registry, Reporter, StepContext, StepContextParts,
};
use crate::values::DurationText;

/// The run that a step is told about when there is none yet.
const NO_RUN: &str = "preview";

/// Looks, read-only, whether the plan can work: secrets first, then every step of `steps:` and `finally:`.
///
/// A step that needs an unreadable secret is not asked: it could only say so again. Checks go on side by side, a
/// few at a time, each for at most 30 seconds.
pub async fn preflight(plan: &Plan, registry: &Registry, world: &World) -> Preview {
    let mut findings = Findings::new(&world.masker);
    let runs = |step: &&PlanStep| !step.skipped && step.section != Section::OnFailure;
    let steps = plan.steps.iter().filter(runs).collect();
    let steps = ask(plan, steps, registry, world, &mut findings).await;
    Preview { at: world.clock.now(), steps, problems: findings.into_diagnostics() }
}

/// Asks these steps of a plan.
pub(super) async fn ask(
    plan: &Plan,
    steps: Vec<&PlanStep>,
    registry: &Registry,
    world: &World,
    findings: &mut Findings<'_>,
) -> IndexMap<StepId, StepPreview> {
    let settings = Arc::new(plan.settings.clone());
    let mut asked = Vec::new();
    for step in steps {
        match registry.carrying_out(plan, step) {
            Some(kind) => asked.push(Asked::new(plan, step, kind, &settings)),
            None => findings.add(step, unknown_kind(step, registry), None),
        }
    }
    let secrets: BTreeSet<SecretName> =
        asked.iter().flat_map(|asked| asked.secrets.keys().cloned()).collect();
    let unreadable = unreadable(secrets.into_iter().collect(), &settings, world).await;

    let provided = provided_before(plan);
    let (mut looks, mut looked_at) = (Vec::new(), Vec::new());
    let mut previews = IndexMap::new();
    for asked in asked {
        let missing: Vec<_> =
            asked.secrets.iter().filter(|(name, _)| unreadable.contains_key(*name)).collect();
        let mut preview = StepPreview::default();
        for (name, pointer) in &missing {
            let problem = unreadable[*name].clone();
            preview.problems.push(problem.message.clone());
            findings.add(asked.step, problem, Some(pointer));
        }
        if missing.is_empty() {
            let provided = provided.get(&asked.step.id).cloned().unwrap_or_default();
            looked_at.push(asked.step);
            looks.push((LOOK_LIMIT, asked.look(provided, &settings, world)));
        }
        previews.insert(asked.step.id.clone(), preview);
    }
    for (step, looked) in looked_at.into_iter().zip(look_at_all(looks, &world.clock).await) {
        let found = concluded(looked);
        for problem in &found.problems {
            findings.add(step, problem.clone(), problem.pointer);
        }
        previews.insert(step.id.clone(), masked(found, &world.masker));
    }
    previews
}

/// A step that will be asked.
struct Asked<'a> {
    step: &'a PlanStep,
    kind: Arc<dyn ErasedStep>,
    params: ShownParams,
    /// The secrets it needs, with the pointer of the parameter that needs them.
    secrets: BTreeMap<SecretName, String>,
}

impl<'a> Asked<'a> {
    fn new(plan: &Plan, step: &'a PlanStep, kind: Arc<dyn ErasedStep>, settings: &Settings) -> Self {
        let params = plan.shown_params(step);
        let schema = kind.info().params.as_value();
        let secrets = secrets_used(schema, &params.rendered, &params.unknown, settings);
        Self { step, kind, params, secrets }
    }

    fn look(
        &self,
        provided: BTreeSet<TargetName>,
        settings: &Arc<Settings>,
        world: &World,
    ) -> impl Future<Output = Preflight> + Send + 'static {
        let (kind, params) = (Arc::clone(&self.kind), self.params.clone());
        let (cancel, reporter) = (CancellationToken::new(), Arc::new(QuietReporter::default()));
        let parts = parts_before_a_run(self.step, settings, world, &reporter, &cancel);
        async move {
            // Dropped with this future when time is up: what the kind left on other threads hears of it.
            let _stop = cancel.drop_guard();
            let cx = PreflightContext { step: StepContext::new(parts), provided };
            let mut found = kind.preflight(&params.rendered, &params.unknown, &cx).await;
            found.notes.extend(reporter.take_warnings());
            found
        }
    }
}

/// Makes what a step is given before there is a run.
pub(super) fn parts_before_a_run(
    step: &PlanStep,
    settings: &Arc<Settings>,
    world: &World,
    reporter: &Arc<QuietReporter>,
    cancel: &CancellationToken,
) -> StepContextParts {
    StepContextParts {
        run: RunId::from(NO_RUN),
        step: step.id.clone(),
        attempt: 1,
        settings: Arc::clone(settings),
        world: world.clone(),
        reporter: Arc::clone(reporter) as Arc<dyn Reporter>,
        cancel: cancel.clone(),
        checkpoint: None,
    }
}

/// Gives for each step the targets that steps before it, near or far, will have made reachable.
fn provided_before(plan: &Plan) -> HashMap<StepId, BTreeSet<TargetName>> {
    let by_id: HashMap<&StepId, &PlanStep> = plan.steps.iter().map(|step| (&step.id, step)).collect();
    let mut before: HashMap<StepId, BTreeSet<TargetName>> = HashMap::new();
    let mut by_sections_before = BTreeSet::new();
    for section in [Section::Main, Section::Finally] {
        let steps = plan.ordered(section);
        for step in &steps {
            let mut provided: BTreeSet<TargetName> = by_sections_before.clone();
            for edge in &step.needs {
                provided.extend(before.get(&edge.step).into_iter().flatten().cloned());
                let needed = by_id.get(&edge.step).filter(|needed| !needed.skipped);
                provided.extend(needed.into_iter().flat_map(|needed| needed.intent.provides.iter().cloned()));
            }
            before.insert(step.id.clone(), provided);
        }
        let running = steps.iter().filter(|step| !step.skipped);
        by_sections_before.extend(running.flat_map(|step| step.intent.provides.iter().cloned()));
    }
    before
}

fn unknown_kind(step: &PlanStep, registry: &Registry) -> Problem {
    registry.refusal(&step.kind).cloned().unwrap_or_else(|| Problem {
        code: "rekindle::plan::unknown_step_kind",
        message: format!("this version of rekindle has no step kind `{}`", step.kind),
        help: Some("use the version that made the plan, or plan again with this one".to_owned()),
        pointer: None,
    })
}

fn concluded(looked: Looked<Preflight>) -> Preflight {
    match looked {
        Looked::Done(found) => found,
        Looked::TimedOut => Preflight::problem(Problem {
            code: "rekindle::preflight::timed_out",
            message: format!("checking what the step needs took longer than {}", DurationText(LOOK_LIMIT)),
            help: Some("see whether the servers and stores that it uses answer, then try again".to_owned()),
            pointer: None,
        }),
        Looked::Panicked(why) => Preflight::problem(Problem {
            code: "rekindle::preflight::panicked",
            message: format!("checking what the step needs ran into a bug: {why}"),
            help: Some("report this bug with the runbook and the environment".to_owned()),
            pointer: None,
        }),
    }
}

fn masked(found: Preflight, masker: &Masker) -> StepPreview {
    let mask = |texts: Vec<String>| texts.iter().map(|text| masker.mask(text)).collect();
    StepPreview {
        commands: mask(found.commands),
        notes: mask(found.notes),
        problems: mask(found.problems.into_iter().map(|problem| problem.message).collect()),
    }
}
