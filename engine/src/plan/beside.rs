//! What is told beside a plan, and is no part of it.

use crate::compile::UnknownTypes;
use crate::estimate::Estimates;
use crate::preview::Preview;

/// What is told beside a plan: it may differ each time one looks, so neither the plan nor its hash holds it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// What was found while looking at the world.
    pub preview: Option<&'a Preview>,
    /// How long it will take.
    pub estimates: Option<&'a Estimates>,
    /// The types of what is known only in the run.
    pub unknowns: Option<&'a UnknownTypes>,
}
