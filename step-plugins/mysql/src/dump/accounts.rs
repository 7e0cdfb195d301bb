//! Accounts and their privileges as SQL text around the dump: `CREATE USER` before it, `GRANT` after it.
//!
//! Written by us rather than by `--system=users`: that is MariaDB's alone, gives up half way on an account the
//! server itself ignores (`--skip-name-resolve`), and puts grants before the tables they name. The tables of
//! `mysql` are of one version only. Accounts that are there already stay as they are (`IF NOT EXISTS`, grants
//! without credentials), so that a restore can't lock out the account it is connected with.

use rekindle_backup::manifest::Flavour;
use rekindle_backup::sql::{Escapes, Token, Tokens, quote_identifier, quote_string};

use crate::connection::Server;
use crate::error::ServerError;
use crate::flavour::ServerVersion;

/// Accounts that servers make for themselves; each version has its own.
pub(crate) const ACCOUNTS_OF_SERVERS: [&str; 5] =
    ["mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC"];

/// The accounts of a server as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    /// Before everything else: definers have to exist.
    pub(super) before: String,
    /// After everything else: tables and routines have to exist.
    pub(super) after: String,
    /// What could not be read.
    pub(super) warnings: Vec<String>,
}

/// Unknown to the server although it stands in its table: it ignores the account.
const NONEXISTING_GRANT: [u16; 3] = [1133, 1141, 1396];
/// The account may not read accounts.
const DENIED: [u16; 4] = [1044, 1142, 1143, 1227];

/// Reads the accounts of a server.
pub(super) async fn read(server: &mut Server) -> Result<Accounts, ServerError> {
    let mariadb = server.version.flavour == Flavour::Mariadb;
    let list = if mariadb {
        "SELECT CONVERT(User USING utf8mb4), CONVERT(Host USING utf8mb4), is_role = 'Y' FROM mysql.user ORDER BY 3 DESC, 1, 2"
    } else {
        "SELECT CONVERT(User USING utf8mb4), CONVERT(Host USING utf8mb4), 0 FROM mysql.user ORDER BY 1, 2"
    };
    let mut accounts = Accounts::default();
    let rows = server.session.rows::<(String, String, i64)>("list its accounts", list).await;
    let rows = match rows {
        Err(error) if error.server_code().is_some_and(|code| DENIED.contains(&code)) => {
            accounts.warnings.push(format!("accounts are not in this backup: {error}"));
            return Ok(accounts);
        }
        other => other?,
    };
    if let Some(hex) = hashes_as_text(&server.version) {
        server.session.run("print hashes as text", hex).await?;
    }
    let mut created = Vec::new();
    let mut granted = Vec::new();
    for (user, host, is_role) in rows {
        if ACCOUNTS_OF_SERVERS.contains(&user.as_str()) {
            continue;
        }
        let role = is_role == 1;
        match one(server, &user, &host, role).await {
            Ok((create, grants)) => {
                let name = format!("{}@{}", quote_identifier(&user), quote_identifier(&host));
                created.push((name, create));
                granted.extend(grants);
            }
            Err(error) if error.server_code().is_some_and(|code| NONEXISTING_GRANT.contains(&code)) => {
                accounts.warnings.push(format!(
                    "the account '{user}'@'{host}' is not in this backup, because the server ignores it: {error}"
                ));
            }
            Err(error) => return Err(error),
        }
    }
    accounts.before = before(&roles_first(created));
    accounts.after = after(&granted);
    Ok(accounts)
}

/// Puts accounts in an order in which they can be made: MySQL names default roles in `CREATE USER`, and those have to be
/// there first. Each comes with its name, as servers write it.
fn roles_first(mut created: Vec<(String, String)>) -> Vec<String> {
    let mut ordered = Vec::with_capacity(created.len());
    loop {
        let waits = |(own, statement): &(String, String)| {
            let roles = default_roles(statement);
            !roles.is_empty() && created.iter().any(|(name, _)| name != own && roles.contains(name.as_str()))
        };
        let waiting: Vec<bool> = created.iter().map(waits).collect();
        let is_stuck = waiting.iter().all(|waits| *waits);
        let mut left = Vec::new();
        for (account, waits) in created.into_iter().zip(waiting) {
            if waits && !is_stuck { left.push(account) } else { ordered.push(account.1) }
        }
        if left.is_empty() {
            return ordered;
        }
        created = left;
    }
}

/// Gives the part of `CREATE USER` that names default roles; empty when there are none.
fn default_roles(create: &str) -> &str {
    let roles = create.split_once(" DEFAULT ROLE ").map_or("", |(_, rest)| rest);
    roles.split(" REQUIRE ").next().unwrap_or_default()
}

/// Gives the statement that makes a server print hashes as hexadecimal digits: those of `caching_sha2_password` hold bytes that
/// are no text.
fn hashes_as_text(version: &ServerVersion) -> Option<&'static str> {
    version.is_at_least(Flavour::Mysql, (8, 0, 17)).then_some("SET SESSION print_identified_with_as_hex = 1")
}

