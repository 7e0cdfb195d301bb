//! `mysql.copy-table`: brings one table from a server into another one, under a name that is free there.

mod load;
mod params;
mod rewrite;
mod run;
mod step;
#[cfg(test)]
mod tests;

pub use params::{CopyTableOutputs, CopyTableParams};
pub(crate) use step::CopyTable;
