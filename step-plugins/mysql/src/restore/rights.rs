//! Whether the account that restores may make what the backup holds, asked before anything is dropped.
//!
//! Views, triggers, routines and events act as their definer. A server takes another definer than the session's own
//! account only with a privilege whose name went with the versions (MySQL manual, "Stored Object Access Control";
//! MariaDB manual, "CREATE VIEW", "SET USER"). One that writes a binary log takes no trigger and no function without
//! SUPER, and from nobody a function that does not say what it does to data (MySQL manual, "Stored Program Binary
//! Logging"; MariaDB's, "Binary Logging of Stored Routines"); whether the session logs makes no difference.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_backup::inventory::{Database, Inventory};
use rekindle_backup::manifest::{Flavour, ObjectRole};
use rekindle_engine::step::{Problem, StepError};

use super::part::Part;
use super::source::{MISSING_PRIVILEGE, Source};
use crate::connection::{Server, quote_identifier};
use crate::error::ServerError;
use crate::flavour::ServerVersion;
use crate::grants::{self, Grants, literal, quoted};

/// The code of functions and triggers that the server takes from this account only when it trusts whoever makes them.
const UNTRUSTED: &str = "rekindle::restore::untrusted_functions";
const SHOWN_NAMES: usize = 5;

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

    /// Looks for what it takes to make anything of this kind.
    fn objects(&self, target: &str, held: &Inventory) -> Option<Refusal> {
        let grants = self.grants.as_ref()?;
        let lacking: Vec<(&String, Vec<&str>)> = held
            .databases
            .iter()
            .map(|(name, database)| {
                let missing = needed(database).into_iter().filter(|one| !grants.has(one, name));
                (name, missing.collect::<Vec<_>>())
            })
            .filter(|(_, missing)| !missing.is_empty())
            .collect();
        let (first, _) = lacking.first()?;
        let what = |(name, missing): &(&String, Vec<&str>)| format!("{} on {name}", missing.join(", "));
        let what: Vec<String> = lacking.iter().map(what).collect();
        let account = quoted(&self.account);
        let grant = |(name, missing): &(&String, Vec<&str>)| {
            format!("GRANT {} ON {}.* TO {account}", missing.join(", "), quote_identifier(&literal(name)))
        };
        let statements: Vec<String> = lacking.iter().map(grant).collect();
        Some(Refusal {
            code: MISSING_PRIVILEGE,
            error: StepError::permanent(format!(
                "the account {account} of `{target}` has no {}",
                some(&what, "; ")
            ))
            .help(format!(
                "without it {first} can't be restored, nothing was changed; run `{}`",
                some(&statements, "; ")
            )),
        })
    }

    /// Looks for what it takes to make anything that acts as another account.
    fn definers(&self, target: &str, version: &ServerVersion, held: &Inventory) -> Option<Refusal> {
        let grants = self.grants.as_ref()?;
        let has_one = |of: &[&str]| of.iter().any(|one| grants.has_globally(one));
        let others = others(held, &self.account);
        let mut missing = Vec::new();
        let mut because = BTreeMap::new();
        let setters = definer_setters(version);
        if !others.is_empty() && !has_one(setters) {
            missing.push(setters[0]);
            because.extend(others.clone());
        }
        let orphans: BTreeMap<_, _> = match &self.accounts {
            Some(accounts) => others.iter().filter(|(account, _)| !accounts.contains(**account)).collect(),
            None => BTreeMap::new(),
        };
        if !orphans.is_empty() && !has_one(&["ALLOW_NONEXISTENT_DEFINER", "SUPER"]) {
            missing.push("ALLOW_NONEXISTENT_DEFINER");
            because.extend(
                orphans.into_iter().map(|(account, what)| (*account, format!("{what}, no such account"))),
            );
        }
        let system = others.into_iter().filter(|(account, _)| self.system_accounts.contains(*account));
        let system: BTreeMap<_, _> = system.collect();
        if !system.is_empty() && !has_one(&["SYSTEM_USER"]) {
            missing.push("SYSTEM_USER");
            because.extend(
                system.into_iter().map(|(account, what)| (account, format!("{what}, it has SYSTEM_USER"))),
            );
        }
        if missing.is_empty() {
            return None;
        }
        let account = quoted(&self.account);
        let because: Vec<String> =
            because.into_iter().map(|(definer, what)| format!("{} ({what})", quoted(definer))).collect();
        Some(Refusal {
            code: MISSING_PRIVILEGE,
            error: StepError::permanent(format!(
                "the account {account} of `{target}` has no {} on *.*",
                missing.join(", ")
            ))
            .help(format!(
                "the backup has definers that it may not set: {}; nothing was changed; run `GRANT {} ON *.* TO {account}`",
                some(&because, ", "),
                missing.join(", ")
            )),
        })
    }

    /// Looks whether the server takes functions and triggers.
    fn functions(&self, target: &str, held: &Inventory) -> Option<Refusal> {
        if !self.distrusts {
            return None;
        }
        let trust = "`SET GLOBAL log_bin_trust_function_creators = ON`";
        let undeclared: Vec<String> =
            named(held, |database| database.undeclared_functions.iter().cloned().collect());
        if !undeclared.is_empty() {
            let error = StepError::permanent(format!(
                "`{target}` writes a binary log and takes no function that does not say DETERMINISTIC, NO SQL or READS SQL DATA: {}",
                some(&undeclared, ", ")
            ));
            let error = error.help(format!(
                "the server that was backed up trusted whoever made them; nothing was changed; run {trust} on `{target}`"
            ));
            return Some(Refusal { code: UNTRUSTED, error });
        }
        let made = named(held, |database| {
            let functions = database.routines.iter().filter(|routine| routine.starts_with("FUNCTION "));
            let triggers = database.triggers.keys().map(|name| format!("TRIGGER {name}"));
            functions.cloned().chain(triggers).collect()
        });
        if made.is_empty() || self.grants.as_ref().is_none_or(|grants| grants.has_globally("SUPER")) {
            return None;
        }
        let account = quoted(&self.account);
        let error = StepError::permanent(format!(
            "the account {account} of `{target}` has no SUPER on *.*, and the server writes a binary log: it takes no function and no \
             trigger: {}",
            some(&made, ", ")
        ));
        let error = error.help(format!(
            "nothing was changed; run {trust} on `{target}`, or `GRANT SUPER ON *.* TO {account}`"
        ));
        Some(Refusal { code: UNTRUSTED, error })
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

/// Gives the privileges that each let an account set any definer, first the one to ask for.
fn definer_setters(version: &ServerVersion) -> &'static [&'static str] {
    match (version.flavour, version.number) {
        // SET_USER_ID was split in two, and went with 8.4.
        (Flavour::Mysql, (8, 4.., _) | (9.., _, _)) => &["SET_ANY_DEFINER", "SUPER"],
        (Flavour::Mysql, (8, 2.., _)) => &["SET_ANY_DEFINER", "SUPER", "SET_USER_ID"],
        (Flavour::Mysql, (8, _, _)) => &["SET_USER_ID", "SUPER"],
        // SUPER lost what has a privilege of its own with 11.0.1.
        (Flavour::Mariadb, (12.., _, _) | (11, 1.., _) | (11, 0, 1..)) => &["SET USER"],
        (Flavour::Mariadb, (11, _, _) | (10, 6.., _) | (10, 5, 2..)) => &["SET USER", "SUPER"],
        (Flavour::Mysql | Flavour::Mariadb, _) => &["SUPER"],
    }
}

