//! The fence around a server that is being restored: `read_only`, no events, no replication, and a marker that
//! says whose data these are. The marker is what the probe reads and what a resumed run goes on from.
//!
//! `read_only` does not stop accounts with `SUPER` or `READ ONLY ADMIN`, ours among them: it keeps applications out,
//! not administrators.

use rekindle_backup::inventory::MARKER_DATABASE;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::id::RunId;
use rekindle_engine::step::StepError;
use serde::{Deserialize, Serialize};

use super::part::Part;
use crate::connection::{Server, quote_identifier, quote_string};
use crate::error::ServerError;
use crate::read_only::become_read_only;
use crate::replication::statements::Dialect;

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Statements are being sent: nothing can be said of the server's data but that they are replaceable.
    Loading,
    /// Everything is there and proven equal to the backup; the server is still fenced.
    Loaded,
    /// The fence is gone.
    Complete,
}

/// What the server was like before, to be put back at the end, also by another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// `@@read_only`
    pub(super) read_only: bool,
    /// `@@super_read_only` (MySQL): refuses everybody's writes, also ours.
    #[serde(default)]
    pub(super) super_read_only: bool,
    /// `@@event_scheduler`: `ON`, `OFF` or `DISABLED`.
    pub(super) event_scheduler: String,
    /// Whether it followed a source: its events are then the source's to run.
    pub(super) replica: bool,
}

/// Whose data the server holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) backup: BackupUri,
    pub(super) run: RunId,
    pub(super) object: String,
    pub(super) stage: Stage,
    pub(super) before: Before,
    /// Whether what was there is gone, and all there is comes from this backup: tables that are kept as loaded stay.
    #[serde(default)]
    pub(super) emptied: bool,
    /// What is restored of the backup; absent when it is the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part>,
    /// What the step gives, once everything is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<super::Outputs>,
}

impl Marker {
    /// Tells whether this restore of this run wrote it.
    pub(super) fn is_of(&self, params: &super::Params, run: &RunId) -> bool {
        self.backup == params.backup
            && self.object == params.object
            && self.run == *run
            && self.part.is_none()
    }

    /// Gives how much of the server it speaks of.
    fn extent(&self) -> Extent {
        if self.part.is_some() { Extent::Part } else { Extent::Whole }
    }

    /// Says what it is of, for people.
    pub(super) fn describe(&self) -> String {
        let stage = match self.stage {
            Stage::Loading => "an unfinished restore",
            Stage::Loaded | Stage::Complete => "a restore",
        };
        format!("{stage} of {} by run {}", self.backup, self.run)
    }
}

/// Reads the marker, if there is one.
pub(super) async fn read_marker(server: &mut Server) -> Result<Option<Marker>, ServerError> {
    read_marker_of(server, Extent::Whole).await
}

/// How much of a server a marker speaks of; each has one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All that it holds.
    Whole = 1,
    /// Some databases or tables of a server that is in use.
    Part = 2,
}

/// Reads the marker of one extent, if there is one.
pub(super) async fn read_marker_of(
    server: &mut Server,
    extent: Extent,
) -> Result<Option<Marker>, ServerError> {
    let there = format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = '{MARKER_DATABASE}' AND table_name = 'state'"
    );
    if server.session.first::<u64>("look for a marker", &there).await?.is_none() {
        return Ok(None);
    }
    let query = format!("SELECT marker FROM {MARKER_DATABASE}.state WHERE id = {}", extent as u8);
    let text: Option<String> = server.session.first("read the marker", &query).await?;
    // A marker that can't be read is none of ours: the server counts as holding somebody's data.
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Says which restore a server is in the middle of; nothing when it is in none.
pub(crate) async fn under_way(server: &mut Server) -> Result<Option<String>, ServerError> {
    let marker = read_marker(server).await?;
    Ok(marker.filter(|marker| marker.stage != Stage::Complete).map(|marker| marker.describe()))
}

/// Prepares a session for the marker and the fence: its writes are for this server alone.
pub(super) async fn prepare(server: &mut Server) -> Result<(), ServerError> {
    let session = &mut server.session;
    // It waits while the other one loads, which may take a day; the server's default is 8 hours.
    session.run("wait for the load", "SET SESSION wait_timeout = 31536000").await?;
    // The marker is quoted with backslashes.
    session.run("set its SQL mode", "SET SESSION sql_mode = ''").await?;
    session.run("keep the restore out of its binary log", "SET SESSION sql_log_bin = 0").await
}

