//! Whether the account sees all that it is to dump: from the rows of `SHOW GRANTS` to what is missing.
//!
//! A client that may not see triggers, events or views leaves them out without a word, and an inventory read by
//! the same account does not miss them. What each object needs: MySQL manual, "mysqldump", and MariaDB's.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepError;

use super::DumpScope;
use crate::connection::{Server, quote_identifier, quote_string};
use crate::error::ServerError;

/// The code of a dump whose account does not see everything.
pub(super) const MISSING_PRIVILEGE: &str = "rekindle::dump::missing_privilege";
const NEEDED: [&str; 4] = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"];
const EVERYTHING: &str = "ALL PRIVILEGES";
/// `ER_OPTION_PREVENTS_STATEMENT`: with `--skip-grant-tables` everybody may do everything.
const NO_GRANT_TABLES: u16 = 1290;

/// What the grants of an account say about a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is hidden from it.
    Enough,
    /// It may dump, but this should be known.
    Unclear(String),
    /// It would leave things out.
    Missing(StepError),
}

/// Asks the server what the session's account may see of these databases.
pub(super) async fn check(
    server: &mut Server,
    scope: DumpScope,
    databases: &[String],
) -> Result<Verdict, ServerError> {
    let account: String = server.session.row("tell the account", "SELECT CURRENT_USER()").await?;
    let rows = match server.session.rows::<String>("show the account's grants", "SHOW GRANTS").await {
        Err(error) if error.server_code() == Some(NO_GRANT_TABLES) => return Ok(Verdict::Enough),
        other => other?,
    };
    let (flavour, target) = (server.version.flavour, server.session.target());
    Ok(judge(target, &account, flavour, &Grants::read(&rows), scope, databases))
}

/// Gives the session's account when it may not pass on what a backup's accounts have; nothing when it may, or when
/// that can't be told.
pub(crate) async fn without_grant_option(server: &mut Server) -> Result<Option<String>, ServerError> {
    let account: String = server.session.row("tell the account", "SELECT CURRENT_USER()").await?;
    let rows = match server.session.rows::<String>("show the account's grants", "SHOW GRANTS").await {
        Err(error) if error.server_code() == Some(NO_GRANT_TABLES) => return Ok(None),
        other => other?,
    };
    let grants = Grants::read(&rows);
    let by_role = grants.has_roles && server.version.flavour == Flavour::Mysql;
    Ok((!grants.may_grant && !by_role).then(|| quoted(&account)))
}

fn quoted(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("{}@{}", quote_string(user), quote_string(host))
}

fn judge(
    target: &str,
    account: &str,
    flavour: Flavour,
    grants: &Grants,
    scope: DumpScope,
    databases: &[String],
) -> Verdict {
    let account = quoted(account);
    let mut lacking: BTreeMap<Vec<&'static str>, Vec<&str>> = BTreeMap::new();
    for database in databases {
        let missing: Vec<_> = NEEDED.into_iter().filter(|one| !grants.has(one, database)).collect();
        if !missing.is_empty() {
            lacking.entry(missing).or_default().push(database);
        }
    }
    let whole_server = match scope {
        DumpScope::All | DumpScope::SchemaOnly => true,
        DumpScope::Databases | DumpScope::Tables => false,
    };
    if lacking.is_empty() {
        return if whole_server && !grants.sees_all_databases() {
            Verdict::Unclear(format!(
                "databases that {account} has no privilege on are not in this dump: it has no SHOW DATABASES on *.*"
            ))
        } else {
            Verdict::Enough
        };
    }
    let what: Vec<_> =
        lacking.iter().map(|(missing, of)| format!("{} on {}", missing.join(", "), of.join(", "))).collect();
    let what = what.join("; ");
    // MySQL does not show what a role gives; MariaDB shows the rows of the active one.
    if grants.has_roles && flavour == Flavour::Mysql {
        return Verdict::Unclear(format!(
            "{account} has {what} on `{target}` only if one of its roles gives it and is active: what it can't see \
             is not in the dump"
        ));
    }
    let statements = if whole_server && grants.revoked.is_empty() {
        let missing: BTreeSet<_> = lacking.keys().flatten().copied().collect();
        let missing: Vec<_> = NEEDED.into_iter().filter(|one| missing.contains(one)).collect();
        vec![format!("GRANT {} ON *.* TO {account}", missing.join(", "))]
    } else {
        let each =
            lacking.iter().flat_map(|(missing, of)| of.iter().map(move |database| (missing, database)));
        each.map(|(missing, database)| {
            format!("GRANT {} ON {}.* TO {account}", missing.join(", "), quote_identifier(&literal(database)))
        })
        .collect()
    };
    Verdict::Missing(
        StepError::permanent(format!("the account {account} of `{target}` has no {what}"))
            .help(format!("without it things would be missing in the dump; run `{}`", statements.join("; "))),
    )
}

/// The grants of an account, read from `SHOW GRANTS`.
#[derive(Debug, Default)]
struct Grants {
    /// On `*.*`.
    global: BTreeSet<String>,
    /// Taken away again in a database (MySQL, `partial_revokes`).
    revoked: Vec<(String, BTreeSet<String>)>,
    /// By who has it (the account, its active role, PUBLIC): patterns of databases, and what they give.
    databases: BTreeMap<String, Vec<(String, BTreeSet<String>)>>,
    /// Whether what is global may be passed on.
    may_grant: bool,
    /// Whether roles are granted.
    has_roles: bool,
}

