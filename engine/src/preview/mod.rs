//! Looks at the world without touching it: runs plan-phase steps, and asks every step whether what it needs is
//! there. Receives a plan (or what one is made of) and the world; yields a ready plan, and a [`Preview`].

mod again;
mod bounded;
mod findings;
mod names;
mod preflight;
#[cfg(test)]
mod preflight_tests;
mod prepare;
#[cfg(test)]
mod prepare_tests;
mod quiet;
mod secrets;
mod types;

pub use again::found_otherwise;
pub use names::{NameFormat, NameUsed, names_used};
pub use preflight::preflight;
pub use prepare::{PrepareError, Prepared, prepare};
pub use types::{Preview, StepPreview};
