//! Shows a run while it goes: a live tree for people, lines for logs, JSON lines for machines.

mod json;
mod lines;
mod tree;
pub(crate) mod words;

use std::sync::Arc;

use clap::ValueEnum;
use rekindle_engine::plan::Plan;
use rekindle_engine::run::Observer;

/// How the progress of a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// A live tree on a terminal, plain lines elsewhere.
    #[default]
    Text,
    /// One JSON object a line on standard output.
    Json,
}

/// Chooses the view for a run of this plan.
pub(crate) fn observer(plan: &Plan, format: LogFormat) -> Arc<dyn Observer> {
    match format {
        LogFormat::Json => Arc::new(json::JsonLines),
        LogFormat::Text if crate::output::stderr_is_terminal() => Arc::new(tree::Tree::new(plan)),
        LogFormat::Text => Arc::new(lines::Lines::default()),
    }
}
