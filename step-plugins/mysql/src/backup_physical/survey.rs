//! What has to be known of a server before its files are copied.

use std::path::{Path, PathBuf};

use rekindle_backup::inventory::{Database, Inventory};
use rekindle_backup::manifest::{ConsistentPoint, Flavour};
use rekindle_engine::step::StepError;

use crate::connection::Server;
use crate::error::ServerError;
use crate::replication::position::{self, Role};
use crate::replication::statements::Dialect;
use crate::restore_physical::restored_by;

/// What a look at a server gave.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    /// `@@datadir`, as the server names it.
    pub(super) data_dir: PathBuf,
    /// What tells its data directory from others.
    pub(super) lineage: String,
    /// What it holds, without rows.
    pub(super) inventory: Inventory,
}

impl Survey {
    /// Looks at the server.
    pub(super) async fn of(server: &mut Server) -> Result<Self, ServerError> {
        let data_dir: String =
            server.session.row("tell its data directory", "SELECT @@GLOBAL.datadir").await?;
        let inventory = crate::inventory::read_names(&mut server.session).await?;
        Ok(Self { data_dir: PathBuf::from(data_dir), lineage: lineage(server).await?, inventory })
    }

    /// Notes the directory where it is here: one that a restore filled is another than the one that was copied. Its
    /// server is who it was and may have the same GTIDs again, after other positions in InnoDB's log.
    pub(super) fn at(mut self, data_dir: &Path) -> Result<Self, StepError> {
        if let Some(run) = restored_by(data_dir)? {
            self.lineage = format!("{}/restored by {run}", self.lineage);
        }
        Ok(self)
    }
}

/// MariaDB gives its data directory no name. Its system tables carry the time they were made in their own files, which
/// a new installation has anew and a copy keeps; together with the server's id that tells two directories apart.
async fn lineage(server: &mut Server) -> Result<String, ServerError> {
    let what = "tell its identity";
    match server.version.flavour {
        Flavour::Mysql => server.session.row(what, "SELECT CONCAT('mysql/', @@GLOBAL.server_uuid)").await,
        Flavour::Mariadb => {
            let query = "SELECT CONCAT('mariadb/', @@GLOBAL.server_id, '/', COALESCE(MIN(UNIX_TIMESTAMP(create_time)), 0)) \
                 FROM information_schema.tables WHERE table_schema = 'mysql' AND engine IN ('Aria', 'MyISAM')";
            server.session.row(what, query).await
        }
    }
}

/// Gives what was there both times, and whether that is all.
pub(super) fn in_both(before: &Inventory, after: &Inventory) -> (Inventory, bool) {
    let mut both = Inventory::default();
    for (name, mine) in &before.databases {
        let Some(theirs) = after.databases.get(name) else { continue };
        both.databases.insert(name.clone(), database_in_both(mine, theirs));
    }
    let whole = both == *before && both == *after;
    (both, whole)
}

fn database_in_both(mine: &Database, theirs: &Database) -> Database {
    let mut both = mine.clone();
    both.tables.retain(|name, table| theirs.tables.get(name) == Some(table));
    both.triggers.retain(|name, trigger| theirs.triggers.get(name) == Some(trigger));
    both.views.retain(|name| theirs.views.contains(name));
    both.routines.retain(|name| theirs.routines.contains(name));
    both.events.retain(|name| theirs.events.contains(name));
    both.sequences.retain(|name| theirs.sequences.contains(name));
    both
}

/// Asks where the server's own log stands; nothing in it when it writes none.
pub(super) async fn coordinates(server: &mut Server) -> Result<ConsistentPoint, ServerError> {
    let what = "tell where its binary log stands";
    let log_bin: u8 = server.session.row("tell whether it logs", "SELECT @@GLOBAL.log_bin").await?;
    if log_bin == 0 {
        return Ok(ConsistentPoint::default());
    }
    let query = Dialect::of(&server.version).log_status();
    let row: mysql_async::Row = server.session.row(what, query).await?;
    let file = row.get_opt::<String, _>(0).and_then(Result::ok);
    let position = row.get_opt::<u64, _>(1).and_then(Result::ok);
    let gtid = position::read(server, Role::Source).await?;
    Ok(ConsistentPoint {
        at: None,
        binlog_file: file,
        binlog_position: position,
        gtid: (!gtid.is_empty()).then_some(gtid),
    })
}

#[cfg(test)]
mod tests {
    use rekindle_backup::inventory::Table;

    use super::*;

    #[test]
    fn what_was_made_or_dropped_meanwhile_is_in_no_inventory() {
        let of = |names: &[&str]| {
            let tables = names.iter().map(|name| ((*name).to_owned(), Table::default())).collect();
            let shop = Database { tables, ..Database::default() };
            Inventory { databases: [("shop".to_owned(), shop)].into(), ..Inventory::default() }
        };
        assert_eq!(in_both(&of(&["a", "b"]), &of(&["a", "b"])), (of(&["a", "b"]), true));
        assert_eq!(in_both(&of(&["a", "b"]), &of(&["b", "c"])), (of(&["b"]), false));
        assert_eq!(in_both(&of(&["a"]), &Inventory::default()), (Inventory::default(), false));
    }
}
