//! `mysql.sql`: statements of a runbook's own, with the proof that they did what they were to do.

mod params;
mod run;
mod step;
#[cfg(test)]
mod tests;

pub use params::{SqlOutputs, SqlParams};
pub(crate) use step::Sql;
