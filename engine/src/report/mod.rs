//! Events → a report for people: what ran, when, how often, what went wrong, and whether the promises were kept.
//!
//! Receives a plan and the journal's records; yields a [`Report`], and views of it. A pure fold: the same journal
//! always gives the same report.

mod approval;
mod compare;
mod fold;
mod json;
mod markdown;
mod objectives;
mod path;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
mod types;
mod words;

pub use compare::{RunDiff, RunSide, StepSide, StepSides, commit, compare};
pub use fold::report;
pub use json::json;
pub use markdown::markdown;
pub use text::text;
pub use types::{
    Approval, Attempt, AttemptEnd, Decision, Link, Measured, Objectives, REPORT_FORMAT, Replanning, Report,
    Resumption, Said, StepReport, StepStatus, Verdict,
};
pub(crate) use words::duration;
