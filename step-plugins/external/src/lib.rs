//! Step kinds that are programs of their own. Receives folders with executables named `rekindle-step-KIND`, adds
//! their kinds to a registry; each call of one is a process that is talked to in JSON Lines (docs/plugins.md).

mod call;
mod conformance;
mod describe;
mod file;
mod intent;
mod kind;
mod plugins;
pub mod protocol;
mod search;
mod shape;
#[cfg(test)]
mod tests;

pub use call::{CallError, Executable};
pub use conformance::{Checked, Conformance, Verdict, conformance};
pub use describe::DescribeError;
pub use file::FileError;
pub use plugins::{Start, register};
pub use search::{Found, PREFIX, SearchError, search};
