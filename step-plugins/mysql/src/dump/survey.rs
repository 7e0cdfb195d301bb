//! What has to be known of a server before it is dumped.

use rekindle_backup::inventory::{SYSTEM_DATABASES, is_of_restore};
use rekindle_backup::manifest::Flavour;

use super::DumpScope;
use crate::connection::{Server, Session, quote_string};
use crate::error::ServerError;
use crate::shown::first;

/// What a look at a server gave.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Whether it writes a binary log.
    pub(super) log_bin: bool,
    /// Whether it keeps GTIDs (MySQL).
    pub(super) gtid_mode: bool,
    /// Databases of users, by name.
    pub(super) databases: Vec<String>,
    /// What these databases have beside routines and events; only where a dump is of some of it.
    pub(super) relations: Vec<Relation>,
    /// `database.table (ENGINE)` that one transaction does not cover.
    pub(super) not_transactional: Vec<String>,
    /// System-versioned tables (MariaDB).
    pub(super) versioned: Vec<Versioned>,
    /// Events that make MariaDB's client loop for ever.
    pub(super) endless_events: Vec<String>,
}

/// A table, view or sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) database: String,
    pub(super) name: String,
    pub(super) is_table: bool,
}

/// A table whose old rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versioned {
    pub(super) database: String,
    pub(super) table: String,
    /// Whether the server notes the transactions that changed a row, which mean nothing elsewhere, and not the times.
    pub(super) by_transaction: bool,
}

/// The engines that one transaction covers.
const TRANSACTIONAL: [&str; 3] = ["InnoDB", "ROCKSDB", "TokuDB"];

/// How many names a message shows.
const SHOWN_NAMES: usize = 5;

impl Survey {
    /// Looks at the server, for a dump of this scope.
    pub(super) async fn of(server: &mut Server, scope: DumpScope) -> Result<Self, ServerError> {
        let mariadb = server.version.flavour == Flavour::Mariadb;
        let session = &mut server.session;
        let log_bin: u8 = session.row("tell whether it logs", "SELECT @@GLOBAL.log_bin").await?;
        let gtid_mode = if mariadb {
            false
        } else {
            let mode: String = session.row("tell its GTID mode", "SELECT @@GLOBAL.gtid_mode").await?;
            mode.eq_ignore_ascii_case("ON")
        };
        let names = "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name";
        let databases: Vec<String> = session.rows("list its databases", names).await?;
        let tables = format!(
            "SELECT CONCAT(table_schema, '.', table_name, ' (', COALESCE(engine, 'none'), ')') \
             FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema') \
             AND COALESCE(engine, 'none') NOT IN ({}) ORDER BY 1",
            transactional()
        );
        let not_transactional = session.rows("list its tables", &tables).await?;
        let mut survey = Self {
            log_bin: log_bin == 1,
            gtid_mode,
            databases: databases.into_iter().filter(|name| is_of_users(name)).collect(),
            not_transactional,
            ..Self::default()
        };
        if scope == DumpScope::Tables {
            let all = "SELECT table_schema, table_name, table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') \
                 FROM information_schema.tables ORDER BY 1, 2";
            let all: Vec<(String, String, bool)> = session.rows("list its tables", all).await?;
            survey.relations = all
                .into_iter()
                .map(|(database, name, is_table)| Relation { database, name, is_table })
                .collect();
        }
        if mariadb {
            survey.versioned = versioned(session).await?;
            // The client looks for a delimiter that is not in the body and, with `;;` in it, never ends
            // (`create_delimiter` in mysqldump.c counts up the wrong variable).
            let endless = "SELECT CONCAT(event_schema, '.', event_name) FROM information_schema.events \
                 WHERE event_definition LIKE '%;;%' ORDER BY 1";
            survey.endless_events = session.rows("list its events", endless).await?;
        }
        Ok(survey)
    }
}

async fn versioned(session: &mut Session) -> Result<Vec<Versioned>, ServerError> {
    let what = "list its versioned tables";
    let tables = "SELECT table_schema, table_name FROM information_schema.tables \
         WHERE table_type = 'SYSTEM VERSIONED' ORDER BY 1, 2";
    let tables: Vec<(String, String)> = session.rows(what, tables).await?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let by_transaction = "SELECT table_schema, table_name FROM information_schema.columns \
         WHERE generation_expression = 'ROW START' AND data_type = 'bigint'";
    let by_transaction: Vec<(String, String)> = session.rows(what, by_transaction).await?;
    let read = |(database, table): (String, String)| {
        let by_transaction = by_transaction.iter().any(|one| (&one.0, &one.1) == (&database, &table));
        Versioned { database, table, by_transaction }
    };
    Ok(tables.into_iter().map(read).collect())
}

/// Gives the names of the engines that one transaction covers, as a list of SQL.
pub(super) fn transactional() -> String {
    TRANSACTIONAL.map(quote_string).join(", ")
}

/// Tells whether one transaction covers an engine.
pub(super) fn is_transactional(engine: &str) -> bool {
    TRANSACTIONAL.iter().any(|one| one.eq_ignore_ascii_case(engine))
}

fn is_of_users(name: &str) -> bool {
    // `#mysql50#lost+found` is a folder beside the databases, not one of them.
    !SYSTEM_DATABASES.iter().any(|system| system.eq_ignore_ascii_case(name))
        && !is_of_restore(name)
        && !name.starts_with("#mysql50#")
}

/// Gives the first of some names, and how many there are beside.
pub(super) fn some(names: &[String]) -> String {
    first(SHOWN_NAMES, names, ", ")
}
