//! The statements of replication by flavour and version, as pure functions.
//!
//! Sources: MySQL 5.7, 8.0, 8.4 and 9 reference manuals, "SQL Statements for Controlling Replica Servers" and the
//! release notes of 8.0.22 (`REPLICA`), 8.0.23 (`CHANGE REPLICATION SOURCE TO`) and 8.2.0 (`BINARY LOG STATUS`,
//! `RESET BINARY LOGS AND GTIDS`); MariaDB manual, "CHANGE MASTER TO", "Global Transaction ID".

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::Secret;

use crate::connection::quote_string;
use crate::flavour::ServerVersion;
use crate::reset_replication::SourceTls;

/// Which words a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// MariaDB: `SLAVE`, `CHANGE MASTER TO … MASTER_USE_GTID=slave_pos`.
    Mariadb,
    /// MySQL before 8.0.23; its `SLAVE` words work until 8.3.
    MysqlMaster {
        /// Whether the source's key can be asked for (8.0.4), as `caching_sha2_password` without TLS needs.
        asks_for_key: bool,
    },
    /// MySQL from 8.0.23 on, with `RESET MASTER` still there.
    MysqlSource,
    /// MySQL from 8.2 on.
    MysqlBinaryLogs,
}

/// Makes the source write one transaction that changes no data: it reaches the binary log and gets a GTID
/// (MariaDB and MySQL manuals, "FLUSH": written to the binary log unless told otherwise). All it does is to set
/// the hourly counters of accounts with resource limits back.
pub(crate) const HEARTBEAT: &str = "FLUSH USER_RESOURCES";

/// Where a replica finds its source, and how it logs in there.
#[derive(Debug, Clone)]
pub(crate) struct SourceLogin {
    /// Host name or address, as the replica reaches it.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// The replication account.
    pub(crate) user: String,
    /// Its password.
    pub(crate) password: Secret,
    /// Whether over TLS, and how.
    pub(crate) tls: Option<SourceTls>,
}

impl Dialect {
    /// Finds the words of a server.
    pub(crate) fn of(version: &ServerVersion) -> Self {
        match version.flavour {
            Flavour::Mariadb => Self::Mariadb,
            Flavour::Mysql if version.number >= (8, 2, 0) => Self::MysqlBinaryLogs,
            Flavour::Mysql if version.number >= (8, 0, 23) => Self::MysqlSource,
            Flavour::Mysql => Self::MysqlMaster { asks_for_key: version.number >= (8, 0, 4) },
        }
    }

