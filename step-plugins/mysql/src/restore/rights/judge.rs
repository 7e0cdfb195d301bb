//! From what an account may do and what a backup holds to what will be refused. Pure.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_backup::inventory::{Database, Inventory};
use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepError;

use super::{Can, Refusal};
use crate::connection::quote_identifier;
use crate::dump::ACCOUNTS_OF_SERVERS;
use crate::flavour::ServerVersion;
use crate::grants::{EVERYTHING, literal, quoted};
use crate::restore::source::MISSING_PRIVILEGE;
use crate::shown::first;

/// The code of functions and triggers that the server takes from this account only when it trusts whoever makes them.
const UNTRUSTED: &str = "rekindle::restore::untrusted_functions";
const SHOWN_NAMES: usize = 5;
/// Everybody has the first. The others have other names in other versions of MariaDB, or were taken away from MySQL
/// (manuals, "GRANT"), so that their lack says nothing.
const RENAMED: [&str; 10] = [
    "USAGE",
    "REPLICATION CLIENT",
    "BINLOG MONITOR",
    "DELETE VERSIONING ROWS",
    "DELETE HISTORY",
    "SLAVE MONITOR",
    "REPLICA MONITOR",
    "REPLICATION SLAVE ADMIN",
    "REPLICATION REPLICA ADMIN",
    "SET_USER_ID",
];

impl Can {
    /// Looks for what it takes to make anything of this kind.
    pub(super) fn objects(&self, target: &str, held: &Inventory) -> Option<Refusal> {
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
        let (example, _) = lacking.first()?;
        let what = |(name, missing): &(&String, Vec<&str>)| format!("{} on {name}", missing.join(", "));
        let what: Vec<String> = lacking.iter().map(what).collect();
        let account = quoted(&self.account);
        let grant = |(name, missing): &(&String, Vec<&str>)| {
            format!("GRANT {} ON {}.* TO {account}", missing.join(", "), quote_identifier(&literal(name)))
        };
        let statements: Vec<String> = lacking.iter().map(grant).collect();
        let advice = format!(
            "without it {example} can't be restored, nothing was changed; run `{}`",
            some(&statements, "; ")
        );
        Some(self.lacks(target, &some(&what, "; "), advice))
    }

    /// Looks for what it takes to make anything that acts as another account.
    pub(super) fn definers(
        &self,
        target: &str,
        version: &ServerVersion,
        held: &Inventory,
    ) -> Option<Refusal> {
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
        let missing = missing.join(", ");
        let advice = format!(
            "the backup has definers that it may not set: {}; nothing was changed; run `GRANT {missing} ON *.* TO {account}`",
            some(&because, ", ")
        );
        Some(self.lacks(target, &format!("{missing} on *.*"), advice))
    }

    /// Looks for what the accounts of the backup are given: nobody gives what he has not.
    pub(super) fn accounts_get(
        &self,
        target: &str,
        version: &ServerVersion,
        held: &Inventory,
    ) -> Option<Refusal> {
        let grants = self.grants.as_ref()?;
        let is_left_alone = |account: &str| {
            let user = account.rsplit_once('@').map_or(account, |(user, _)| user);
            is_same(account, &self.account) || ACCOUNTS_OF_SERVERS.contains(&user)
        };
        let mut missing = BTreeSet::new();
        let mut getting = Vec::new();
        for (account, granted) in held.granted.iter().filter(|(account, _)| !is_left_alone(account)) {
            let granted = granted.iter().map(|one| match (one.as_str(), version.flavour) {
                // It shows each of them by its name.
                (EVERYTHING, Flavour::Mysql) => "SUPER",
                (one, _) => one,
            });
            let lacking = granted.filter(|one| !RENAMED.contains(one) && !grants.has_globally(one));
            let lacking: BTreeSet<&str> = lacking.collect();
            if !lacking.is_empty() {
                missing.extend(lacking);
                getting.push(quoted(account));
            }
        }
        if missing.is_empty() {
            return None;
        }
        if missing.contains(EVERYTHING) {
            missing.retain(|one| *one == EVERYTHING);
        }
        let (account, missing) = (quoted(&self.account), missing.into_iter().collect::<Vec<_>>().join(", "));
        let advice = format!(
            "accounts of the backup have it, and it can't give them what it has not itself: {}; nothing was changed; run \
             `GRANT {missing} ON *.* TO {account} WITH GRANT OPTION`",
            some(&getting, ", ")
        );
        Some(self.lacks(target, &format!("{missing} on *.*"), advice))
    }

    fn lacks(&self, target: &str, missing: &str, advice: String) -> Refusal {
        let account = quoted(&self.account);
        let error = StepError::permanent(format!("the account {account} of `{target}` has no {missing}"));
        Refusal { code: MISSING_PRIVILEGE, error: error.help(advice) }
    }

    /// Looks whether the server takes functions and triggers.
    pub(super) fn functions(&self, target: &str, held: &Inventory) -> Option<Refusal> {
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

/// Gives the privileges that each let an account set any definer, first the one to ask for.
pub(super) fn definer_setters(version: &ServerVersion) -> &'static [&'static str] {
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
    first(SHOWN_NAMES, names, separator)
}
