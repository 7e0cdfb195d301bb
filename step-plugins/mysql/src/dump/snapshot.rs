//! Checksums of a dump's tables at its consistent point: a short lock, under which the dump's snapshot and another one
//! open side by side; the other one is then read at leisure.

use std::time::Duration;

use rekindle_backup::inventory::Inventory;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepContext;
use tokio::sync::oneshot;

use super::choose::Chosen;
use crate::checksum::add_checksums;
use crate::connection::{Login, Session};
use crate::error::ServerError;
use crate::flavour::ServerVersion;

/// How long the lock is waited for; while it is, what writes waits behind it.
const LOCK_WAIT_SECONDS: u32 = 10;
/// How long it is held for a dump that does not begin.
const HELD_AT_MOST: Duration = Duration::from_secs(30);

/// A snapshot that is open, and the lock that keeps it the newest state until the dump has its own.
pub(super) struct Snapshot {
    reading: Session,
    lock: Lock,
}

struct Lock {
    session: Session,
    release: &'static str,
}

impl Lock {
    /// Stops commits. `BACKUP STAGE` (MariaDB manual) lets queries go on and stops nothing else; elsewhere the client
    /// takes the same lock for the dump's position (MySQL manual, "mysqldump", `--source-data`).
    async fn take(login: &Login, version: &ServerVersion) -> Result<Self, ServerError> {
        let mut session = login.connect().await?.session;
        let (take, release): (&[&str], _) = if version.is_at_least(Flavour::Mariadb, (10, 4, 1)) {
            (&["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"], "BACKUP STAGE END")
        } else {
            (&["FLUSH TABLES WITH READ LOCK"], "UNLOCK TABLES")
        };
        let patience = format!("SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}");
        session.run("wait no longer for a lock", &patience).await?;
        for statement in take {
            session.run("stop commits for a moment", statement).await?;
        }
        Ok(Self { session, release })
    }

    async fn release(mut self) -> Result<(), ServerError> {
        self.session.run("let commits go on", self.release).await?;
        self.session.close().await;
        Ok(())
    }
}

impl Snapshot {
    /// Stops commits and opens a snapshot. Whatever ends this program ends both sessions, and so the lock.
    ///
    /// # Errors
    /// Without the privilege RELOAD, and when a long statement keeps the lock from being had in time.
    pub(super) async fn open(login: &Login, version: &ServerVersion) -> Result<Self, ServerError> {
        let lock = Lock::take(login, version).await?;
        let mut reading = login.connect().await?.session;
        let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        reading.run("open a snapshot", isolation).await?;
        reading.run("open a snapshot", "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        Ok(Self { reading, lock })
    }

    /// Lets commits go on as soon as the dump's snapshot is open, and gives the checksums of the transactional tables in it.
    /// Without them a dump is as good: whatever is in the way is a warning, and nothing is given.
    pub(super) async fn read(
        self,
        dump_is_open: oneshot::Receiver<()>,
        chosen: &Chosen,
        cx: &StepContext,
    ) -> Inventory {
        let Self { mut reading, lock } = self;
        let is_open = matches!(tokio::time::timeout(HELD_AT_MOST, dump_is_open).await, Ok(Ok(())));
        if let Err(error) = lock.release().await {
            cx.warn(&without(&error.to_string()));
            return Inventory::default();
        }
        if !is_open {
            cx.warn(&without("the dump did not begin in time"));
            return Inventory::default();
        }
        let taken = sums(&mut reading, chosen, cx).await;
        reading.close().await;
        taken.unwrap_or_else(|error| {
            cx.warn(&without(&error.to_string()));
            Inventory::default()
        })
    }
}

/// Says that a dump has no checksums, and why.
pub(super) fn without(why: &str) -> String {
    format!("the backup gets no checksums of its tables, a restore drill will compare rows only: {why}")
}

async fn sums(reading: &mut Session, chosen: &Chosen, cx: &StepContext) -> Result<Inventory, ServerError> {
    let query = "SELECT table_schema, table_name FROM information_schema.tables \
         WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND engine IN ('InnoDB', 'ROCKSDB', 'TokuDB')";
    let tables: Vec<(String, String)> = reading.rows("list its tables", query).await?;
    let mut inventory = Inventory::default();
    for (database, table) in tables.into_iter().filter(|(database, table)| chosen.has(database, table)) {
        inventory.databases.entry(database).or_default().tables.entry(table).or_default();
    }
    let mut skipped = Vec::new();
    add_checksums(reading, &mut inventory, |database, table| skipped.push(format!("{database}.{table}")))
        .await?;
    if !skipped.is_empty() {
        cx.warn(&without(&format!("these were changed while they were read: {}", skipped.join(", "))));
    }
    Ok(inventory)
}
