//! The append-only events of a run; the only truth about it.

mod event;

pub use event::{Event, JOURNAL_FORMAT, Outcome, Record, Resolution, RunnerIdentity, StepFinding};
