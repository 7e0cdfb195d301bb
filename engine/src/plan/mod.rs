//! The compiled DAG: serialisable, hashed, what is shown, run and resumed.

mod beside;
mod diff;
mod dot;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod graph;
mod hash;
mod json;
mod mermaid;
mod order;
mod origin;
mod read;
mod shown;
mod style;
mod svg;
mod text;
mod types;

pub use beside::Beside;
pub use diff::{FieldChange, PlanDiff, StepChange, StepWords, diff, diff_pinned};
pub use dot::dot;
pub use files::{ReferencedFile, referenced_files};
pub use hash::short_hash;
pub use json::json;
pub use mermaid::mermaid;
pub use origin::{Inputs, KindIdentity, Origin, PlanSource, SourceRole};
pub use read::PlanReadError;
pub use shown::ShownParams;
pub(crate) use style::Paint;
pub use style::{Style, printable};
pub use svg::svg;
pub use text::{step_text, text};
pub use types::{
    ApprovalRule, Edge, EdgeReason, Group, PLAN_FORMAT, Param, PinnedStep, Plan, PlanStep, RunbookIdentity,
    Section, StepGroup,
};