/// Tells whether it refuses definers that are not there; others only warn.
fn refuses_orphans(version: &ServerVersion) -> bool {
    version.is_at_least(Flavour::Mysql, (8, 2, 0))
}

/// Gives the definers beside an account, each with the first thing it is of.
fn others<'a>(held: &'a Inventory, own: &str) -> BTreeMap<&'a str, String> {
    let mut others = BTreeMap::new();
    for (name, database) in &held.databases {
        for (what, definer) in database.definers.iter().filter(|(_, definer)| !is_same(definer, own)) {
            others.entry(definer.as_str()).or_insert_with(|| in_database(name, what));
        }
    }
    others
}

/// Compares accounts as servers do: hosts in any case.
fn is_same(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some(one), Some(other)) => one.0 == other.0 && one.1.eq_ignore_ascii_case(other.1),
        _ => one == other,
    }
}

/// Writes `VIEW names` of a database as `VIEW shop.names`.
fn in_database(database: &str, what: &str) -> String {
    let kinds = ["PACKAGE BODY ", "PACKAGE ", "PROCEDURE ", "FUNCTION ", "TRIGGER ", "EVENT ", "VIEW "];
    let kind = kinds.into_iter().find(|kind| what.starts_with(kind)).unwrap_or_default();
    format!("{kind}{database}.{}", &what[kind.len()..])
}

fn named(held: &Inventory, of: impl Fn(&Database) -> Vec<String>) -> Vec<String> {
    let of_one = |(name, database): (&String, &Database)| {
        of(database).iter().map(|what| in_database(name, what)).collect::<Vec<_>>()
    };
    held.databases.iter().flat_map(of_one).collect()
}

/// Gives what it takes to make what a database holds.
fn needed(database: &Database) -> Vec<&'static str> {
    let kinds = [
        (true, "CREATE"),
        (!database.tables.is_empty(), "INSERT"),
        (!database.views.is_empty(), "CREATE VIEW"),
        (!database.routines.is_empty(), "CREATE ROUTINE"),
        (!database.triggers.is_empty(), "TRIGGER"),
        (!database.events.is_empty(), "EVENT"),
    ];
    kinds.into_iter().filter(|(is_there, _)| *is_there).map(|(_, privilege)| privilege).collect()
}

fn some(names: &[String], separator: &str) -> String {
    let shown = names.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(separator);
    match names.len().saturating_sub(SHOWN_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
