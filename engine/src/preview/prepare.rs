//! Compiles, runs the steps that run while planning, and compiles again with what they found.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::bounded::{Looked, look_at_all};
use super::findings::Findings;
use super::preflight::{ask, parts_before_a_run};
use super::quiet::QuietReporter;
use crate::compile::{CompileInput, compile};
use crate::diagnostic::Diagnostic;
use crate::environment::Settings;
use crate::host::World;
use crate::id::StepId;
use crate::plan::{Param, PinnedStep, Plan, PlanStep};
use crate::run::retry;
use crate::step::{ErasedStep, ErrorClass, Problem, StepContext, StepError};
use crate::values::DurationText;

/// How long one attempt may take when the runbook does not say.
const ATTEMPT_LIMIT: Duration = Duration::from_mins(5);
/// How long all attempts may take when the runbook has no `deadline`.
const STEP_LIMIT: Duration = Duration::from_hours(1);

/// A plan that is ready to run.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The plan; nothing in it is left to look up.
    pub plan: Plan,
    /// What plan-phase steps warned of, in the order in which they ran.
    pub warnings: Vec<(StepId, String)>,
}

/// Why there is no plan. Both are the user's to correct (exit code 2); nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The documents are wrong.
    #[error("the runbook does not fit")]
    Invalid(Vec<Diagnostic>),
    /// Something that had to be looked up while planning was not to be had.
    #[error("a step that runs while planning failed")]
    Lookup(Vec<Diagnostic>),
}

impl PrepareError {
    /// Gives every mistake.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Invalid(diagnostics) | Self::Lookup(diagnostics) => diagnostics,
        }
    }
}

/// Compiles a runbook to a plan that is ready to run.
///
/// Steps with `phase: plan` run as soon as their parameters are known, side by side, and are retried as declared;
/// what they find is pinned with its time, and the runbook is compiled again. Results already in `input.pinned`
/// are kept.
///
/// # Errors
/// All mistakes of the documents; or what kept plan-phase steps from finding what they look for, each at its
/// step.
pub async fn prepare(input: &CompileInput<'_>, world: &World) -> Result<Prepared, PrepareError> {
    let mut pinned = input.pinned.to_vec();
    let mut warnings = Vec::new();
    loop {
        let plan = compile(&CompileInput { pinned: &pinned, ..*input }).map_err(PrepareError::Invalid)?;
        if plan.unpinned.is_empty() {
            return Ok(Prepared { plan, warnings });
        }
        // Every round pins at least one more step or fails, so there are no more rounds than steps.
        for found in look_up(&plan, input, world).await? {
            warnings.extend(found.warnings.into_iter().map(|warning| (found.step.id.clone(), warning)));
            pinned.push(found.step);
        }
    }
}

/// What one plan-phase step found.
struct Found {
    step: PinnedStep,
    warnings: Vec<String>,
}

