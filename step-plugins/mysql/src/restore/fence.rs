//! The fence around a server that is being restored: `read_only`, no events, no replication, and a marker that
//! says whose data these are. The marker is what the probe reads and what a resumed run goes on from.

use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::RunId;
use serde::{Deserialize, Serialize};

use super::position::forget_source;
use crate::connection::{Server, quote_string};
use crate::error::ServerError;

/// The database that holds the marker. It is no part of any inventory or dump.
pub(crate) const MARKER_DATABASE: &str = "rekindle_restore";

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Statements are being sent: nothing can be said of the server's data but that they are replaceable.
    Loading,
    /// Everything is there and equal to the manifest; the server is still fenced.
    Loaded,
    /// The fence is gone.
    Complete,
}

/// What the server was like before, to be put back at the end, also by another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// `@@read_only`
    pub(super) read_only: bool,
    /// `@@event_scheduler`: `ON`, `OFF` or `DISABLED`.
    pub(super) event_scheduler: String,
}

/// Whose data the server holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) backup: BackupUri,
    pub(super) run: RunId,
    pub(super) stage: Stage,
    pub(super) before: Before,
    /// What the step gave, once it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<super::Outputs>,
}

impl Marker {
    /// Tells whether this restore of this run wrote it.
    pub(super) fn is_of(&self, backup: &BackupUri, run: &RunId) -> bool {
        self.backup == *backup && self.run == *run
    }
}

/// Reads the marker, if there is one.
pub(super) async fn read_marker(server: &mut Server) -> Result<Option<Marker>, ServerError> {
    let there: Option<u64> = server
        .session
        .first(
            "look for a marker",
            &format!(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = '{MARKER_DATABASE}' AND table_name = 'state'"
            ),
        )
        .await?;
    if there.is_none() {
        return Ok(None);
    }
    let query = format!("SELECT marker FROM {MARKER_DATABASE}.state WHERE id = 1");
    let text: Option<String> = server.session.first("read the marker", &query).await?;
    // A marker that can't be read is none of ours: the server counts as holding somebody's data.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Writes the marker, in place of an older one. The session does not write to the binary log.
pub(super) async fn write_marker(server: &mut Server, marker: &Marker) -> Result<(), ServerError> {
    let text = serde_json::to_string(marker).unwrap_or_default();
    let what = "write the marker";
    let session = &mut server.session;
    session.run(what, &format!("CREATE DATABASE IF NOT EXISTS {MARKER_DATABASE}")).await?;
    session
        .run(
            what,
            &format!(
                "CREATE TABLE IF NOT EXISTS {MARKER_DATABASE}.state (id INT PRIMARY KEY, marker TEXT NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
            ),
        )
        .await?;
    let text = quote_string(&text);
    session.run(what, &format!("REPLACE INTO {MARKER_DATABASE}.state VALUES (1, {text})")).await
}

/// Reads what has to be put back at the end.
pub(super) async fn look_before(server: &mut Server) -> Result<Before, ServerError> {
    let (read_only, event_scheduler): (u8, String) =
        server.session.row("tell its state", "SELECT @@GLOBAL.read_only, @@GLOBAL.event_scheduler").await?;
    Ok(Before { read_only: read_only == 1, event_scheduler })
}

/// Puts the fence up. Everything in it holds when it is up already.
pub(super) async fn raise(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    // First of all: nothing of a restore may reach the binary log, or replicas would get it as new data.
    server.session.run("keep the restore out of its binary log", "SET SESSION sql_log_bin = 0").await?;
    for statement in forget_source(&server.version) {
        server.session.run("forget its replication source", statement).await?;
    }
    server.session.run("become read-only", "SET GLOBAL read_only = ON").await?;
    if before.event_scheduler == "ON" {
        server.session.run("stop its event scheduler", "SET GLOBAL event_scheduler = OFF").await?;
    }
    Ok(())
}

/// Takes the fence down.
pub(super) async fn lower(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    if before.event_scheduler == "ON" {
        server.session.run("start its event scheduler", "SET GLOBAL event_scheduler = ON").await?;
    }
    if !before.read_only {
        server.session.run("become writable", "SET GLOBAL read_only = OFF").await?;
    }
    Ok(())
}

/// Lists the databases that belong to users.
pub(super) async fn user_databases(server: &mut Server) -> Result<Vec<String>, ServerError> {
    let all: Vec<String> = server
        .session
        .rows("list its databases", "SELECT schema_name FROM information_schema.schemata")
        .await?;
    let of_the_server = |name: &String| {
        rekindle_backup::inventory::SYSTEM_DATABASES.contains(&name.as_str()) || name == MARKER_DATABASE
    };
    Ok(all.into_iter().filter(|name| !of_the_server(name)).collect())
}
