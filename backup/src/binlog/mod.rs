//! Binary logs: their bytes in, transactions with times and GTIDs out; and the archive of them in a store.
//!
//! Only the frame of an event is read here: its header, its checksum, and the few bodies that say where a
//! transaction begins and ends. What is in the rows is left to the flavour's own program. The format is that of
//! binary log version 4: MySQL Internals Manual "Binary Log", MariaDB manual "Replication Protocol, Binlog Events".

pub mod archive;
pub mod chain;
mod event;
mod gtid;
mod hindrance;
mod key;
mod object;
mod point;
pub mod prune;
mod query;
mod reader;
mod segment;
mod tables;
mod transactions;

#[cfg(test)]
mod tests;

pub use event::{Event, EventKind, Header};
pub use gtid::{Gtid, GtidSet};
pub use hindrance::{Hindrance, Hindrances};
pub use key::{SegmentKey, TimelineKey, log_number};
pub use object::{SegmentError, SegmentEvents};
pub use point::{LogPoint, Place};
pub use query::Query;
pub use reader::{BinlogError, Events};
pub use segment::{Covered, LastEvent, SEGMENT_FORMAT, Segment, ServerIdentity};
pub use tables::{RowChange, Tables};
pub use transactions::{Part, Transaction, Transactions};
