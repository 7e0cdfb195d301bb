//! What an account was granted: from the rows of `SHOW GRANTS` to what it may do.

use std::collections::{BTreeMap, BTreeSet};

use crate::connection::{Server, quote_string};
use crate::error::ServerError;

/// What stands for every privilege; MySQL from 8.0 on shows each by its name.
pub(crate) const EVERYTHING: &str = "ALL PRIVILEGES";
/// `ER_OPTION_PREVENTS_STATEMENT`: with `--skip-grant-tables` everybody may do everything.
const NO_GRANT_TABLES: u16 = 1290;

/// Gives the session's account as `user@host`, and its grants; none with `--skip-grant-tables`, when everybody may do
/// everything.
pub(crate) async fn of_session(server: &mut Server) -> Result<(String, Option<Grants>), ServerError> {
    let account: String = server.session.row("tell the account", "SELECT CURRENT_USER()").await?;
    match server.session.rows::<String>("show the account's grants", "SHOW GRANTS").await {
        Ok(rows) => Ok((account, Some(Grants::read(&rows)))),
        Err(error) if error.server_code() == Some(NO_GRANT_TABLES) => Ok((account, None)),
        Err(error) => Err(error),
    }
}

/// Quotes `user@host` for statements.
pub(crate) fn quoted(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("{}@{}", quote_string(user), quote_string(host))
}

/// The grants of an account, read from `SHOW GRANTS`.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    /// On `*.*`.
    global: BTreeSet<String>,
    /// Taken away again in a database (MySQL, `partial_revokes`).
    pub(crate) revoked: Vec<(String, BTreeSet<String>)>,
    /// By who has it (the account, its active role, PUBLIC): patterns of databases, and what they give.
    databases: BTreeMap<String, Vec<(String, BTreeSet<String>)>>,
    /// Whether what is global may be passed on.
    pub(crate) may_grant: bool,
    /// Whether roles are granted.
    pub(crate) has_roles: bool,
}

impl Grants {
    /// Reads the rows.
    pub(crate) fn read(rows: &[String]) -> Self {
        let mut grants = Self::default();
        for row in rows {
            grants.take(row);
        }
        grants
    }

    /// Takes one row. What is no grant on a whole database is passed over: tables, routines, proxies.
    fn take(&mut self, row: &str) -> Option<()> {
        let (revoke, row) = match row.strip_prefix("GRANT ") {
            Some(rest) => (false, rest),
            None => (true, row.strip_prefix("REVOKE ")?),
        };
        let Some((privileges, rest)) = split_outside_quotes(row, " ON ") else {
            self.has_roles |= !revoke;
            return None;
        };
        let privileges: BTreeSet<_> =
            privileges.split(',').map(|one| one.trim().to_ascii_uppercase()).collect();
        if rest.starts_with("*.* ") {
            // MySQL's dynamic privileges stand in a row of their own and are passed on one by one: their row says nothing
            // of the others (MySQL manual, "Static Versus Dynamic Privileges"). Only their names have underscores.
            let is_static = privileges.iter().any(|one| !one.contains('_'));
            let options = split_outside_quotes(rest, " WITH ").map_or("", |(_, options)| options);
            self.may_grant |= is_static && options.contains("GRANT OPTION");
            self.global.extend(privileges);
            return None;
        }
        let (pattern, rest) = name(rest)?;
        let rest = rest.strip_prefix(".*")?;
        if revoke {
            self.revoked.push((pattern, privileges));
            return None;
        }
        let (holder, host) = name(rest.strip_prefix(" TO ")?)?;
        let host = host.strip_prefix('@').and_then(name).map(|(host, _)| host).unwrap_or_default();
        self.databases.entry(format!("{holder}@{host}")).or_default().push((pattern, privileges));
        Some(())
    }

    /// Tells whether it may do this everywhere.
    pub(crate) fn has_globally(&self, privilege: &str) -> bool {
        self.global.contains(privilege) || self.global.contains(EVERYTHING)
    }

