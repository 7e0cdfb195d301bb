//! Rows whose text would lose digits, in a text that has them all.
//!
//! Servers print six digits of a `FLOAT`, and so do the clients that dump it (`16777216` becomes `16777200`; MySQL manual,
//! "Problems with Floating-Point Values"). As `DOUBLE` the same number has all its digits. So tables with such columns are
//! read a second time, by a session of ours that sees the same rows as the client, and each `INSERT` of the client gives way
//! to one of as many of these rows. Were they of another number, the two would not be of one moment, and the dump fails.

mod literal;
mod serve;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use serve::{Asked, ExactRows, Until, asking, serve};
pub(crate) use tables::{FloatTable, FloatTables};
