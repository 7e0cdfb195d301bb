//! What a server did between its start and its fence: its configuration may let clients, events and a source in at once.
//!
//! A server begins a new binary log when it starts. Whatever is in that, or beyond the backup in what it applied as a
//! replica, is in the data too, and no replay would know.

use std::path::Path;

use rekindle_backup::binlog::GtidSet;
use rekindle_backup::manifest::Flavour;
use rekindle_backup::physical::Link;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::StepError;

use crate::binlogs::server::{has_nothing, logs, logs_at_all};
use crate::connection::Server;
use crate::error::ServerError;
use crate::replication::position::{self, Role};

/// Where a server's binary logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logs {
    /// It writes none.
    Off,
    /// In the data directory: they are those of the backup, if any.
    Inside,
    /// Elsewhere: they are what it had before.
    Outside,
}

impl Logs {
    pub(super) async fn of(server: &mut Server) -> Result<Self, ServerError> {
        if !logs_at_all(server).await? {
            return Ok(Self::Off);
        }
        let query = "SELECT @@GLOBAL.datadir, @@GLOBAL.log_bin_basename";
        let (data_dir, base): (String, String) = server.session.row("tell where its logs are", query).await?;
        Ok(if Path::new(&base).starts_with(&data_dir) { Self::Inside } else { Self::Outside })
    }
}

/// Says what the server has written that the backup has not; nothing when there is none.
pub(super) async fn written(
    server: &mut Server,
    last: &Link,
    place: Logs,
) -> Result<Option<String>, ServerError> {
    if place != Logs::Off
        && let Some(log) = logs(server).await?.pop()
        && !has_nothing(server, &log.name).await?
    {
        return Ok(Some(format!("{} has what was written between its start and its fence", log.name)));
    }
    let flavour = server.version.flavour;
    // Logs of before are in the position of a source, and in all of MySQL's.
    let roles = match (place, flavour) {
        (Logs::Outside, Flavour::Mysql) => &[][..],
        (Logs::Outside | Logs::Off, _) => &[Role::Replica],
        (Logs::Inside, _) => &[Role::Source, Role::Replica],
    };
    let backup = last.manifest.consistent_point.gtid.clone().unwrap_or_default();
    for role in roles {
        let text = position::read(server, *role).await?;
        let sets = GtidSet::read(flavour, &text).zip(GtidSet::read(flavour, &backup));
        if sets.is_some_and(|(have, backup)| !backup.covers(&have)) {
            let point = if backup.is_empty() { "no position" } else { &backup };
            return Ok(Some(format!("it is at {text}, and the backup at {point}")));
        }
    }
    Ok(None)
}

/// Says it of a server that may be used all the same.
pub(super) fn warning(target: &TargetName, what: &str) -> String {
    format!("`{target}` may not be exactly what the backup says: {what}")
}

/// Refuses to have such a server brought forward.
pub(super) fn refusal(target: &TargetName, what: &str) -> StepError {
    StepError::permanent(format!(
        "`{target}` is not what the backup says, so no binary log can be replayed onto it: {what}"
    ))
    .help(
        "either something wrote before the server was fenced: set `event_scheduler = OFF`, `read_only = ON` and \
         `skip_slave_start` (`skip_replica_start`) in its configuration until it is recovered, and keep applications away, \
         then restore again with `overwrite: true`; or the backup is of a replica without `log_slave_updates`, which no log \
         can be replayed onto: choose another one",
    )
}
