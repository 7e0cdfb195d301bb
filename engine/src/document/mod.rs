//! YAML text → [`Node`]: values with byte spans, nothing evaluated. The only place that names the YAML crate.

mod node;
mod source;

pub use node::{Entry, Node, NodeValue, ScalarStyle};
pub use source::{Location, Source, Span};
