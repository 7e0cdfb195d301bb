//! What a server remembers of a restore or a replay: one JSON text each, in tables of [`MARKER_DATABASE`]. It is how
//! another process knows whose data these are, how far they are, and what the server was like before.

use rekindle_backup::inventory::MARKER_DATABASE;
use rekindle_engine::step::StepError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{Server, quote_string};
use crate::error::ServerError;

/// Where a marker is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    table: &'static str,
    row: u8,
}

impl Slot {
    /// Of a restore of all that the server holds.
    pub(crate) const WHOLE: Self = Self { table: "state", row: 1 };
    /// Of a restore of some databases or tables, on a server that is in use.
    pub(crate) const PART: Self = Self { table: "state", row: 2 };
    /// Of a replay of binary logs.
    pub(crate) const REPLAY: Self = Self { table: "replay", row: 1 };
}

/// Prepares a session for the marker: its writes are for this server alone, and have no GTID.
///
/// # Errors
/// Without the privilege to keep writes out of the binary log.
pub(crate) async fn prepare(server: &mut Server) -> Result<(), ServerError> {
    let session = &mut server.session;
    // It waits while another one loads, which may take a day; the server's default is 8 hours.
    session.run("wait for the load", "SET SESSION wait_timeout = 31536000").await?;
    // The marker is quoted with backslashes.
    session.run("set its SQL mode", "SET SESSION sql_mode = ''").await?;
    session.run("keep the marker out of its binary log", "SET SESSION sql_log_bin = 0").await
}

/// How long an earlier session of a killed runner may take to end its last statement.
pub(crate) const LOCK_WAIT_SECONDS: u32 = 60;

/// Makes sure that no other session is at the same: a runner that was killed leaves one that ends its last statement.
/// `work` names the lock, and `does` fits "another session … `primary`".
///
/// # Errors
/// When another session keeps the lock for longer than [`LOCK_WAIT_SECONDS`].
pub(crate) async fn lock(server: &mut Server, work: &str, does: &str) -> Result<(), StepError> {
    let query = format!("SELECT GET_LOCK('rekindle.{work}', {LOCK_WAIT_SECONDS})");
    let got: Option<i64> = server.session.row(&format!("lock it for the {work}"), &query).await?;
    if got == Some(1) {
        return Ok(());
    }
    let target = server.session.target();
    Err(StepError::transient(format!("another session {does} `{target}`"))
        .help("wait for it, or end it: `SHOW PROCESSLIST` on the server shows it"))
}

/// Reads a marker, if there is one. One that can't be read is none of ours: the data count as somebody's.
pub(crate) async fn read<T: DeserializeOwned>(
    server: &mut Server,
    slot: Slot,
) -> Result<Option<T>, ServerError> {
    if !has_table(server, slot).await? {
        return Ok(None);
    }
    let Slot { table, row } = slot;
    let query = format!("SELECT marker FROM {MARKER_DATABASE}.{table} WHERE id = {row}");
    let text: Option<String> = server.session.first("read the marker", &query).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Writes a marker, in place of an older one.
pub(crate) async fn write<T: Serialize + Sync>(
    server: &mut Server,
    slot: Slot,
    marker: &T,
) -> Result<(), ServerError> {
    let what = "write the marker";
    let text = serde_json::to_string(marker).map_err(|error| ServerError::Answer {
        target: server.session.target().to_owned(),
        what: what.to_owned(),
        why: error.to_string(),
    })?;
    let Slot { table, row } = slot;
    let session = &mut server.session;
    session.run(what, &format!("CREATE DATABASE IF NOT EXISTS {MARKER_DATABASE}")).await?;
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {MARKER_DATABASE}.{table} (id INT PRIMARY KEY, marker LONGTEXT NOT NULL) \
         ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
    );
    session.run(what, &create).await?;
    let text = quote_string(&text);
    session.run(what, &format!("REPLACE INTO {MARKER_DATABASE}.{table} VALUES ({row}, {text})")).await
}

async fn has_table(server: &mut Server, Slot { table, .. }: Slot) -> Result<bool, ServerError> {
    let query = format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = '{MARKER_DATABASE}' AND table_name = '{table}'"
    );
    Ok(server.session.first::<u64>("look for a marker", &query).await?.is_some())
}

/// Forgets a marker, if there is one.
pub(crate) async fn forget(server: &mut Server, slot: Slot) -> Result<(), ServerError> {
    if !has_table(server, slot).await? {
        return Ok(());
    }
    let Slot { table, row } = slot;
    let delete = format!("DELETE FROM {MARKER_DATABASE}.{table} WHERE id = {row}");
    server.session.run("forget an earlier marker", &delete).await
}
