//! The compiled DAG: serialisable, hashed, what is shown, run and resumed.

mod beside;
mod diff;
mod dot;
#[cfg(test)]
pub(crate) mod fixture;
mod graph;
mod hash;
mod json;
mod mermaid;
mod order;
mod read;
mod shown;
mod style;
mod text;
mod types;

pub use beside::Beside;
pub use diff::{FieldChange, PlanDiff, StepChange, StepWords, diff};
pub use dot::dot;
pub use json::json;
pub use mermaid::mermaid;
pub use read::PlanReadError;
pub use shown::ShownParams;
pub use style::Style;
pub(crate) use style::{Paint, printable};
pub use text::text;
pub use types::{
    Edge, EdgeReason, Group, PLAN_FORMAT, Param, PinnedStep, Plan, PlanStep, RunbookIdentity, Section,
};
