//! Whether the account sees all that it is to dump: from its grants to what is missing.
//!
//! A client that may not see triggers, events or views leaves them out without a word, and an inventory read by
//! the same account does not miss them. What each object needs: MySQL manual, "mysqldump", and MariaDB's.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepError;

use super::DumpScope;
use crate::connection::{Server, quote_identifier};
use crate::error::ServerError;
use crate::grants::{self, Grants, literal, quoted};

/// The code of a dump whose account does not see everything.
pub(super) const MISSING_PRIVILEGE: &str = "rekindle::dump::missing_privilege";
const NEEDED: [&str; 4] = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"];

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
    let (account, Some(grants)) = grants::of_session(server).await? else { return Ok(Verdict::Enough) };
    let (flavour, target) = (server.version.flavour, server.session.target());
    Ok(judge(target, &account, flavour, &grants, scope, databases))
}

/// Gives the session's account when it may not pass on what a backup's accounts have; nothing when it may, or when
/// that can't be told.
pub(crate) async fn without_grant_option(server: &mut Server) -> Result<Option<String>, ServerError> {
    let (account, Some(grants)) = grants::of_session(server).await? else { return Ok(None) };
    let by_role = grants.has_roles && server.version.flavour == Flavour::Mysql;
    Ok((!grants.may_grant && !by_role).then(|| quoted(&account)))
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