    fn replica(self) -> &'static str {
        match self {
            Self::Mariadb | Self::MysqlMaster { .. } => "SLAVE",
            Self::MysqlSource | Self::MysqlBinaryLogs => "REPLICA",
        }
    }

    /// Shows how a replica is.
    pub(crate) fn show_status(self) -> String {
        format!("SHOW {} STATUS", self.replica())
    }

    /// Stops a replica's threads; no error when they don't run.
    pub(crate) fn stop(self) -> String {
        format!("STOP {}", self.replica())
    }

    /// Starts a replica's threads.
    pub(crate) fn start(self) -> String {
        format!("START {}", self.replica())
    }

    /// Makes a replica forget its source.
    pub(crate) fn forget_source(self) -> String {
        format!("RESET {} ALL", self.replica())
    }

    /// Makes a server forget everybody it follows; no error when it follows nobody.
    pub(crate) fn leave_sources(self) -> [&'static str; 2] {
        match self {
            // Also the connections with a name, which `STOP SLAVE` leaves running.
            Self::Mariadb => ["STOP ALL SLAVES", "RESET SLAVE ALL"],
            Self::MysqlMaster { .. } => ["STOP SLAVE", "RESET SLAVE ALL"],
            Self::MysqlSource | Self::MysqlBinaryLogs => ["STOP REPLICA", "RESET REPLICA ALL"],
        }
    }

    /// Disables an event on a replica, as replication itself does; `name` is quoted. The word follows
    /// `CHANGE REPLICATION SOURCE TO` only from 8.0.26 on, but the old one works until 8.3.
    pub(crate) fn leave_event_to_source(self, name: &str) -> String {
        let word = if self == Self::MysqlBinaryLogs { "REPLICA" } else { "SLAVE" };
        format!("ALTER EVENT {name} DISABLE ON {word}")
    }

    /// Empties a server's own binary log, which then has no GTID.
    fn reset_binary_log(self) -> &'static str {
        match self {
            Self::Mariadb | Self::MysqlMaster { .. } | Self::MysqlSource => "RESET MASTER",
            Self::MysqlBinaryLogs => "RESET BINARY LOGS AND GTIDS",
        }
    }

    /// Asks where a server's own binary log stands: its name, and the position of its end.
    pub(crate) fn log_status(self) -> &'static str {
        match self {
            Self::Mariadb | Self::MysqlMaster { .. } | Self::MysqlSource => "SHOW MASTER STATUS",
            Self::MysqlBinaryLogs => "SHOW BINARY LOG STATUS",
        }
    }

    /// Sets a server to a GTID position, its own binary logs emptied. `log_bin` tells whether it writes any.
    ///
    /// The logs of before hold transactions of data that are gone: a replica that read them would diverge. Set on
    /// a new primary, the position lets a replica of the same backup follow without a gap; set on the replica
    /// itself, it is where it begins to follow. The empty position is that of a server without any transaction.
    /// (MariaDB manual, "Global Transaction ID", `gtid_binlog_state`, `gtid_slave_pos`; MySQL Reference Manual
    /// 19.1.3.)
    pub(crate) fn stand_at(self, log_bin: bool, gtid: &str) -> Vec<String> {
        self.stand_at_text(log_bin, &quote_string(gtid))
    }

    /// As [`Dialect::stand_at`], for people: `gtid` is shown as it is.
    pub(crate) fn stand_at_shown(self, log_bin: bool, gtid: &str) -> Vec<String> {
        let is_known = !gtid.starts_with('(');
        if is_known { self.stand_at(log_bin, gtid) } else { self.stand_at_text(log_bin, gtid) }
    }

    fn stand_at_text(self, log_bin: bool, gtid: &str) -> Vec<String> {
        let mut statements = Vec::new();
        let is_mariadb = self == Self::Mariadb;
        // MySQL's GTIDs are reset by it too; MariaDB refuses it without a binary log.
        if log_bin || !is_mariadb {
            statements.push(self.reset_binary_log().to_owned());
        }
        if is_mariadb {
            if log_bin {
                statements.push(format!("SET GLOBAL gtid_binlog_state = {gtid}"));
            }
            statements.push(format!("SET GLOBAL gtid_slave_pos = {gtid}"));
        } else if gtid != "''" {
            statements.push(format!("SET GLOBAL gtid_purged = {gtid}"));
        }
        statements
    }

    /// Points a replica at its source by GTID. Holds the password.
    pub(crate) fn change_source(self, source: &SourceLogin) -> Secret {
        Secret::new(self.change_source_text(source, &quote_string(source.password.expose())))
    }

    /// As [`Dialect::change_source`], with `***` for the password.
    pub(crate) fn change_source_masked(self, source: &SourceLogin) -> String {
        self.change_source_text(source, "'***'")
    }

    fn change_source_text(self, source: &SourceLogin, password: &str) -> String {
        let (statement, word, by_gtid) = match self {
            Self::Mariadb => ("CHANGE MASTER TO", "MASTER", "MASTER_USE_GTID=slave_pos"),
            Self::MysqlMaster { asks_for_key: false } => {
                ("CHANGE MASTER TO", "MASTER", "MASTER_AUTO_POSITION=1")
            }
            Self::MysqlMaster { asks_for_key: true } => {
                ("CHANGE MASTER TO", "MASTER", "MASTER_AUTO_POSITION=1, GET_MASTER_PUBLIC_KEY=1")
            }
            Self::MysqlSource | Self::MysqlBinaryLogs => {
                ("CHANGE REPLICATION SOURCE TO", "SOURCE", "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1")
            }
        };
        format!(
            "{statement} {word}_HOST={}, {word}_PORT={}, {word}_USER={}, {word}_PASSWORD={password}, \
             {word}_CONNECT_RETRY=10, {by_gtid}{}",
            quote_string(&source.host),
            source.port,
            quote_string(&source.user),
            source.tls.as_ref().map_or_else(String::new, |tls| over_tls(tls, word)),
        )
    }

    /// Asks for the position of a source's binary log.
    pub(crate) fn source_position(self) -> &'static str {
        match self {
            Self::Mariadb => "SELECT @@global.gtid_binlog_pos",
            Self::MysqlMaster { .. } | Self::MysqlSource | Self::MysqlBinaryLogs => {
                "SELECT @@global.gtid_executed"
            }
        }
    }

    /// Asks for the position that a replica has applied.
    pub(crate) fn replica_position(self) -> &'static str {
        match self {
            Self::Mariadb => "SELECT @@global.gtid_slave_pos",
            Self::MysqlMaster { .. } | Self::MysqlSource | Self::MysqlBinaryLogs => {
                "SELECT @@global.gtid_executed"
            }
        }
    }

    /// Waits on a replica until it has applied everything up to a position: answers 0, or something else when
    /// the time is up.
    pub(crate) fn wait_for(self, gtid: &str, seconds: u32) -> String {
        let function = match self {
            Self::Mariadb => "MASTER_GTID_WAIT",
            Self::MysqlMaster { .. } | Self::MysqlSource | Self::MysqlBinaryLogs => {
                "WAIT_FOR_EXECUTED_GTID_SET"
            }
        };
        format!("SELECT {function}({}, {seconds})", quote_string(gtid))
    }
}

