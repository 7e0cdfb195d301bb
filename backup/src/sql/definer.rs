//! What a statement asks of whoever sends it: the definer of a view, trigger, routine or event, what a function says of
//! itself, and the privileges that an account gets everywhere.

use std::collections::BTreeSet;

use super::{Escapes, Token, Tokens};

/// Far more tokens than stand before the name of anything in a dump.
const HEAD_TOKENS: usize = 200;
/// What ends the place where a definer may stand.
const MADE: [&str; 6] = ["VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "PACKAGE", "EVENT"];

/// Gives the account of `CREATE DEFINER = user@host …` as `user@host`; nothing when the statement leaves it to
/// whoever sends it.
pub fn definer(sql: &[u8], escapes: Escapes) -> Option<String> {
    let mut tokens = heads(sql, escapes).take(HEAD_TOKENS);
    loop {
        let token = tokens.next()?;
        if MADE.iter().any(|what| token.is(what)) {
            return None;
        }
        if token.is("DEFINER") {
            break;
        }
    }
    // `SQL SECURITY DEFINER` has no equals sign.
    if tokens.next()? != Token::Mark(b'=') {
        return None;
    }
    account(&mut tokens)
}

/// Reads an account as `user@host`; nothing when it is whoever sends the statement.
fn account<'a>(tokens: &mut impl Iterator<Item = Token<'a>>) -> Option<String> {
    let user = tokens.next()?;
    if user.is("CURRENT_USER") || user.is("CURRENT_ROLE") {
        return None;
    }
    let user = text(user)?;
    match tokens.next() {
        Some(Token::Mark(b'@')) => Some(format!("{user}@{}", text(tokens.next()?)?)),
        // An account from everywhere, or a role (MariaDB).
        Some(_) | None => Some(format!("{user}@%")),
    }
}

/// Gives the account of `GRANT … ON *.* TO user@host` as `user@host`, and what it gets, in upper case: `SUPER`, `ALL PRIVILEGES`.
pub fn granted_everywhere(sql: &[u8], escapes: Escapes) -> Option<(String, BTreeSet<String>)> {
    let mut tokens = heads(sql, escapes).take(HEAD_TOKENS);
    if !tokens.next()?.is("GRANT") {
        return None;
    }
    let mut privileges = BTreeSet::new();
    let mut words: Vec<String> = Vec::new();
    loop {
        match tokens.next()? {
            word if word.is("ON") => break,
            Token::Word(word) => words.push(String::from_utf8_lossy(word).to_ascii_uppercase()),
            Token::Mark(b',') => drop(privileges.insert(std::mem::take(&mut words).join(" "))),
            // Roles, and columns of a table.
            _ => return None,
        }
    }
    privileges.insert(words.join(" "));
    let everything = [Token::Mark(b'*'), Token::Mark(b'.'), Token::Mark(b'*')];
    if everything.into_iter().any(|mark| tokens.next() != Some(mark)) || !tokens.next()?.is("TO") {
        return None;
    }
    Some((account(&mut tokens)?, privileges))
}

/// Tells whether a `CREATE FUNCTION` says none of `DETERMINISTIC`, `NO SQL` and `READS SQL DATA`: a server that writes a
/// binary log refuses it with error 1418 (MySQL Reference Manual 27.7, "Stored Program Binary Logging").
pub fn is_undeclared_function(sql: &[u8], escapes: Escapes) -> bool {
    let mut tokens = heads(sql, escapes);
    if !tokens.by_ref().take(HEAD_TOKENS).any(|token| token.is("FUNCTION")) {
        return false;
    }
    let mut before = Token::Close;
    let mut has_type = false;
    for token in tokens {
        // `sql_mode=ORACLE` writes `RETURN` for `RETURNS`: the second one is the body.
        if token.is("BEGIN") || has_type && token.is("RETURN") {
            break;
        }
        has_type |= token.is("RETURNS") || token.is("RETURN");
        let is_declared = token.is("DETERMINISTIC") && !before.is("NOT")
            || token.is("SQL") && (before.is("NO") || before.is("READS"))
            // It is of a library, not of statements.
            || token.is("SONAME");
        if is_declared {
            return false;
        }
        before = token;
    }
    true
}

/// Gives the tokens, those of executable comments among them.
fn heads(sql: &[u8], escapes: Escapes) -> impl Iterator<Item = Token<'_>> {
    Tokens::new(sql, escapes).filter(|token| !matches!(token, Token::Open(_) | Token::Close))
}

