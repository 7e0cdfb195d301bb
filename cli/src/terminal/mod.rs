//! Shows a run while it goes: a live tree for people, lines for logs, JSON lines for machines.

mod asker;
mod json;
mod keyboard;
mod lines;
mod question;
mod tree;
pub(crate) mod words;

use std::sync::Arc;

use clap::ValueEnum;
use rekindle_engine::id::RunId;
use rekindle_engine::plan::Plan;
use rekindle_engine::run::{Approvals, InboxApprovals, Observer};

use crate::person::Person;
pub(crate) use question::{missing, question};

/// How the progress of a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// A live tree on a terminal, plain lines elsewhere.
    #[default]
    Text,
    /// One JSON object a line on standard output.
    Json,
}

/// What shows a run, and who is asked about it.
pub(crate) struct View {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) approvals: Arc<dyn Approvals>,
}

/// Chooses the view for a run of this plan. Where a person sees the tree and can type, they are asked; everywhere
/// else answers come from `elsewhere` only.
pub(crate) fn view(
    run: &RunId,
    plan: &Arc<Plan>,
    format: LogFormat,
    person: Person,
    elsewhere: InboxApprovals,
) -> View {
    match format {
        LogFormat::Text if crate::output::is_terminal() => {
            let asker = Arc::new(asker::Asker::new(run.clone(), Arc::clone(plan), person, elsewhere));
            View { observer: asker.clone(), approvals: asker }
        }
        LogFormat::Text if crate::output::stderr_is_terminal() => {
            View { observer: Arc::new(tree::Tree::new(plan)), approvals: Arc::new(elsewhere) }
        }
        LogFormat::Text => {
            View { observer: Arc::new(lines::Lines::default()), approvals: Arc::new(elsewhere) }
        }
        LogFormat::Json => View { observer: Arc::new(json::JsonLines), approvals: Arc::new(elsewhere) },
    }
}