impl Grants {
    fn read(rows: &[String]) -> Self {
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

    fn has(&self, privilege: &str, database: &str) -> bool {
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

    fn sees_all_databases(&self) -> bool {
        ["SELECT", "SHOW DATABASES", EVERYTHING].iter().any(|one| self.global.contains(*one))
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
fn name(text: &str) -> Option<(String, &str)> {
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
fn literal(database: &str) -> String {
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

    fn verdict(flavour: Flavour, scope: DumpScope, rows: &[&str]) -> String {
        let rows: Vec<_> = rows.iter().map(|row| (*row).to_owned()).collect();
        let databases = ["my_shop".to_owned(), "news".to_owned()];
        match judge("primary", "bob@%", flavour, &Grants::read(&rows), scope, &databases) {
            Verdict::Enough => "enough".to_owned(),
            Verdict::Unclear(why) => format!("unclear: {why}"),
            Verdict::Missing(error) => format!("{error} | {}", error.help.as_deref().unwrap()),
        }
    }

    fn mariadb(rows: &[&str]) -> String {
        verdict(Flavour::Mariadb, DumpScope::Databases, rows)
    }

    #[test]
    fn global_grants_are_enough_in_any_shape() {
        for row in [
            "GRANT ALL PRIVILEGES ON *.* TO `bob`@`%` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION",
            "GRANT SELECT, INSERT, SHOW VIEW, EVENT, TRIGGER ON *.* TO `bob`@`%`",
            "GRANT SELECT, EVENT, TRIGGER, SHOW VIEW ON *.* TO \"bob\"@\"%\"",
        ] {
            assert_eq!(verdict(Flavour::Mariadb, DumpScope::All, &[row]), "enough", "{row}");
        }
    }

    #[test]
    fn grants_on_patterns_of_databases_count_where_they_match() {
        let news = "GRANT ALL PRIVILEGES ON `news`.* TO `bob`@`%`";
        for pattern in ["my\\_shop", "my_shop", "my%", "%", "m_\\_sh%p"] {
            assert_eq!(
                mariadb(&[news, &format!("GRANT ALL PRIVILEGES ON `{pattern}`.* TO `bob`@`%`")]),
                "enough"
            );
        }
        for pattern in ["my\\%", "my", "shop", "_my_shop", "my_shop_", "MY%"] {
            let row = format!("GRANT ALL PRIVILEGES ON `{pattern}`.* TO `bob`@`%`");
            assert!(mariadb(&[news, &row]).contains("on my_shop |"), "{pattern}");
        }
        assert!(
            verdict(Flavour::Mariadb, DumpScope::All, &[news, &news.replace("news", "my_shop")])
                .starts_with("unclear: databases that 'bob'@'%' has no privilege on")
        );
    }

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

    #[test]
    fn the_most_specific_pattern_hides_the_others() {
        let rows = ["GRANT ALL PRIVILEGES ON `%`.* TO `bob`@`%`", "GRANT SELECT ON `news`.* TO `bob`@`%`"];
        insta::assert_snapshot!(mariadb(&rows), @"the account 'bob'@'%' of `primary` has no SHOW VIEW, TRIGGER, EVENT on news | without it things would be missing in the dump; run `GRANT SHOW VIEW, TRIGGER, EVENT ON `news`.* TO 'bob'@'%'`");
        let role = "GRANT ALL PRIVILEGES ON `n%`.* TO `readers`";
        assert_eq!(mariadb(&[rows[0], rows[1], role]), "enough");
    }

    #[test]
    fn what_is_missing_is_named_with_its_statement() {
        let all = |rows: &[&str]| verdict(Flavour::Mariadb, DumpScope::All, rows);
        insta::assert_snapshot!(all(&["GRANT SELECT, SHOW VIEW, EVENT ON *.* TO `bob`@`%`"]), @"the account 'bob'@'%' of `primary` has no TRIGGER on my_shop, news | without it things would be missing in the dump; run `GRANT TRIGGER ON *.* TO 'bob'@'%'`");
        insta::assert_snapshot!(mariadb(&["GRANT USAGE ON *.* TO `bob`@`%`", "GRANT ALL PRIVILEGES ON `news`.* TO `bob`@`%`", "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `my_shop`.`a` TO `bob`@`%`"]), @r"the account 'bob'@'%' of `primary` has no SELECT, SHOW VIEW, TRIGGER, EVENT on my_shop | without it things would be missing in the dump; run `GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON `my\_shop`.* TO 'bob'@'%'`");
    }

    #[test]
    fn a_partial_revoke_takes_away_what_is_global() {
        let rows = [
            "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO `bob`@`%`",
            "REVOKE TRIGGER ON `news`.* FROM `bob`@`%`",
        ];
        insta::assert_snapshot!(verdict(Flavour::Mysql, DumpScope::All, &rows), @"the account 'bob'@'%' of `primary` has no TRIGGER on news | without it things would be missing in the dump; run `GRANT TRIGGER ON `news`.* TO 'bob'@'%'`");
    }

    #[test]
    fn roles_leave_it_open_on_mysql_only() {
        let rows = ["GRANT USAGE ON *.* TO `bob`@`%`", "GRANT `a ON b`@`%` TO `bob`@`%`"];
        assert!(mariadb(&rows).starts_with("the account 'bob'@'%' of `primary` has no SELECT"));
        insta::assert_snapshot!(verdict(Flavour::Mysql, DumpScope::All, &rows), @"unclear: 'bob'@'%' has SELECT, SHOW VIEW, TRIGGER, EVENT on my_shop, news on `primary` only if one of its roles gives it and is active: what it can't see is not in the dump");
    }
}
