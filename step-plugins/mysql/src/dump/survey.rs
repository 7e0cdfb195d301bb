//! What has to be known of a server before it is dumped.

use rekindle_backup::inventory::{SYSTEM_DATABASES, is_of_restore};
use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepError;

use super::{DumpParams, DumpScope};
use crate::connection::Server;
use crate::error::ServerError;

/// What a look at a server gave.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Whether it writes a binary log.
    pub(super) log_bin: bool,
    /// Whether it keeps GTIDs (MySQL).
    pub(super) gtid_mode: bool,
    /// Databases of users, by name.
    pub(super) databases: Vec<String>,
    /// `database.table (ENGINE)` that one transaction does not cover.
    pub(super) not_transactional: Vec<String>,
    /// `database.table` whose old row versions are in no dump.
    pub(super) versioned: Vec<String>,
    /// Events that make MariaDB's client loop for ever.
    pub(super) endless_events: Vec<String>,
}

/// How many names a message shows.
const SHOWN_NAMES: usize = 5;

impl Survey {
    /// Looks at the server.
    pub(super) async fn of(server: &mut Server) -> Result<Self, ServerError> {
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
        let tables = "SELECT CONCAT(table_schema, '.', table_name, ' (', COALESCE(engine, 'none'), ')') \
             FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN \
             ('mysql', 'sys', 'information_schema', 'performance_schema') \
             AND COALESCE(engine, 'none') NOT IN ('InnoDB', 'ROCKSDB', 'TokuDB') ORDER BY 1";
        let not_transactional = session.rows("list its tables", tables).await?;
        let mut survey = Self {
            log_bin: log_bin == 1,
            gtid_mode,
            databases: databases.into_iter().filter(|name| is_of_users(name)).collect(),
            not_transactional,
            ..Self::default()
        };
        if mariadb {
            let versioned = "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.tables \
                 WHERE table_type = 'SYSTEM VERSIONED' ORDER BY 1";
            survey.versioned = session.rows("list its versioned tables", versioned).await?;
            // The client looks for a delimiter that is not in the body and, with `;;` in it, never ends
            // (`create_delimiter` in mysqldump.c counts up the wrong variable).
            let endless = "SELECT CONCAT(event_schema, '.', event_name) FROM information_schema.events \
                 WHERE event_definition LIKE '%;;%' ORDER BY 1";
            survey.endless_events = session.rows("list its events", endless).await?;
        }
        Ok(survey)
    }

    /// Chooses the databases to dump.
    pub(super) fn choose(&self, params: &DumpParams) -> Result<Vec<String>, StepError> {
        if let Some(event) = self.endless_events.first() {
            return Err(StepError::permanent(format!(
                "the event {event} has `;;` in its body, on which mariadb-dump never ends"
            ))
            .help(
                "change the event so that no two semicolons stand side by side, also in strings and comments",
            ));
        }
        if self.databases.is_empty() {
            return Err(StepError::permanent(format!("`{}` has no databases to dump", params.target))
                .help("check that it is the server you mean, and that the account may see its databases"));
        }
        match params.scope {
            DumpScope::All | DumpScope::SchemaOnly => Ok(self.databases.clone()),
            DumpScope::Databases => {
                let missing = params.databases.iter().find(|name| !self.databases.contains(name));
                match missing {
                    None => Ok(params.databases.clone()),
                    Some(name) => {
                        Err(StepError::permanent(format!("`{}` has no database `{name}`", params.target))
                            .help(format!("it has {}", some(&self.databases))))
                    }
                }
            }
        }
    }

    /// What is worth a warning: no reason to fail, but no one should find it out after a disaster.
    pub(super) fn warnings(&self, scope: DumpScope) -> Vec<String> {
        let mut warnings = Vec::new();
        if !scope.has_rows() {
            return warnings;
        }
        if !self.not_transactional.is_empty() {
            warnings.push(format!(
                "{} may be dumped in another state than the rest: one transaction does not cover their engines",
                some(&self.not_transactional)
            ));
        }
        if !self.versioned.is_empty() {
            warnings.push(format!(
                "the history of system-versioned tables is not dumped, only their current rows: {}",
                some(&self.versioned)
            ));
        }
        warnings
    }
}

fn is_of_users(name: &str) -> bool {
    // `#mysql50#lost+found` is a folder beside the databases, not one of them.
    !SYSTEM_DATABASES.iter().any(|system| system.eq_ignore_ascii_case(name))
        && !is_of_restore(name)
        && !name.starts_with("#mysql50#")
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
