//! Replication, whatever the flavour: its statements, its status, its positions.

pub(crate) mod gtid;
pub(crate) mod position;
pub(crate) mod statements;
pub(crate) mod status;
