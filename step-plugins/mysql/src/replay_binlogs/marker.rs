//! What a server remembers of a replay: which one, from where to where, and what it was like before. Written with
//! `sql_log_bin = 0`, so that it has no GTID.

use rekindle_backup::inventory::MARKER_DATABASE;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::step::StepError;
use serde::{Deserialize, Serialize};

use super::ReplayBinlogsOutputs;
use crate::connection::{Server, quote_string};
use crate::error::ServerError;
use crate::read_only::become_read_only;

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Transactions are being sent.
    Replaying,
    /// Everything is there, and the server is as it was before.
    Complete,
}

/// What the server was like, to be put back at the end, also by another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) read_only: bool,
    pub(super) event_scheduler: String,
    pub(super) max_allowed_packet: u64,
}

/// Which replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) backup: BackupUri,
    /// How far, with what is left out.
    pub(super) goal: String,
    pub(super) stage: Stage,
    pub(super) before: Before,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<ReplayBinlogsOutputs>,
}

/// Reads the marker, if there is one. One that can't be read is none of ours.
pub(super) async fn read(server: &mut Server) -> Result<Option<Marker>, ServerError> {
    let there = format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = '{MARKER_DATABASE}' AND table_name = 'replay'"
    );
    if server.session.first::<u64>("look for a marker", &there).await?.is_none() {
        return Ok(None);
    }
    let query = format!("SELECT marker FROM {MARKER_DATABASE}.replay WHERE id = 1");
    let text: Option<String> = server.session.first("read the marker", &query).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Prepares a session whose writes are for this server alone.
pub(super) async fn prepare(server: &mut Server) -> Result<(), ServerError> {
    let session = &mut server.session;
    session.run("wait for the replay", "SET SESSION wait_timeout = 31536000").await?;
    // The marker is quoted with backslashes.
    session.run("set its SQL mode", "SET SESSION sql_mode = ''").await?;
    session.run("keep the marker out of its binary log", "SET SESSION sql_log_bin = 0").await
}

/// Writes the marker, in place of an older one.
pub(super) async fn write(server: &mut Server, marker: &Marker) -> Result<(), ServerError> {
    let what = "write the marker";
    let text = serde_json::to_string(marker).map_err(|error| ServerError::Answer {
        target: server.session.target().to_owned(),
        what: what.to_owned(),
        why: error.to_string(),
    })?;
    let session = &mut server.session;
    session.run(what, &format!("CREATE DATABASE IF NOT EXISTS {MARKER_DATABASE}")).await?;
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {MARKER_DATABASE}.replay (id INT PRIMARY KEY, marker LONGTEXT NOT NULL) \
         ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
    );
    session.run(what, &table).await?;
    session
        .run(what, &format!("REPLACE INTO {MARKER_DATABASE}.replay VALUES (1, {})", quote_string(&text)))
        .await
}

/// Reads what has to be put back at the end.
pub(super) async fn look_before(server: &mut Server) -> Result<Before, ServerError> {
    let state = "SELECT CAST(@@GLOBAL.read_only AS CHAR), CAST(@@GLOBAL.event_scheduler AS CHAR), \
                 CAST(@@GLOBAL.max_allowed_packet AS UNSIGNED)";
    let (read_only, event_scheduler, max_allowed_packet): (String, String, u64) =
        server.session.row("tell its state", state).await?;
    let read_only = !matches!(read_only.as_str(), "0" | "OFF");
    Ok(Before { read_only, event_scheduler, max_allowed_packet })
}

/// The largest packet there can be: the rows of one statement come in one.
pub(super) const LARGEST_PACKET: u64 = 1 << 30;

/// Keeps applications and events away, and lets sessions that are opened from now on send large statements.
pub(super) async fn raise_fence(server: &mut Server, before: &Before) -> Result<(), StepError> {
    become_read_only(server).await?;
    let session = &mut server.session;
    if before.event_scheduler == "ON" {
        session.run("stop its event scheduler", "SET GLOBAL event_scheduler = OFF").await?;
    }
    if before.max_allowed_packet < LARGEST_PACKET {
        let statement = format!("SET GLOBAL max_allowed_packet = {LARGEST_PACKET}");
        session.run("take large statements", &statement).await?;
    }
    Ok(())
}

/// Puts everything back.
pub(super) async fn lower_fence(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    let session = &mut server.session;
    let packet = format!("SET GLOBAL max_allowed_packet = {}", before.max_allowed_packet);
    session.run("set its largest packet back", &packet).await?;
    if before.event_scheduler == "ON" {
        session.run("start its event scheduler", "SET GLOBAL event_scheduler = ON").await?;
    }
    if !before.read_only {
        session.run("become writable", "SET GLOBAL read_only = OFF").await?;
    }
    Ok(())
}
