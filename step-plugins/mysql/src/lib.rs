//! Step kinds for MySQL and MariaDB: throw-away servers, waiting, facts, comparisons, replication.
//!
//! Receives the targets of an environment and the world behind `rekindle_engine::host`; yields step kinds for
//! the registry, and [`sandbox`] as a library. Queries speak the MySQL protocol; the flavour's own programs run
//! as child processes.

pub mod client_options;
pub mod configure;
pub mod connection;
pub mod copy_table;
pub mod dump;
pub mod error;
pub mod find_in_binlogs;
pub mod flavour;
pub mod inventory;

mod account;
mod answers;
pub mod archive_binlogs;
pub mod assert;
pub mod assess;
mod backup_part;
pub mod backup_physical;
mod binlogs;
mod body_sink;
mod check_tables;
mod checksum;
mod exact_rows;
mod fence;
mod grants;
mod guard;
pub mod import_dump;
pub mod inspect;
mod marker;
#[cfg(test)]
mod physical_testing;
mod physical_tool;
mod preflight;
mod read_only;
pub mod replay_binlogs;
mod replication;
pub mod reset_replication;
pub mod restore;
pub mod restore_physical;
pub mod sandbox;
mod server_files;
mod shown;
pub mod sql;
mod stall;
#[cfg(test)]
mod testing;
mod tls;
mod tool;
pub mod verify_restore;
pub mod wait_ready;
mod xa;

pub use account::Account;
use rekindle_engine::step::Registry;

/// Adds the step kinds of this crate.
pub fn register(registry: &mut Registry) {
    registry.register(archive_binlogs::ArchiveBinlogs);
    registry.register(assert::Assert);
    registry.register(assess::Assess);
    registry.register(backup_physical::BackupPhysical);
    registry.register(configure::Configure);
    registry.register(copy_table::CopyTable);
    registry.register(dump::Dump);
    registry.register(find_in_binlogs::FindInBinlogs);
    registry.register(import_dump::ImportDump);
    registry.register(inspect::Inspect);
    registry.register(replay_binlogs::ReplayBinlogs);
    registry.register(reset_replication::ResetReplication);
    registry.register(restore::Restore);
    registry.register(restore_physical::RestorePhysical);
    registry.register(sandbox::Sandbox);
    registry.register(sql::Sql);
    registry.register(verify_restore::VerifyRestore);
    registry.register(wait_ready::WaitReady);
}
