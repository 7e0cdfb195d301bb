//! The compiled DAG: serialisable, hashed, what is shown, run and resumed.

mod types;

pub use types::{
    Edge, EdgeReason, Group, PLAN_FORMAT, Param, PinnedStep, Plan, PlanStep, RunbookIdentity, Section,
};
