//! Executes a plan: a pure state machine, and the driver that feeds it.
//!
//! Receives a [`crate::plan::Plan`] and a [`crate::journal::Journal`]; yields how the run ended. Everything in
//! between is in the journal: [`RunState`] is a fold over it.

mod retry;
mod state;
#[cfg(test)]
mod tests;

pub use state::{Command, IllegalTransition, RunState, StepStatus};