/// The part of `CHANGE … TO` that is about TLS.
fn over_tls(tls: &SourceTls, word: &str) -> String {
    if tls.enabled == Some(false) {
        return format!(", {word}_SSL=0");
    }
    let ca = tls.ca.as_ref().map(|ca| format!(", {word}_SSL_CA={}", quote_string(ca)));
    let verify = tls.verify.map(|verify| format!(", {word}_SSL_VERIFY_SERVER_CERT={}", u8::from(verify)));
    format!(", {word}_SSL=1{}{}", ca.unwrap_or_default(), verify.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(version: &str) -> Dialect {
        Dialect::of(&ServerVersion::read(version, "").unwrap())
    }

    fn statements(version: &str) -> String {
        let dialect = dialect(version);
        let source = SourceLogin {
            host: "db-1".to_owned(),
            port: 3306,
            user: "repl".to_owned(),
            password: Secret::new("p'a"),
            tls: None,
        };
        [
            dialect.stop(),
            dialect.forget_source(),
            dialect.stand_at(true, "G").join("\n"),
            dialect.change_source(&source).expose().to_owned(),
            dialect.start(),
            dialect.show_status(),
            dialect.wait_for("G", 1),
        ]
        .join("\n")
    }

    #[test]
    fn mariadb_keeps_its_words() {
        insta::assert_snapshot!(statements("10.11.14-MariaDB"), @r"
        STOP SLAVE
        RESET SLAVE ALL
        RESET MASTER
        SET GLOBAL gtid_binlog_state = 'G'
        SET GLOBAL gtid_slave_pos = 'G'
        CHANGE MASTER TO MASTER_HOST='db-1', MASTER_PORT=3306, MASTER_USER='repl', MASTER_PASSWORD='p\'a', MASTER_CONNECT_RETRY=10, MASTER_USE_GTID=slave_pos
        START SLAVE
        SHOW SLAVE STATUS
        SELECT MASTER_GTID_WAIT('G', 1)
        ");
        assert_eq!(statements("11.8.2-MariaDB"), statements("10.11.14-MariaDB"));
    }

    #[test]
    fn mysql_5_7_has_masters_and_no_key_to_ask_for() {
        insta::assert_snapshot!(statements("5.7.44-log"), @r"
        STOP SLAVE
        RESET SLAVE ALL
        RESET MASTER
        SET GLOBAL gtid_purged = 'G'
        CHANGE MASTER TO MASTER_HOST='db-1', MASTER_PORT=3306, MASTER_USER='repl', MASTER_PASSWORD='p\'a', MASTER_CONNECT_RETRY=10, MASTER_AUTO_POSITION=1
        START SLAVE
        SHOW SLAVE STATUS
        SELECT WAIT_FOR_EXECUTED_GTID_SET('G', 1)
        ");
    }

    #[test]
    fn mysql_8_0_has_sources_from_patch_23_on() {
        assert!(statements("8.0.22").contains("CHANGE MASTER TO"));
        assert!(statements("8.0.22").contains("GET_MASTER_PUBLIC_KEY=1"));
        insta::assert_snapshot!(statements("8.0.42"), @r"
        STOP REPLICA
        RESET REPLICA ALL
        RESET MASTER
        SET GLOBAL gtid_purged = 'G'
        CHANGE REPLICATION SOURCE TO SOURCE_HOST='db-1', SOURCE_PORT=3306, SOURCE_USER='repl', SOURCE_PASSWORD='p\'a', SOURCE_CONNECT_RETRY=10, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1
        START REPLICA
        SHOW REPLICA STATUS
        SELECT WAIT_FOR_EXECUTED_GTID_SET('G', 1)
        ");
    }

    #[test]
    fn over_tls_each_says_it_in_its_words() {
        let tls = SourceTls { enabled: None, ca: Some("/etc/ca'.pem".to_owned()), verify: Some(true) };
        let source = SourceLogin {
            host: "h".to_owned(),
            port: 1,
            user: "u".to_owned(),
            password: Secret::new("p"),
            tls: Some(tls),
        };
        let end = |version: &str, source: &SourceLogin| {
            let text = dialect(version).change_source_masked(source);
            text.split_once("_CONNECT_RETRY=10, ").unwrap().1.to_owned()
        };
        insta::assert_snapshot!(end("10.11.14-MariaDB", &source), @r"MASTER_USE_GTID=slave_pos, MASTER_SSL=1, MASTER_SSL_CA='/etc/ca\'.pem', MASTER_SSL_VERIFY_SERVER_CERT=1");
        insta::assert_snapshot!(end("5.7.44-log", &source), @r"MASTER_AUTO_POSITION=1, MASTER_SSL=1, MASTER_SSL_CA='/etc/ca\'.pem', MASTER_SSL_VERIFY_SERVER_CERT=1");
        let source = SourceLogin { tls: Some(SourceTls::default()), ..source };
        insta::assert_snapshot!(end("8.4.3", &source), @"SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_SSL=1");
        let without = SourceTls { enabled: Some(false), ..SourceTls::default() };
        let source = SourceLogin { tls: Some(without), ..source };
        insta::assert_snapshot!(end("9.7.0", &source), @"SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_SSL=0");
    }

    #[test]
    fn mysql_8_4_and_9_reset_binary_logs() {
        for version in ["8.4.3", "9.7.0"] {
            let text = statements(version);
            assert!(text.contains("\nRESET BINARY LOGS AND GTIDS\n"), "{text}");
            assert!(!text.contains("MASTER") && !text.contains("SLAVE"), "{text}");
        }
    }

    #[test]
    fn each_is_asked_in_its_own_words_where_its_binary_log_stands() {
        let versions = ["5.7.44-log", "8.0.42", "8.1.0", "8.2.0", "8.4.3", "9.7.0", "10.11.14-MariaDB"];
        let table = versions.map(|version| format!("{version}: {}", dialect(version).log_status()));
        insta::assert_snapshot!(table.join("\n"), @r"
        5.7.44-log: SHOW MASTER STATUS
        8.0.42: SHOW MASTER STATUS
        8.1.0: SHOW MASTER STATUS
        8.2.0: SHOW BINARY LOG STATUS
        8.4.3: SHOW BINARY LOG STATUS
        9.7.0: SHOW BINARY LOG STATUS
        10.11.14-MariaDB: SHOW MASTER STATUS
        ");
    }

    #[test]
    fn a_mariadb_without_binary_log_has_none_to_empty() {
        let shown = dialect("10.11.14-MariaDB").stand_at(false, "0-1-42").join("\n");
        insta::assert_snapshot!(shown, @"SET GLOBAL gtid_slave_pos = '0-1-42'");
        let shown = dialect("8.4.3").stand_at(false, "u:1-5").join("\n");
        insta::assert_snapshot!(shown, @r"
        RESET BINARY LOGS AND GTIDS
        SET GLOBAL gtid_purged = 'u:1-5'
        ");
    }

    #[test]
    fn a_position_that_is_not_known_is_shown_as_that() {
        let shown = dialect("8.0.42").stand_at_shown(true, "(known after restore)").join("\n");
        insta::assert_snapshot!(shown, @r"
        RESET MASTER
        SET GLOBAL gtid_purged = (known after restore)
        ");
    }

    #[test]
    fn what_people_see_has_no_password() {
        let source = SourceLogin {
            host: "h".to_owned(),
            port: 1,
            user: "u".to_owned(),
            password: Secret::new("canary"),
            tls: None,
        };
        let shown = dialect("10.11.14-MariaDB").change_source_masked(&source);
        assert!(shown.contains("MASTER_PASSWORD='***'") && !shown.contains("canary"), "{shown}");
        let debug = format!("{source:?} {:?}", dialect("8.4.3").change_source(&source));
        assert!(!debug.contains("canary"), "{debug}");
    }
}
