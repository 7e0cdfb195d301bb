//! Makes a server refuse the writes of applications; a lock that can't be had in time says what is in the way.

use rekindle_engine::step::StepError;

use crate::connection::Server;
use crate::error::ServerError;

/// How long sessions that lock tables may be waited for. The server's default is a day (MariaDB) or a year (MySQL),
/// and whoever waits for it sees nothing.
const LOCK_WAIT_SECONDS: u32 = 60;
/// `ER_LOCK_WAIT_TIMEOUT`
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// Sets `read_only`.
///
/// # Errors
/// Without the privilege, and when a session keeps tables locked (`LOCK TABLES`) or a statement writes for longer than
/// a minute: the server sets `read_only` only between those.
pub(crate) async fn become_read_only(server: &mut Server) -> Result<(), StepError> {
    become_read_only_within(server, LOCK_WAIT_SECONDS).await
}

async fn become_read_only_within(server: &mut Server, seconds: u32) -> Result<(), StepError> {
    run_within(server, seconds, "become read-only", "SET GLOBAL read_only = ON").await
}

/// Runs a statement that waits for what other sessions have locked, and not for longer than this. `what` fits
/// "did not …".
///
/// # Errors
/// When the server refuses it, or other sessions are in the way for longer: then with their names.
pub(crate) async fn run_within(
    server: &mut Server,
    seconds: u32,
    what: &str,
    statement: &str,
) -> Result<(), StepError> {
    let session = &mut server.session;
    let patience = format!("SET SESSION lock_wait_timeout = {seconds}");
    session.run("wait no longer for a lock", &patience).await?;
    match session.run(what, statement).await {
        Ok(()) => {}
        Err(error) if error.server_code() == Some(LOCK_WAIT_TIMEOUT) => {
            return Err(in_the_way(server, seconds, what).await);
        }
        Err(error) => return Err(error.into()),
    }
    let usual = "SET SESSION lock_wait_timeout = DEFAULT";
    Ok(session.run("wait as long as usual again", usual).await?)
}

async fn in_the_way(server: &mut Server, seconds: u32, what: &str) -> StepError {
    let target = server.session.target().to_owned();
    let who = match sessions(server).await {
        Ok(sessions) if !sessions.is_empty() => format!("; the longest open are {}", sessions.join(", ")),
        Ok(_) | Err(_) => String::new(),
    };
    StepError::transient(format!(
        "`{target}` did not {what} within {seconds} s: another session has locked tables, or writes{who}"
    ))
    .help(format!(
        "stop what writes to `{target}`, or end its session there (`SHOW PROCESSLIST`, then `KILL ID`); then resume the run"
    ))
}

/// How many sessions a message names.
const NAMED: u32 = 3;

/// Names other clients' sessions; which of them holds a lock a server tells only with instruments that are off.
async fn sessions(server: &mut Server) -> Result<Vec<String>, ServerError> {
    let query = format!(
        "SELECT CONCAT(id, ' of ', user, '@', host, ' (', LOWER(command), ', ', time, ' s)') \
         FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND command NOT LIKE 'Binlog Dump%' \
         AND command NOT IN ('Daemon', 'Connect') AND user NOT IN ('system user', 'event_scheduler') \
         ORDER BY time DESC, id LIMIT {NAMED}"
    );
    server.session.rows("list its sessions", &query).await
}

#[cfg(test)]
mod tests {
    use rekindle_engine::step::ErrorClass;

    use super::*;
    use crate::sandbox::testing::TempServer;
    use crate::testing::processes;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_session_that_keeps_tables_locked_is_told_instead_of_waited_for() {
        let server = TempServer::start("primary", &processes()).await.unwrap();
        let mut open = server.login().connect().await.unwrap();
        let mut locking = server.login().connect().await.unwrap();
        for statement in ["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT)", "LOCK TABLES shop.t WRITE"]
        {
            locking.session.run("lock a table", statement).await.unwrap();
        }
        let id: u64 = locking.session.row("tell its id", "SELECT CONNECTION_ID()").await.unwrap();

        let error = become_read_only_within(&mut open, 1).await.unwrap_err();

        assert_eq!(error.class, ErrorClass::Transient);
        let begin = "`primary` did not become read-only within 1 s: another session has locked tables, or writes; the \
                     longest open are ";
        assert!(error.message.starts_with(begin), "{error}");
        assert!(error.message.contains(&format!("{id} of root@")), "{error}");
        insta::assert_snapshot!(error.help.unwrap(), @"stop what writes to `primary`, or end its session there (`SHOW PROCESSLIST`, then `KILL ID`); then resume the run");
        let state = "SELECT CAST(@@GLOBAL.read_only AS UNSIGNED)";
        assert_eq!(open.session.row::<u8>("tell", state).await.unwrap(), 0);
        locking.session.run("let it go", "UNLOCK TABLES").await.unwrap();
        become_read_only(&mut open).await.unwrap();
        assert_eq!(open.session.row::<u8>("tell", state).await.unwrap(), 1);
        let waits = "SELECT @@SESSION.lock_wait_timeout = @@GLOBAL.lock_wait_timeout";
        assert_eq!(open.session.row::<u8>("tell", waits).await.unwrap(), 1);
    }
}
