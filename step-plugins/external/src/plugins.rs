//! Plugins as kinds of a registry: receives what was found, adds kinds that are described when first asked for.

use std::sync::Arc;

use rekindle_engine::host::{Clock, Processes};
use rekindle_engine::step::{ErasedStep, Problem, Registry};

use crate::call::{CallError, Executable};
use crate::describe::{DescribeError, describe};
use crate::kind::ExternalStep;
use crate::search::Found;

/// Starts what describing needs, once it is needed. The text says why that failed.
pub type Start = Arc<dyn Fn() -> Result<(Arc<dyn Processes>, Arc<dyn Clock>), String> + Send + Sync>;

/// Adds every plugin that counts. Describing one costs a process, so it is put off until a runbook names the kind;
/// then what is wrong with the plugin is told there.
///
/// A plugin can't replace a kind that is registered already: that kind is then refused, rather than guessed.
pub fn register(registry: &mut Registry, found: Vec<Found>, start: &Start) {
    for Found { kind, path, ignored } in found {
        if ignored.is_some() {
            continue;
        }
        if registry.names().any(|known| known == kind) {
            let message = format!("the plugin {} has the name of the built-in kind `{kind}`", path.display());
            let problem = Problem {
                code: "rekindle::plugin::built_in_kind",
                message,
                help: Some("rename it, or take it off the plugin path".to_owned()),
                pointer: None,
            };
            registry.register_lazy(kind, Box::new(move || Err(problem.clone())));
            continue;
        }
        let start = Arc::clone(start);
        registry.register_lazy(
            kind.clone(),
            Box::new(move || {
                let executable = Executable::inspect(&kind, &path).map_err(|error| Problem {
                    code: "rekindle::plugin::refused",
                    message: error.to_string(),
                    help: Some(error.help()),
                    pointer: None,
                })?;
                load(executable, &start).map_err(|error| Problem {
                    code: "rekindle::plugin::not_described",
                    message: format!("the plugin {} can't be used: {error}", path.display()),
                    help: error.help(),
                    pointer: None,
                })
            }),
        );
    }
}

/// Registries are asked without waiting, also from within a runtime: the conversation gets a thread of its own.
fn load(executable: Executable, start: &Start) -> Result<Arc<dyn ErasedStep>, DescribeError> {
    let lost = |why: String| DescribeError::Call(CallError::Lost { why });
    let (processes, clock) = start().map_err(lost)?;
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| lost(error.to_string()))?;
        let described = runtime.block_on(describe(&executable, processes, clock))?;
        Ok(Arc::new(ExternalStep::new(executable, described)) as Arc<dyn ErasedStep>)
    });
    asking.join().unwrap_or_else(|_| {
        Err(DescribeError::Call(CallError::Lost { why: "describing it ran into a bug".to_owned() }))
    })
}
