//! Questions to live servers about positions, whatever the flavour.

use rekindle_backup::manifest::Flavour;

use super::gtid::Position;
use super::statements::Dialect;
use crate::connection::{Server, quote_string};
use crate::error::ServerError;

/// As what a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything that it has written itself or applied counts.
    Source,
    /// Only what it has applied as a replica counts (MariaDB keeps the two apart).
    Replica,
}

/// Gives a server's position: of its binary log as a source, of what it has applied as a replica.
pub(crate) async fn read(server: &mut Server, role: Role) -> Result<String, ServerError> {
    let dialect = Dialect::of(&server.version);
    let query = match role {
        Role::Source => dialect.source_position(),
        Role::Replica => dialect.replica_position(),
    };
    let text: String = server.session.row("tell its GTID position", query).await?;
    // MySQL breaks long sets into lines.
    Ok(text.replace('\n', ""))
}

/// Tells whether a server has everything up to a position of the same flavour.
pub(crate) async fn has(server: &mut Server, role: Role, gtid: &str) -> Result<bool, ServerError> {
    let what = "tell whether it has a GTID position";
    match server.version.flavour {
        Flavour::Mysql => {
            let query = format!("SELECT GTID_SUBSET({}, @@global.gtid_executed)", quote_string(gtid));
            Ok(server.session.row::<i64>(what, &query).await? == 1)
        }
        Flavour::Mariadb => {
            let (written, applied): (String, String) =
                server.session.row(what, "SELECT @@global.gtid_binlog_pos, @@global.gtid_slave_pos").await?;
            let read = |text: &str| {
                Position::read(text).ok_or_else(|| ServerError::Answer {
                    target: server.session.target().to_owned(),
                    what: what.to_owned(),
                    why: format!("`{text}` is no GTID position"),
                })
            };
            let applied = read(&applied)?;
            let have = match role {
                Role::Source => read(&written)?.merge(applied),
                Role::Replica => applied,
            };
            Ok(have.covers(&read(gtid)?))
        }
    }
}
