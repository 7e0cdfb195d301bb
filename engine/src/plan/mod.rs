//! The compiled DAG: serialisable, hashed, what is shown, run and resumed.

#[cfg(test)]
pub(crate) mod fixture;
mod hash;
mod order;
mod read;
mod types;

pub use read::PlanReadError;
pub use types::{
    Edge, EdgeReason, Group, PLAN_FORMAT, Param, PinnedStep, Plan, PlanStep, RunbookIdentity, Section,
};