/// Writes the marker, in place of an older one.
pub(super) async fn write_marker(server: &mut Server, marker: &Marker) -> Result<(), ServerError> {
    let what = "write the marker";
    let text = serde_json::to_string(marker).map_err(|error| ServerError::Answer {
        target: server.session.target().to_owned(),
        what: what.to_owned(),
        why: error.to_string(),
    })?;
    let session = &mut server.session;
    session.run(what, &format!("CREATE DATABASE IF NOT EXISTS {MARKER_DATABASE}")).await?;
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {MARKER_DATABASE}.state (id INT PRIMARY KEY, marker LONGTEXT NOT NULL) \
         ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
    );
    session.run(what, &table).await?;
    let text = quote_string(&text);
    session
        .run(
            what,
            &format!("REPLACE INTO {MARKER_DATABASE}.state VALUES ({}, {text})", marker.extent() as u8),
        )
        .await
}

/// Forgets an unfinished restore of a part: what is restored now replaces it.
pub(super) async fn forget_part(server: &mut Server) -> Result<(), ServerError> {
    let delete = format!("DELETE FROM {MARKER_DATABASE}.state WHERE id = {}", Extent::Part as u8);
    server.session.run("forget an earlier marker", &delete).await
}

/// Reads what has to be put back at the end.
pub(super) async fn look_before(server: &mut Server) -> Result<Before, ServerError> {
    let state = "SELECT CAST(@@GLOBAL.read_only AS CHAR), CAST(@@GLOBAL.event_scheduler AS CHAR)";
    let (read_only, event_scheduler): (String, String) = server.session.row("tell its state", state).await?;
    let super_read_only = match server.version.flavour {
        Flavour::Mysql => server.session.row("tell its state", "SELECT @@GLOBAL.super_read_only").await?,
        Flavour::Mariadb => false,
    };
    let status = Dialect::of(&server.version).show_status();
    let session = &mut server.session;
    let sources: Vec<mysql_async::Row> = session.rows("show its replication", &status).await?;
    let read_only = !matches!(read_only.as_str(), "0" | "OFF");
    Ok(Before { read_only, super_read_only, event_scheduler, replica: !sources.is_empty() })
}

/// Lets us write, and nobody else: `read_only` stays on.
pub(super) async fn let_us_in(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    if before.super_read_only {
        server.session.run("take our writes", "SET GLOBAL super_read_only = OFF").await?;
    }
    Ok(())
}

/// Refuses everybody's writes again. After the last of the marker, which is one of them.
pub(super) async fn let_nobody_in(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    if before.super_read_only {
        server.session.run("refuse all writes again", "SET GLOBAL super_read_only = ON").await?;
    }
    Ok(())
}

/// Puts the fence up. Everything in it holds when it is up already.
///
/// The marker is there before: it keeps what the server was like.
pub(super) async fn raise(server: &mut Server, before: &Before) -> Result<(), StepError> {
    for statement in Dialect::of(&server.version).leave_sources() {
        server.session.run("forget its replication source", statement).await?;
    }
    become_read_only(server).await?;
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

/// `ER_NO_SUCH_THREAD`: it has gone by itself.
const NO_SUCH_THREAD: u16 = 1094;

/// Ends the sessions of replicas that read this server's binary log: it is about to be emptied, and none of them
/// may follow a server that is half restored. They come back by themselves.
pub(super) async fn send_replicas_away(server: &mut Server) -> Result<(), ServerError> {
    let query = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
    let sessions: Vec<u64> = server.session.rows("list the replicas that read from it", query).await?;
    for id in sessions {
        match server.session.run("send a replica away", &format!("KILL {id}")).await {
            Err(error) if error.server_code() == Some(NO_SUCH_THREAD) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Disables the events of a replica, as replication itself does with those that it creates: they are the
/// source's to run, and run twice they would write twice.
pub(super) async fn leave_events_to_source(server: &mut Server) -> Result<(), ServerError> {
    let query = "SELECT event_schema, event_name FROM information_schema.events WHERE status = 'ENABLED'";
    let events: Vec<(String, String)> = server.session.rows("list its events", query).await?;
    let dialect = Dialect::of(&server.version);
    for (database, event) in events {
        let name = format!("{}.{}", quote_identifier(&database), quote_identifier(&event));
        server.session.run("leave an event to the source", &dialect.leave_event_to_source(&name)).await?;
    }
    Ok(())
}
