//! Looks at the world without touching it: runs plan-phase steps, preflights and probes.

mod types;

pub use types::{Preview, StepPreview};
