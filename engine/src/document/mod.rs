//! YAML text → [`Node`]: values with byte spans, nothing evaluated. The only place that names the YAML crate.

mod build;
mod layers;
mod node;
mod parse;
mod reader;
mod scalar;
mod source;
mod syntax;
mod unquoted;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod rendering;
#[cfg(test)]
mod syntax_tests;
#[cfg(test)]
mod tests;

pub(crate) use layers::lay_over;
pub use node::{Entry, Node, NodeValue, ScalarStyle};
pub use parse::parse;
pub(crate) use parse::{parse_partly, parse_text};
pub(crate) use reader::{Codes, Fields, Reader, blot, holds_template, in_source_order};
pub(crate) use scalar::{Plain, resolve_plain};
pub use source::{Location, Source, Span};
