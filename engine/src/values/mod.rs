//! Typed inputs: declarations, layers, precedence, provenance; durations and sizes with units.

mod units;

pub use units::{DurationText, SizeText, UnitError, parse_duration, parse_size};
