//! What a dump sees, for other sessions: a short lock, under which the dump's snapshot and others open side by side; the
//! others are then read at leisure.

use std::time::Duration;

use rekindle_backup::manifest::Flavour;
use tokio::sync::oneshot;

use crate::connection::{Login, Session};
use crate::error::ServerError;
use crate::flavour::ServerVersion;

/// How long the lock is waited for; while it is, what writes waits behind it.
const LOCK_WAIT_SECONDS: u32 = 10;
/// How long it is held for a dump that does not begin.
const HELD_AT_MOST: Duration = Duration::from_secs(30);

/// A snapshot that is open, and the lock that keeps it the newest state until the dump has its own.
pub(super) struct Snapshot {
    reading: Vec<Session>,
    lock: Lock,
}

struct Lock {
    session: Session,
    release: &'static str,
}

/// Gives the statements that stop commits, and the one that lets them go on. `BACKUP STAGE` (MariaDB manual) lets queries go
/// on and stops nothing else; elsewhere the client takes the same lock for the dump's position (MySQL manual,
/// "mysqldump", `--source-data`).
fn statements(version: &ServerVersion) -> (&'static [&'static str], &'static str) {
    if version.is_at_least(Flavour::Mariadb, (10, 4, 1)) {
        (&["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"], "BACKUP STAGE END")
    } else {
        (&["FLUSH TABLES WITH READ LOCK"], "UNLOCK TABLES")
    }
}

impl Lock {
    /// Stops commits.
    async fn take(login: &Login, version: &ServerVersion) -> Result<Self, ServerError> {
        let mut session = login.connect().await?.session;
        let (take, release) = statements(version);
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

/// Opens a session that sees the server as it is now for as long as it reads.
///
/// # Errors
/// When the server refuses.
pub(crate) async fn open_snapshot(login: &Login) -> Result<Session, ServerError> {
    let mut session = login.connect().await?.session;
    let what = "open a snapshot";
    // A session of MariaDB that would log lets no table go at `ROLLBACK TO SAVEPOINT`. Not every account may switch it off.
    match session.run(what, "SET SESSION sql_log_bin = 0").await {
        Err(error) if error.server_code().is_none() => return Err(error),
        Ok(()) | Err(_) => {}
    }
    session.run(what, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    session.run(what, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    Ok(session)
}

impl Snapshot {
    /// Stops commits and opens the same snapshot in so many sessions. Whatever ends this program ends them all, and so the
    /// lock.
    ///
    /// # Errors
    /// Without the privilege RELOAD, and when a long statement keeps the lock from being had in time.
    pub(super) async fn open(
        login: &Login,
        version: &ServerVersion,
        sessions: usize,
    ) -> Result<Self, ServerError> {
        let lock = Lock::take(login, version).await?;
        let mut reading = Vec::new();
        for _ in 0..sessions {
            reading.push(open_snapshot(login).await?);
        }
        Ok(Self { reading, lock })
    }

    /// Lets commits go on as soon as the dump's snapshot is open, and gives the sessions that see what it sees.
    ///
    /// # Errors
    /// What is in the way: the lock was lost, or the dump did not begin in time.
    pub(super) async fn shared(self, dump_is_open: oneshot::Receiver<()>) -> Result<Vec<Session>, String> {
        let Self { reading, lock } = self;
        let is_open = matches!(tokio::time::timeout(HELD_AT_MOST, dump_is_open).await, Ok(Ok(())));
        lock.release().await.map_err(|error| error.to_string())?;
        if is_open { Ok(reading) } else { Err("the dump did not begin in time".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_stopped_by_what_the_version_has_for_it() {
        let stages = (&["BACKUP STAGE START", "BACKUP STAGE BLOCK_COMMIT"][..], "BACKUP STAGE END");
        let lock = (&["FLUSH TABLES WITH READ LOCK"][..], "UNLOCK TABLES");
        for (version, expected) in [
            ("10.3.39-MariaDB", lock),
            ("10.4.0-MariaDB", lock),
            ("10.4.1-MariaDB", stages),
            ("11.8.2-MariaDB", stages),
            ("5.7.44-log", lock),
            ("8.0.36", lock),
            ("9.7.0", lock),
        ] {
            assert_eq!(statements(&ServerVersion::read(version, "").unwrap()), expected, "{version}");
        }
    }
}
