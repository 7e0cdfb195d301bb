//! Where a restored server stands in the stream of transactions: at the backup's GTID position, no other.

use rekindle_backup::manifest::Flavour;

use crate::connection::{Server, quote_identifier, quote_string};
use crate::error::ServerError;
use crate::flavour::ServerVersion;

/// Gives the statements that set the server to a GTID position, its own binary logs emptied.
///
/// The logs of before hold transactions of data that are gone: a replica that read them would diverge. Set on a
/// new primary, the position lets a replica of the same backup follow without a gap; set on the replica itself, it
/// is where it begins to follow.
/// (MariaDB: "Global Transaction ID", `gtid_binlog_state`, `gtid_slave_pos`; MySQL Reference Manual 19.1.3.)
pub(super) fn statements(version: &ServerVersion, log_bin: bool, gtid: &str) -> Vec<String> {
    let gtid = quote_string(gtid);
    match version.flavour {
        Flavour::Mariadb => {
            let mut statements = Vec::new();
            if log_bin {
                statements.push("RESET MASTER".to_owned());
                statements.push(format!("SET GLOBAL gtid_binlog_state = {gtid}"));
            }
            statements.push(format!("SET GLOBAL gtid_slave_pos = {gtid}"));
            statements
        }
        Flavour::Mysql => {
            let reset =
                if version.number >= (8, 2, 0) { "RESET BINARY LOGS AND GTIDS" } else { "RESET MASTER" };
            vec![reset.to_owned(), format!("SET GLOBAL gtid_purged = {gtid}")]
        }
    }
}

/// Gives the statements that make a server forget whom it followed.
pub(super) fn forget_source(version: &ServerVersion) -> [&'static str; 2] {
    match version.flavour {
        Flavour::Mariadb => ["STOP ALL SLAVES", "RESET SLAVE ALL"],
        Flavour::Mysql if version.number >= (8, 0, 22) => ["STOP REPLICA", "RESET REPLICA ALL"],
        Flavour::Mysql => ["STOP SLAVE", "RESET SLAVE ALL"],
    }
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
    let word = if server.version.is_at_least(Flavour::Mysql, (8, 0, 26)) { "REPLICA" } else { "SLAVE" };
    for (database, event) in events {
        let name = format!("{}.{}", quote_identifier(&database), quote_identifier(&event));
        let statement = format!("ALTER EVENT {name} DISABLE ON {word}");
        server.session.run("leave an event to the source", &statement).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> ServerVersion {
        ServerVersion::read(text, "").unwrap()
    }

    #[test]
    fn mariadb_takes_the_position_into_its_binlog_and_as_a_replica() {
        insta::assert_snapshot!(statements(&version("10.11.14-MariaDB"), true, "0-1-42,1-7-3").join("\n"), @r"
        RESET MASTER
        SET GLOBAL gtid_binlog_state = '0-1-42,1-7-3'
        SET GLOBAL gtid_slave_pos = '0-1-42,1-7-3'
        ");
        insta::assert_snapshot!(statements(&version("10.11.14-MariaDB"), false, "0-1-42").join("\n"), @"SET GLOBAL gtid_slave_pos = '0-1-42'");
    }

    #[test]
    fn mysql_takes_the_position_as_purged() {
        insta::assert_snapshot!(statements(&version("5.7.44"), true, "u:1-5").join("\n"), @r"
        RESET MASTER
        SET GLOBAL gtid_purged = 'u:1-5'
        ");
        insta::assert_snapshot!(statements(&version("8.4.3"), true, "u:1-5").join("\n"), @r"
        RESET BINARY LOGS AND GTIDS
        SET GLOBAL gtid_purged = 'u:1-5'
        ");
    }
}
