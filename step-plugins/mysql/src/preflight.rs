//! What the preflights of all kinds here share: may the target be looked at, can it be entered, what is it.

use rekindle_engine::environment::SecretRef;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{Planned, Preflight, PreflightContext, Problem, StepContext, StepError};

use crate::connection::{Login, Server};

/// What a look at a target gave.
pub(crate) enum Look {
    /// It can't be looked at yet: its name is not known, or an earlier step provides it.
    Later,
    /// It answers.
    Reached(Box<Server>),
    /// It does not; the finding is already noted.
    Failed,
}

/// Looks at the target named at `pointer`, and notes into `found` what is wrong or what it is.
pub(crate) async fn look_at_target<P>(
    params: &Planned<P>,
    pointer: &'static str,
    cx: &PreflightContext,
    found: &mut Preflight,
) -> Look {
    let Some(name) = params.value(pointer).and_then(|value| value.as_str()).map(TargetName::from) else {
        return Look::Later;
    };
    let login = match login(&cx.step, &name, pointer).await {
        Ok(login) => login,
        Err(problem) => {
            found.problems.push(problem);
            return Look::Failed;
        }
    };
    if cx.provided.contains(&name) {
        return Look::Later;
    }
    match login.connect().await {
        Ok(server) => {
            found.notes.push(format!("{name} is {}", server.version));
            Look::Reached(Box::new(server))
        }
        Err(error) => {
            found.problems.push(error.problem(pointer));
            Look::Failed
        }
    }
}

/// Finds the target and reads its password, which must be there even when the server is not yet.
pub(crate) async fn login(
    cx: &StepContext,
    name: &TargetName,
    pointer: &'static str,
) -> Result<Login, Problem> {
    let target = cx.target(name).map_err(|error| problem("rekindle::target::unknown", error, pointer))?;
    if let Some(reference) = &target.password {
        check_secret(cx, reference, pointer).await?;
    }
    Login::of(cx, name).await.map_err(|error| problem("rekindle::secret::unreadable", error, pointer))
}

/// Reads a secret and forgets it.
pub(crate) async fn check_secret(
    cx: &StepContext,
    reference: &SecretRef,
    pointer: &'static str,
) -> Result<(), Problem> {
    match cx.secret(reference).await {
        Ok(_) => Ok(()),
        Err(error) => Err(problem("rekindle::secret::unreadable", error, pointer)),
    }
}

/// Makes a step's error a finding.
pub(crate) fn problem(code: &'static str, error: StepError, pointer: &'static str) -> Problem {
    Problem { code, message: error.message, help: error.help, pointer: Some(pointer) }
}
