//! `mysql.assess`: what of a cluster is up, what is lost, how far its replicas are, what its backups could bring back,
//! and which way of recovery follows from that. Looks only, and never fails because something is down.

mod judge;
mod logs;
mod look;
mod params;
mod step;
#[cfg(test)]
mod tests;

pub use self::params::{
    NewestBackup, Outputs, Params, Replayable, ReplicationState, Role, ServerState, Strategy,
};
pub(crate) use self::step::Assess;
