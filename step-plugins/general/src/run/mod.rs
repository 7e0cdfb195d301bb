//! `run`: a command line or a script. Receives [`RunParams`], yields [`RunOutputs`].

mod command_line;
mod execute;
mod output;
mod params;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Problem, Step, StepContext, StepError,
};

pub use self::params::{RunOutputs, RunParams, Word};

/// The kind `run`: `run: [argv…]`, or `run: |` with a script.
///
/// A failure (any exit code but 0, or a signal) is transient, so that a declared `retry:` applies: whether a
/// command may be repeated is for the one who wrote it to say. It has no probe, so with `effect: destroy` it
/// is never repeated.
#[derive(Debug, Clone, Copy)]
pub struct Run;

#[async_trait]
impl Step for Run {
    const KIND: &'static str = "run";
    const SUMMARY: &'static str = "Runs a command line or a shell script.";
    const EFFECT: Effect = Effect::Write;
    const EFFECT_IS_DECLARED: bool = true;
    type Params = RunParams;
    type Outputs = RunOutputs;

    fn plan(&self, params: &Planned<RunParams>) -> Result<Intent, StepError> {
        let intent = command_line::intent(params.rendered())?;
        Ok(Intent { reads: command_line::reads(params), ..intent })
    }

    async fn preflight(&self, params: &Planned<RunParams>, cx: &PreflightContext) -> Preflight {
        let program = match command_line::program(params) {
            Ok(Some(program)) => program,
            // Not known yet, or a file that an earlier step may make.
            Ok(None) => return Preflight::default(),
            Err(error) => return Preflight::problem(error.into()),
        };
        if cx.step.world().processes.find(&program).is_some() {
            return Preflight::default();
        }
        Preflight::problem(Problem {
            code: "rekindle::tool::missing",
            message: format!("there is no program `{program}` on PATH"),
            help: Some(execute::install_help(&program)),
            pointer: params.value("/command/0").map(|_| "/command/0"),
        })
    }

    async fn run(&self, params: &RunParams, cx: &StepContext) -> Result<RunOutputs, StepError> {
        execute::execute(params, cx).await
    }
}