    /// Tells whether it may do this in a database.
    pub(crate) fn has(&self, privilege: &str, database: &str) -> bool {
        let gives = |set: &BTreeSet<String>| set.contains(privilege) || set.contains(EVERYTHING);
        let taken = |(name, set): &(String, BTreeSet<String>)| name == database && gives(set);
        if gives(&self.global) && !self.revoked.iter().any(taken) {
            return true;
        }
        self.databases.values().any(|rows| {
            // Of several patterns that match, the server reads the most specific one only (`acl_get`).
            let matching = || rows.iter().filter(|(pattern, _)| matches(pattern, database));
            let best = matching().map(|(pattern, _)| literal_bytes(pattern)).max();
            best.is_some()
                && matching()
                    .filter(|(pattern, _)| Some(literal_bytes(pattern)) == best)
                    .all(|(_, set)| gives(set))
        })
    }

    /// Tells whether no database is hidden from it.
    pub(crate) fn sees_all_databases(&self) -> bool {
        ["SELECT", "SHOW DATABASES"].iter().any(|one| self.has_globally(one))
    }
}

fn split_outside_quotes<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            // A doubled quote ends the name and begins it again at once.
            Some(open) if c == open => quote = None,
            None if matches!(c, '`' | '"' | '\'') => quote = Some(c),
            None if text[at..].starts_with(separator) => {
                return Some((&text[..at], &text[at + separator.len()..]));
            }
            Some(_) | None => {}
        }
    }
    None
}

/// Reads a name in any quotes (`ANSI_QUOTES` has other ones) or in none, and gives what follows it.
pub(crate) fn name(text: &str) -> Option<(String, &str)> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '`' | '"' | '\'')) else {
        let end = text.find(['.', '@', ' ']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find(quote)?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        if !rest.starts_with(quote) {
            return Some((name, rest));
        }
        name.push(quote);
        rest = &rest[1..];
    }
}

/// Makes a database's name a pattern that matches it alone.
pub(crate) fn literal(database: &str) -> String {
    database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// Counts the bytes before the first wildcard, by which the server sorts (`get_sort`).
fn literal_bytes(pattern: &str) -> usize {
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '_' | '%' => return at,
            _ => {}
        }
    }
    usize::MAX
}

/// Tells whether a pattern of `mysql.db` matches a name; linear in memory, by the patterns' reachable ends.
fn matches(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut pattern = pattern.chars();
    while let Some(c) = pattern.next() {
        let wanted = match c {
            '%' => {
                let first = reached.iter().position(|here| *here).unwrap_or(reached.len());
                reached.iter_mut().skip(first).for_each(|here| *here = true);
                continue;
            }
            '_' => None,
            '\\' => Some(pattern.next().unwrap_or('\\')),
            other => Some(other),
        };
        for at in (0..name.len()).rev() {
            reached[at + 1] = reached[at] && wanted.is_none_or(|wanted| wanted == name[at]);
        }
        reached[0] = false;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grant_option_counts_on_everything_only() {
        let may = |row: &str| Grants::read(&[row.to_owned()]).may_grant;
        assert!(may("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION"));
        assert!(may("GRANT SELECT ON *.* TO `a`@`%` REQUIRE SSL WITH GRANT OPTION MAX_QUERIES_PER_HOUR 5"));
        assert!(!may("GRANT ALL PRIVILEGES ON *.* TO `a WITH GRANT OPTION`@`%`"));
        assert!(!may("GRANT ALL PRIVILEGES ON `shop`.* TO `a`@`%` WITH GRANT OPTION"));
        // What MySQL leaves after `REVOKE GRANT OPTION ON *.*`.
        let left = [
            "GRANT SELECT, CREATE ROLE ON *.* TO `a`@`%`",
            "GRANT CLONE_ADMIN,ROLE_ADMIN ON *.* TO `a`@`%` WITH GRANT OPTION",
        ];
        assert!(!Grants::read(&left.map(str::to_owned)).may_grant);
    }
}
