//! `mysql.restore`: a logical backup into a server, fenced until it is proven whole.
//!
//! ```text
//! members ─ sha256, gunzip, lexer ─→ statements ─→ several sessions ─→ inventory = backup's ─→ GTID ─→ unfenced
//! parallel/fetch.rs                   send.rs       parallel/                              ../replication/statements.rs
//! ```
//!
//! A dump whose index does not prove its members is read by `reader.rs` and sent by `load.rs`, in order. A part of a
//! backup goes the way of `partial.rs`: no fence, no position.
//!
//! **Binary log.** With `binlog: off`, the default, nothing of the restore is logged; the server then begins an
//! empty log at the backup's GTID position. Every server that was loaded from the same backup this way is at the
//! same position, so replicas follow a rebuilt primary without a gap and without getting the data twice: that is
//! what `mysql.reset-replication` builds on. With `binlog: on` the server's replicas receive the restore as
//! ordinary changes, and its position goes on from where it was.
//!
//! **Crashes.** The marker says whose data these are and keeps what the server was like before the fence; tables that
//! are whole are kept beside it (`loaded.rs`). The same restore of the same run goes on behind them; everything else is
//! loaded anew, and any other restore begins from nothing.

mod accounts;
mod foreign_keys;
mod load;
mod loaded;
mod marker;
mod parallel;
mod params;
mod part;
mod partial;
mod patience;
mod reader;
mod replication;
mod rewrite;
mod rights;
mod run;
mod send;
mod source;
mod step;
mod views;

pub(crate) use marker::{fenced_for_replay, hand_fence_over, under_way};
pub use params::{BinlogUse, MAX_SESSIONS, Outputs, Params};
pub use step::Restore;

#[cfg(test)]
pub(crate) mod publish_tests;
#[cfg(test)]
mod tests;
