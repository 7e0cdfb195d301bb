//! `mysql.restore`: a logical backup into a server, fenced until it is proven whole.
//!
//! ```text
//! object ─ sha256 ─ gunzip ─ lexer ─→ statements ─→ one session ─→ inventory = index's ─→ GTID ─→ unfenced
//!          reader.rs                  load.rs        fence.rs                       ../replication/statements.rs
//! ```
//!
//! **Binary log.** With `binlog: off`, the default, nothing of the restore is logged; the server then begins an
//! empty log at the backup's GTID position. Every server that was loaded from the same backup this way is at the
//! same position, so replicas follow a rebuilt primary without a gap and without getting the data twice: that is
//! what `mysql.reset-replication` builds on. With `binlog: on` the server's replicas receive the restore as
//! ordinary changes, and its position goes on from where it was.
//!
//! **Crashes.** Loading begins from nothing each time (databases are dropped first), so a marker of the same run
//! and backup means that it may begin again. The marker also keeps what the server was like before the fence.

mod accounts;
mod fence;
mod load;
mod params;
mod reader;
mod run;
mod step;

pub(crate) use fence::under_way;
pub use params::{BinlogUse, Outputs, Params};
pub use step::Restore;

#[cfg(test)]
mod publish_tests;
#[cfg(test)]
mod tests;
