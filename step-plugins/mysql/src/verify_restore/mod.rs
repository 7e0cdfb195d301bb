//! `mysql.verify-restore`: proves that a server that a backup was restored into holds what the backup says, stores the
//! verdict beside the backup, and predicts from what was measured how long a recovery takes.

mod bad_end;
mod params;
mod prediction;
mod run;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use self::bad_end::store_bad_end;
pub use self::params::{Outputs, Params};
pub(crate) use self::step::VerifyRestore;