/// Runs the plan-phase steps that can run now.
async fn look_up(plan: &Plan, input: &CompileInput<'_>, world: &World) -> Result<Vec<Found>, PrepareError> {
    let ready: Vec<&PlanStep> = plan.unpinned.iter().filter(|step| is_ready(step, plan)).collect();
    let mut findings = Findings::new(&world.masker);
    for step in plan.unpinned.iter().filter(|_| ready.is_empty()) {
        findings.add(step, never_ready(step), None);
    }
    let previews = ask(plan, ready.clone(), input.registry, world, &mut findings).await;
    let settings = Arc::new(plan.settings.clone());
    let (mut looks, mut looking) = (Vec::new(), Vec::new());
    for step in ready {
        let unhindered = previews.get(&step.id).is_some_and(|preview| preview.problems.is_empty());
        if let (true, Param::Value(params), Some(kind)) =
            (unhindered, &step.params, input.registry.get(&step.kind))
        {
            looking.push((step, world.clock.now()));
            let limit = step.deadline.map_or(STEP_LIMIT, |deadline| deadline.0);
            looks.push((limit, attempts(step, Arc::clone(kind), params.clone(), &settings, world)));
        }
    }
    let mut all = Vec::new();
    for ((step, at), looked) in looking.into_iter().zip(look_at_all(looks, &world.clock).await) {
        let (outputs, warnings) = match looked {
            Looked::Done((Ok(outputs), warnings)) => (outputs, warnings),
            Looked::Done((Err(error), _)) => {
                findings.add(step, failed(error), None);
                continue;
            }
            Looked::TimedOut => {
                let limit = step.deadline.unwrap_or(DurationText(STEP_LIMIT));
                findings.add(step, failed(too_long(limit)), None);
                continue;
            }
            Looked::Panicked(why) => {
                findings.add(step, failed(StepError::permanent(format!("it ran into a bug: {why}"))), None);
                continue;
            }
        };
        let warnings = warnings.iter().map(|warning| world.masker.mask(warning)).collect();
        let (id, kind) = (step.id.clone(), step.kind.clone());
        let outputs = world.masker.mask_json(outputs);
        all.push(Found { step: PinnedStep { id, kind, outputs, at, intent: step.intent.clone() }, warnings });
    }
    let diagnostics = findings.into_diagnostics();
    if diagnostics.is_empty() { Ok(all) } else { Err(PrepareError::Lookup(diagnostics)) }
}

fn is_ready(step: &PlanStep, plan: &Plan) -> bool {
    let waits = |id: &StepId| plan.unpinned.iter().any(|other| other.id == *id || other.definition == *id);
    matches!(step.params, Param::Value(_))
        && step.when.is_none()
        && plan.groups_around(step).all(|group| group.when.is_none())
        && !step.needs.iter().any(|edge| waits(&edge.step))
}

/// Runs a step as often as its `retry:` says, with nothing but its own words kept.
fn attempts(
    step: &PlanStep,
    kind: Arc<dyn ErasedStep>,
    params: Value,
    settings: &Arc<Settings>,
    world: &World,
) -> impl Future<Output = (Result<Value, StepError>, Vec<String>)> + Send + 'static {
    let (step, settings, world) = (step.clone(), Arc::clone(settings), world.clone());
    async move {
        let reporter = Arc::new(QuietReporter::default());
        let limit = step.timeout.map_or(ATTEMPT_LIMIT, |timeout| timeout.0);
        let mut failures = 0;
        let result = loop {
            let cancel = CancellationToken::new();
            let mut parts = parts_before_a_run(&step, &settings, &world, &reporter, &cancel);
            parts.attempt = failures + 1;
            let cx = StepContext::new(parts);
            let _stop = cancel.drop_guard();
            let result = tokio::select! {
                result = kind.run(&params, &cx) => result,
                () = world.clock.sleep(limit) => Err(too_long(DurationText(limit))),
            };
            failures += 1;
            match (&result, &step.retry) {
                (Err(error), Some(retry))
                    if error.class == ErrorClass::Transient && failures < retry.attempts =>
                {
                    world.clock.sleep(retry::delay(retry, failures, 0.0)).await;
                }
                _ => break result,
            }
        };
        (result, reporter.take_warnings())
    }
}

fn too_long(limit: DurationText) -> StepError {
    StepError::transient(format!("it took longer than {limit}"))
        .help("see whether what it looks at answers, or give it a longer `timeout`")
}

fn failed(error: StepError) -> Problem {
    Problem { code: "rekindle::plan::lookup_failed", message: error.message, help: error.help, pointer: None }
}

pub(super) fn never_ready(step: &PlanStep) -> Problem {
    Problem {
        code: "rekindle::plan::never_ready",
        message: format!("`{}` can't run while planning: it needs something known only in the run", step.id),
        help: Some("remove `phase: plan`, or what it refers to".to_owned()),
        pointer: None,
    }
}
