//! Whether the account that restores may make what the backup holds, asked before anything is dropped.
//!
//! Views, triggers, routines and events act as their definer. A server takes another definer than the session's own
//! account only with a privilege whose name went with the versions (MySQL manual, "Stored Object Access Control";
//! MariaDB manual, "CREATE VIEW", "SET USER"). One that writes a binary log takes no trigger and no function without
//! SUPER, and from nobody a function that does not say what it does to data (MySQL manual, "Stored Program Binary
//! Logging"; MariaDB's, "Binary Logging of Stored Routines"); whether the session logs makes no difference.

mod judge;

use std::collections::BTreeSet;

use rekindle_backup::manifest::{Flavour, ObjectRole};
use rekindle_engine::step::{Problem, StepError};

use super::part::Part;
use super::source::Source;
use crate::connection::Server;
use crate::error::ServerError;
use crate::flavour::ServerVersion;
use crate::grants::{self, Grants};

/// What can't be made, and what to do.
#[derive(Debug)]
pub(super) struct Refusal {
    code: &'static str,
    error: StepError,
}

impl Refusal {
    pub(super) fn problem(self) -> Problem {
        Problem {
            code: self.code,
            message: self.error.message,
            help: self.error.help,
            pointer: Some("/target"),
        }
    }
}

/// Refuses a server and an account that would fail at something of the backup, after all else is loaded.
///
/// # Errors
/// When they would, and when the server does not answer.
pub(super) async fn check(
    source: &Source,
    part: Option<&Part>,
    server: &mut Server,
) -> Result<(), StepError> {
    match refusals(source, part, server).await?.into_iter().next() {
        Some(refusal) => Err(refusal.error),
        None => Ok(()),
    }
}

/// Lets a server that was made for a drill take functions that say nothing of themselves, as the one that was backed up did.
pub(super) async fn trust(server: &mut Server) -> Result<(), ServerError> {
    let trust = "SET GLOBAL log_bin_trust_function_creators = ON";
    server.session.run("trust the makers of functions", trust).await
}

/// Gives everything that speaks against it.
pub(super) async fn refusals(
    source: &Source,
    part: Option<&Part>,
    server: &mut Server,
) -> Result<Vec<Refusal>, ServerError> {
    let held = part.map_or_else(|| source.inventory().clone(), |part| part.expected(source.inventory()));
    let can = Can::look(server, &Made::before(source, part)).await?;
    let target = server.session.target();
    let all = [
        can.objects(target, &held),
        can.definers(target, &server.version, &held),
        can.functions(target, &held),
        can.accounts_get(target, &server.version, &held),
    ];
    Ok(all.into_iter().flatten().collect())
}

/// Accounts that a restore makes before anything that has a definer.
enum Made {
    /// These, as `user@host`.
    Known(BTreeSet<String>),
    /// Those of a dump that somebody else made, if there are any.
    Unknown,
}

impl Made {
    fn before(source: &Source, part: Option<&Part>) -> Self {
        let users = &source.manifest.server.users;
        match (part, source.object.role) {
            (None, _) if users.is_empty() => Self::Unknown,
            (None, ObjectRole::Full) => Self::Known(users.iter().filter_map(|user| unquoted(user)).collect()),
            _ => Self::Known(BTreeSet::new()),
        }
    }
}

/// Reads `'user'@'host'`.
fn unquoted(account: &str) -> Option<String> {
    let (user, rest) = grants::name(account)?;
    let (host, _) = grants::name(rest.strip_prefix('@')?)?;
    Some(format!("{user}@{host}"))
}

/// What the session's account may do on its server.
struct Can {
    /// `user@host`
    account: String,
    /// None when they can't be told, or everybody may do everything.
    grants: Option<Grants>,
    /// Whether the server writes a binary log and trusts nobody with its functions.
    distrusts: bool,
    /// The accounts there will be; none when that can't be told.
    accounts: Option<BTreeSet<String>>,
    /// Those that only an account with `SYSTEM_USER` may name (MySQL from 8.0.16 on).
    system_accounts: BTreeSet<String>,
}

impl Can {
    async fn look(server: &mut Server, made: &Made) -> Result<Self, ServerError> {
        let (account, grants) = grants::of_session(server).await?;
        // MySQL does not show what a role gives.
        let is_clear = |grants: &Grants| !grants.has_roles || server.version.flavour == Flavour::Mariadb;
        let grants = grants.filter(is_clear);
        let logs = "SELECT @@GLOBAL.log_bin AND NOT @@GLOBAL.log_bin_trust_function_creators";
        let distrusts: u8 =
            server.session.row("tell whether it trusts the makers of functions", logs).await?;
        let mut can = Self {
            account,
            grants,
            distrusts: distrusts == 1,
            accounts: None,
            system_accounts: BTreeSet::new(),
        };
        if let (Made::Known(made), true) = (made, refuses_orphans(&server.version)) {
            let there =
                accounts(server, "list its accounts", "SELECT CONCAT(User, '@', Host) FROM mysql.user");
            can.accounts = there.await?.map(|there| there.union(made).cloned().collect());
        }
        if server.version.is_at_least(Flavour::Mysql, (8, 0, 16)) {
            let query = "SELECT CONCAT(USER, '@', HOST) FROM mysql.global_grants WHERE PRIV = 'SYSTEM_USER'";
            can.system_accounts =
                accounts(server, "list its system accounts", query).await?.unwrap_or_default();
        }
        Ok(can)
    }
}

/// Gives accounts as `user@host`; nothing when ours may not see them.
async fn accounts(
    server: &mut Server,
    what: &str,
    query: &str,
) -> Result<Option<BTreeSet<String>>, ServerError> {
    match server.session.rows::<String>(what, query).await {
        Ok(accounts) => Ok(Some(accounts.into_iter().collect())),
        Err(error) if error.server_code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells whether it refuses definers that are not there; others only warn.
fn refuses_orphans(version: &ServerVersion) -> bool {
    version.is_at_least(Flavour::Mysql, (8, 2, 0))
}

#[cfg(test)]
mod tests;
