//! What a server says of its binary logs.

use jiff::Timestamp;
use rekindle_backup::binlog::{GtidSet, ServerIdentity, log_number};
use rekindle_backup::manifest::Flavour;

use crate::connection::{Server, quote_string};
use crate::error::ServerError;

/// The kinds of events, as `SHOW BINLOG EVENTS` words them, that stand in a log without any transaction.
const BETWEEN: [&str; 7] =
    ["Format_desc", "Gtid_list", "Previous_gtids", "Binlog_checkpoint", "Start_encryption", "Rotate", "Stop"];
/// More events than these stand before the first transaction of no log.
const LOOKED_AT_EVENTS: usize = 8;

/// A binary log as a server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerLog {
    /// Its name.
    pub(crate) name: String,
    /// The number in its name.
    pub(crate) number: u64,
    /// The position of its end: its size, as its events count.
    pub(crate) size_bytes: u64,
}

/// What an encrypted log of MySQL begins with.
const ENCRYPTION_HEADER_BYTES: u64 = 512;

/// Gives the words that begin a new log.
pub(crate) const ROTATE: &str = "FLUSH BINARY LOGS";

/// Asks a server who it is.
pub(crate) async fn identity(server: &mut Server) -> Result<ServerIdentity, ServerError> {
    let what = "tell its identity";
    let version = server.version.clone();
    let session = &mut server.session;
    let server_id: u32 = session.row(what, "SELECT CAST(@@global.server_id AS UNSIGNED)").await?;
    let (server_uuid, gtid_domain_id, uid) = match version.flavour {
        Flavour::Mysql => (Some(session.row(what, "SELECT @@global.server_uuid").await?), None, None),
        Flavour::Mariadb => {
            let domain: u32 = session.row(what, "SELECT CAST(@@global.gtid_domain_id AS UNSIGNED)").await?;
            let uid: Option<(String, String)> =
                session.first(what, "SHOW GLOBAL VARIABLES LIKE 'server_uid'").await?;
            (None, Some(domain), uid.map(|(_, uid)| uid))
        }
    };
    Ok(ServerIdentity {
        flavour: version.flavour,
        version: version.text,
        server_id,
        server_uuid,
        gtid_domain_id,
        server_uid: uid,
    })
}

/// Tells whether a server writes binary logs at all.
pub(crate) async fn logs_at_all(server: &mut Server) -> Result<bool, ServerError> {
    let on: u8 =
        server.session.row("tell whether it logs", "SELECT CAST(@@global.log_bin AS UNSIGNED)").await?;
    Ok(on == 1)
}

/// Lists the logs, the oldest first; the last one is still written.
pub(crate) async fn logs(server: &mut Server) -> Result<Vec<ServerLog>, ServerError> {
    let what = "list its binary logs";
    let rows: Vec<mysql_async::Row> = server.session.rows(what, "SHOW BINARY LOGS").await?;
    let mut logs = Vec::with_capacity(rows.len());
    for row in rows {
        let answer = |why: &str| ServerError::Answer {
            target: server.session.target().to_owned(),
            what: what.to_owned(),
            why: why.to_owned(),
        };
        // MySQL 8 has a third column, MariaDB has not: whether the log is encrypted. Positions don't count what stands
        // before everything else in such a file (MySQL manual, "Encrypting Binary Log Files and Relay Log Files").
        let encrypted = row.get_opt::<String, _>(2).and_then(Result::ok).is_some_and(|word| word == "Yes");
        let name: String = row.get_opt(0).and_then(Result::ok).ok_or_else(|| answer("it has no names"))?;
        let size_bytes: u64 = row.get_opt(1).and_then(Result::ok).ok_or_else(|| answer("it has no sizes"))?;
        let number = log_number(&name).ok_or_else(|| answer("a log has a name that can't be stored"))?;
        let size_bytes = size_bytes.saturating_sub(if encrypted { ENCRYPTION_HEADER_BYTES } else { 0 });
        logs.push(ServerLog { name, number, size_bytes });
    }
    Ok(logs)
}

/// Gives the time by the server's own clock (UTC, whole seconds), whatever its time zone.
///
/// Not the session's: `UTC_TIMESTAMP` follows `SET TIMESTAMP`, and in MariaDB the newest event that was replayed in the
/// session, or in one before it that had its thread, when that lies in the future. `SYSDATE` does not,
/// but is local; a server with `--sysdate-is-now` has no other clock.
pub(crate) async fn now(server: &mut Server) -> Result<Timestamp, ServerError> {
    let what = "tell the time";
    let query = match server.version.flavour {
        Flavour::Mariadb => {
            "SET STATEMENT time_zone = '+00:00' FOR \
             SELECT CAST(TIMESTAMPDIFF(SECOND, '1970-01-01', SYSDATE()) AS SIGNED)"
        }
        Flavour::Mysql => "SELECT CAST(TIMESTAMPDIFF(SECOND, '1970-01-01', UTC_TIMESTAMP()) AS SIGNED)",
    };
    let seconds: i64 = server.session.row(what, query).await?;
    Timestamp::from_second(seconds).map_err(|error| ServerError::Answer {
        target: server.session.target().to_owned(),
        what: what.to_owned(),
        why: error.to_string(),
    })
}

/// Tells whether a log has no transaction in it.
pub(crate) async fn has_nothing(server: &mut Server, log: &str) -> Result<bool, ServerError> {
    let query = format!("SHOW BINLOG EVENTS IN {} LIMIT {LOOKED_AT_EVENTS}", quote_string(log));
    let rows: Vec<mysql_async::Row> = server.session.rows("show the events of a binary log", &query).await?;
    let is_between = |row: &mysql_async::Row| {
        row.get_opt::<String, _>(2).and_then(Result::ok).is_some_and(|kind| BETWEEN.contains(&kind.as_str()))
    };
    Ok(rows.len() < LOOKED_AT_EVENTS && rows.iter().all(is_between))
}

/// Gives the GTIDs of what a server has and none of its logs (MySQL): what was in logs that were purged, and what it was
/// restored with. MariaDB's logs say it themselves.
pub(crate) async fn in_no_log(server: &mut Server) -> Result<Option<GtidSet>, ServerError> {
    if server.version.flavour != Flavour::Mysql {
        return Ok(None);
    }
    let text: String =
        server.session.row("tell what is in none of its logs", "SELECT @@GLOBAL.gtid_purged").await?;
    Ok(GtidSet::read(Flavour::Mysql, &text))
}
