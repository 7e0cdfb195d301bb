//! What an environment changes in the steps of a runbook: its `patches:`, and a runbook's document with them in.
//!
//! Patches work on the document and not on the typed runbook, so that every node keeps its place: what is wrong
//! with a patched step is told where the text stands, in the runbook or in the environment.

mod apply;
mod read;
mod splice;
#[cfg(test)]
mod tests;

use super::Spanned;
use crate::document::{Location, Node};

pub use apply::{Patched, apply};
pub(crate) use read::read;

/// One change to the steps of a runbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// What is changed.
    pub operation: Operation,
    /// The whole patch.
    pub location: Location,
}

/// What a patch does.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// `{ step: ID, set: {…} }`: lays fields over those of a step. Maps merge, lists replace, `null` deletes.
    Set {
        /// The step's id.
        step: Spanned<String>,
        /// A map of fields.
        fields: Node,
    },
    /// `{ step: ID, disable: true, reason: TEXT }`: takes a step out; it stays in the plan, to be seen.
    Disable {
        /// The step's id.
        step: Spanned<String>,
        /// Why.
        reason: Spanned<String>,
    },
    /// `{ after: ID, insert: […] }` or `{ before: ID, insert: […] }`.
    Insert {
        /// On which side.
        side: Side,
        /// The step next to which they are put.
        anchor: Spanned<String>,
        /// The steps.
        steps: Vec<Node>,
    },
    /// `{ step: ID, replace: {…} }`: puts another step of this id in its place.
    Replace {
        /// The step's id.
        step: Spanned<String>,
        /// The new step.
        with: Node,
    },
}

/// On which side of a step others are inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// They wait for it.
    After,
    /// It waits for them, and they for what it waits for.
    Before,
}
