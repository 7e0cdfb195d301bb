//! From a step of the plan to what its kind gets: condition and parameters, rendered with what is known now.

use std::sync::Arc;

use serde_json::Value;

use super::{RunRequest, RunState};
use crate::plan::PlanStep;
use crate::step::{ErasedStep, StepError};
use crate::template::{self, Failure, RunScope, TemplateError};

/// What came of preparing a step.
pub(super) enum Prepared {
    /// It can run, or be probed.
    Ready(Ready),
    /// Its condition is false.
    Skip,
    /// Its templates can't be rendered. That will not pass.
    Broken(StepError),
}

/// A step's kind with its parameters.
pub(super) struct Ready {
    pub(super) kind: Arc<dyn ErasedStep>,
    pub(super) params: Value,
}

/// Whether the condition counts: not when looking at a step that has begun before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Evaluate it.
    Counts,
    /// It was true when the step began.
    WasTrue,
}

/// Prepares a step with the outputs that the run has now.
pub(super) fn prepare(
    request: &RunRequest,
    state: &RunState,
    step: &PlanStep,
    condition: Condition,
) -> Prepared {
    let Some(kind) = request.registry.carrying_out(&request.plan, step) else {
        return Prepared::Broken(StepError::permanent(format!("there is no step kind `{}`", step.kind)));
    };
    let failure = state
        .first_failure()
        .map(|(step, error)| Failure { step: step.clone(), message: error.message.clone() });
    let scope = RunScope {
        plan: &request.plan,
        step,
        outputs: state.outputs(),
        run: &request.run,
        started_at: state.started_at().unwrap_or_default(),
        failure: failure.as_ref(),
    };
    if condition == Condition::Counts {
        match template::groups_run(&scope) {
            Ok(true) => {}
            Ok(false) => return Prepared::Skip,
            Err(error) => return Prepared::Broken(broken("the condition of its group", error)),
        }
    }
    let context = match template::run_context(&scope) {
        Ok(context) => context,
        Err(error) => return Prepared::Broken(broken("the values of its group", error)),
    };
    if let (Some(when), Condition::Counts) = (&step.when, condition) {
        match template::evaluate(when, &context) {
            Ok(Value::Bool(false)) => return Prepared::Skip,
            Ok(_) => {}
            Err(error) => return Prepared::Broken(broken("its condition", error)),
        }
    }
    match template::render(&step.params, &context) {
        Ok(params) => Prepared::Ready(Ready { kind, params }),
        Err(error) => Prepared::Broken(broken("its parameters", error)),
    }
}

fn broken(what: &str, error: TemplateError) -> StepError {
    let mut broken = StepError::permanent(format!("failed to render {what}: {}", error.message));
    broken.help = error.help;
    broken
}
