//! Step kinds that are not about databases: receives a [`Registry`], adds `run` to it.

mod run;

use rekindle_engine::step::Registry;

pub use run::{Run, RunOutputs, RunParams, Word};

/// Adds every kind of this crate.
pub fn register(registry: &mut Registry) {
    registry.register(Run);
}
