//! `mysql.find-in-binlogs`: looks in archived binary logs for what was done to a table.

mod choice;
mod matching;
mod params;
mod run;
mod step;
#[cfg(test)]
mod tests;

pub use params::{Deed, FindInBinlogsOutputs, FindInBinlogsParams, Found, Which};
pub(crate) use step::FindInBinlogs;
