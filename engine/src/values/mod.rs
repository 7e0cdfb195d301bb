//! Typed inputs: declarations, layers, precedence, provenance; durations and sizes with units.

mod check;
mod layers;
mod overrides;
mod resolve;
#[cfg(test)]
mod tests;
mod units;

pub(crate) use check::{check_value, refuse_templates};
pub(crate) use layers::set_as_declared;
pub use overrides::{Override, parse_set};
pub(crate) use resolve::resolve_partly;
pub use resolve::{Resolved, resolve};
pub use units::{DurationText, SizeText, UnitError, parse_duration, parse_size};
