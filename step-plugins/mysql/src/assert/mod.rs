//! `mysql.assert`: proves that a server holds what it should: a backup's inventory, another server's rows, or
//! what queries are expected to answer.

mod compare;
mod params;
mod run;
#[cfg(test)]
pub(crate) mod tests;

pub use self::params::{AssertOutputs, AssertParams};
pub(crate) use self::run::Assert;
