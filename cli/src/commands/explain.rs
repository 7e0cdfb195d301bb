//! `rekindle plan RUNBOOK -e ENV --explain PATH`

use rekindle_engine::explain::{ExplainInput, Explanation, explain, text};
use serde_json::json;

use super::plan::What;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, project};

/// How explanations are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    Text,
    Json,
}

/// Says of each path which layers set it. Reads files only.
pub(crate) fn print(what: &What, paths: &[String], format: As) -> Result<Exit, Failure> {
    let project = project::load(&what.runbook, &what.environment)?;
    let overrides = what.values.read()?;
    // What is wrong with the values is told before where they come from.
    rekindle_engine::values::resolve(&project.runbook, &project.environment, &overrides)?;
    let input = ExplainInput {
        document: &project.document,
        runbook: &project.runbook,
        environment: &project.environment,
        overrides: &overrides,
    };
    let mut explanations: Vec<Explanation> = Vec::new();
    let mut unset = Vec::new();
    for path in paths {
        match explain(&input, path) {
            Ok(explanation) => explanations.push(explanation),
            Err(error) => unset.push(error),
        }
    }
    match format {
        As::Text => output::print(&text(&explanations)),
        As::Json => {
            let unset: Vec<_> =
                unset.iter().map(|unset| json!({ "path": unset.path, "help": unset.help })).collect();
            output::json(&json!({ "explained": explanations, "unset": unset }))?;
        }
    }
    let mut unset = unset.into_iter().map(|unset| Failure::input(unset.to_string()).help(unset.help));
    let Some(last) = unset.next_back() else { return Ok(Exit::Done) };
    for failure in unset {
        failure.report();
    }
    Err(last)
}