fn text(token: Token<'_>) -> Option<String> {
    let Token::Quoted(quoted) = token else { return token.name() };
    let quote = char::from(*quoted.first()?);
    let inner = String::from_utf8_lossy(quoted.get(1..quoted.len().checked_sub(1)?)?);
    Some(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Option<String> {
        definer(sql.as_bytes(), Escapes::default())
    }

    #[test]
    fn the_definer_is_found_in_every_shape_of_a_dump() {
        for (sql, account) in [
            (
                "/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`ann`@`10.%` SQL SECURITY DEFINER */ /*!50001 VIEW `v` AS select 1 */",
                "ann@10.%",
            ),
            (
                "/*!50003 CREATE*/ /*!50017 DEFINER=`o``neil`@`%`*/ /*!50003 TRIGGER g BEFORE INSERT ON t FOR EACH ROW set @a=1 */",
                "o`neil@%",
            ),
            ("CREATE DEFINER='o''neil'@'%' PROCEDURE p() select 1", "o'neil@%"),
            ("CREATE DEFINER=\"ann\"@\"localhost\" FUNCTION f() RETURNS int RETURN 1", "ann@localhost"),
            ("CREATE DEFINER=ann@localhost EVENT e ON SCHEDULE EVERY 1 DAY DO select 1", "ann@localhost"),
            ("CREATE DEFINER=`readers` VIEW v AS select 1", "readers@%"),
            ("CREATE DEFINER=`a@b`@`%` VIEW v AS select 1", "a@b@%"),
        ] {
            assert_eq!(of(sql).as_deref(), Some(account), "{sql}");
        }
    }

    #[test]
    fn a_statement_without_a_definer_has_none() {
        for sql in [
            "CREATE VIEW `v` AS select `definer`.`a` = 1 from `definer`",
            "CREATE SQL SECURITY DEFINER VIEW v AS select 1",
            "CREATE DEFINER=CURRENT_USER() PROCEDURE p() select 1",
            "CREATE PROCEDURE p() SET @a = 'DEFINER=`x`@`y`'",
            "CREATE DEFINER=",
            "",
        ] {
            assert_eq!(of(sql), None, "{sql}");
        }
    }

    #[test]
    fn what_is_granted_on_everything_is_told_by_account() {
        let told = |sql: &str| {
            let granted = granted_everywhere(sql.as_bytes(), Escapes::default())?;
            Some(format!("{}: {}", granted.0, granted.1.into_iter().collect::<Vec<_>>().join(", ")))
        };
        for (sql, granted) in [
            ("GRANT Select, SET USER ON *.* TO `ann`@`%` WITH GRANT OPTION", Some("ann@%: SELECT, SET USER")),
            ("GRANT ALL PRIVILEGES ON *.* TO 'o''neil'@'10.%'", Some("o'neil@10.%: ALL PRIVILEGES")),
            (
                "GRANT SYSTEM_USER,XA_RECOVER_ADMIN ON *.* TO `a`@`%`",
                Some("a@%: SYSTEM_USER, XA_RECOVER_ADMIN"),
            ),
            ("GRANT SELECT ON *.* TO `readers`", Some("readers@%: SELECT")),
            ("GRANT SELECT ON `shop`.* TO `ann`@`%`", None),
            ("GRANT SELECT (`id`) ON `shop`.`a` TO `ann`@`%`", None),
            ("GRANT PROXY ON ``@`%` TO `ann`@`%`", None),
            ("GRANT `readers` TO `ann`@`%`", None),
            ("REVOKE SELECT ON *.* FROM `ann`@`%`", None),
        ] {
            assert_eq!(told(sql).as_deref(), granted, "{sql}");
        }
    }

    #[test]
    fn a_function_is_declared_by_one_of_three_words_before_its_body() {
        let undeclared = |sql: &str| is_undeclared_function(sql.as_bytes(), Escapes::default());
        for declared in ["DETERMINISTIC", "NO SQL", "READS SQL DATA", "READS SQL DATA\n NOT DETERMINISTIC"] {
            assert!(
                !undeclared(&format!(
                    "CREATE DEFINER=`a`@`%` FUNCTION `f`(x int) RETURNS int\n {declared}\nRETURN 1"
                )),
                "{declared}"
            );
        }
        for declared in ["", "NOT DETERMINISTIC", "CONTAINS SQL", "MODIFIES SQL DATA", "COMMENT 'NO SQL'"] {
            assert!(
                undeclared(&format!(
                    "CREATE FUNCTION `f`() RETURNS varchar(9) CHARSET utf8mb4 {declared} BEGIN RETURN 'DETERMINISTIC'; END"
                )),
                "{declared}"
            );
        }
        assert!(undeclared("CREATE FUNCTION f() RETURN int AS BEGIN RETURN 1; END"));
        assert!(!undeclared("CREATE FUNCTION f() RETURN int DETERMINISTIC AS BEGIN RETURN 1; END"));
        assert!(!undeclared("CREATE FUNCTION f RETURNS STRING SONAME 'f.so'"));
        assert!(!undeclared("CREATE PROCEDURE p() select 1"));
    }
}