async fn one(
    server: &mut Server,
    user: &str,
    host: &str,
    role: bool,
) -> Result<(String, Vec<String>), ServerError> {
    let account =
        if role { quote_identifier(user) } else { format!("{}@{}", quote_string(user), quote_string(host)) };
    let create = if role {
        format!("CREATE ROLE IF NOT EXISTS {account}")
    } else {
        let statement = format!("SHOW CREATE USER {account}");
        if_not_exists(&server.session.row::<String>("show an account", &statement).await?)
    };
    let grants: Vec<String> =
        server.session.rows("show an account's grants", &format!("SHOW GRANTS FOR {account}")).await?;
    Ok((create, grants.iter().map(|grant| without_credentials(grant)).collect()))
}

fn before(created: &[String]) -> String {
    let mut text = String::from(
        "-- Accounts, written by rekindle; those that are there already stay as they are.\n\n/*!40101 SET NAMES utf8mb4 */;\n",
    );
    for statement in created {
        text.push_str(statement);
        text.push_str(";\n");
    }
    text.push('\n');
    text
}

fn after(granted: &[String]) -> String {
    let mut text = String::from("\n--\n-- Privileges of accounts\n--\n\n/*!40101 SET NAMES utf8mb4 */;\n");
    for statement in granted {
        text.push_str(statement);
        text.push_str(";\n");
    }
    text.push_str("\n-- Dump completed with its accounts\n");
    text
}

fn if_not_exists(create: &str) -> String {
    match create.strip_prefix("CREATE USER ") {
        Some(rest) => format!("CREATE USER IF NOT EXISTS {rest}"),
        None => create.to_owned(),
    }
}

/// Takes `IDENTIFIED …` out of a grant: it would change the password of an account that is there already.
fn without_credentials(grant: &str) -> String {
    let mut tokens = Tokens::new(grant.as_bytes(), Escapes::default());
    let mut from = None;
    while let Some(token) = tokens.next() {
        let Token::Word(word) = token else { continue };
        let begin = tokens.position() - word.len();
        if token.is("IDENTIFIED") && from.is_none() {
            from = Some(begin);
        } else if let Some(from) = from
            && (token.is("REQUIRE") || token.is("WITH"))
        {
            return format!("{}{}", &grant[..from], &grant[begin..]);
        }
    }
    from.map_or(grant, |from| grant[..from].trim_end()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_carry_no_credentials() {
        for (grant, plain) in [
            ("GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*AB'", "GRANT USAGE ON *.* TO `a`@`%`"),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `IDENTIFIED`@`%` IDENTIFIED VIA ed25519 USING 'x WITH y' OR unix_socket REQUIRE SSL WITH GRANT OPTION",
                "GRANT ALL PRIVILEGES ON *.* TO `IDENTIFIED`@`%` REQUIRE SSL WITH GRANT OPTION",
            ),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION",
                "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION",
            ),
            (
                "GRANT `readers` TO `ann`@`%` WITH ADMIN OPTION",
                "GRANT `readers` TO `ann`@`%` WITH ADMIN OPTION",
            ),
        ] {
            assert_eq!(without_credentials(grant), plain);
        }
    }

    #[test]
    fn hashes_are_text_where_the_version_can_print_them_so() {
        for (version, can) in [
            ("5.7.44-log", false),
            ("8.0.16", false),
            ("8.0.17", true),
            ("9.7.0", true),
            ("10.11.14-MariaDB", false),
        ] {
            let version = ServerVersion::read(version, "").unwrap();
            assert_eq!(hashes_as_text(&version).is_some(), can, "{version}");
        }
    }

    #[test]
    fn a_default_role_is_made_before_whoever_has_it() {
        let account = |name: &str, roles: &str| {
            let roles = if roles.is_empty() { String::new() } else { format!(" DEFAULT ROLE {roles}") };
            (name.to_owned(), format!("CREATE USER {name}{roles} REQUIRE NONE"))
        };
        let order = |created: Vec<(String, String)>| {
            let words = |one: &String| one.split(' ').nth(2).unwrap_or_default().to_owned();
            roles_first(created).iter().map(words).collect::<Vec<_>>().join(" ")
        };
        let chain =
            vec![account("`a`@`%`", "`b`@`%`"), account("`b`@`%`", "`z`@`%`"), account("`z`@`%`", "")];
        assert_eq!(order(chain), "`z`@`%` `b`@`%` `a`@`%`");
        let circle = vec![account("`a`@`%`", "`b`@`%`"), account("`b`@`%`", "`a`@`%`,`b`@`%`")];
        assert_eq!(order(circle), "`a`@`%` `b`@`%`", "nothing is lost");
    }

    #[test]
    fn an_account_that_is_there_stays_as_it_is() {
        assert_eq!(
            if_not_exists("CREATE USER `a`@`%` PASSWORD EXPIRE"),
            "CREATE USER IF NOT EXISTS `a`@`%` PASSWORD EXPIRE"
        );
    }
}
