//! Accounts in a dump: which statement is about whom, and which accounts a restore leaves alone.

use rekindle_backup::sql::{Escapes, Token, Tokens, quote_identifier};

use crate::dump::ACCOUNTS_OF_SERVERS;

/// An account: user and host, unquoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountName {
    pub(super) user: String,
    pub(super) host: String,
}

/// What is to be done with an account statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Send it as it is.
    Send,
    /// Send this first, then the statement: the account or role may be there already.
    After(String),
    /// Leave it out: it is about the account that the restore itself uses, or one that belongs to the server.
    Skip,
}

/// Decides on a `CREATE USER`, `ALTER USER`, `GRANT`, … of a dump.
///
/// A restore must not change the account it is connected with: its password is what the environment says, and a
/// statement of the dump could lock the restore out half way. Our own dumps say `IF NOT EXISTS`, so accounts that
/// are there, such as one for replication that came with the server, keep their passwords too. Foreign dumps don't
/// say so: what they name is made anew.
pub(super) fn treat(sql: &[u8], own: &AccountName) -> Treatment {
    let tokens: Vec<Token<'_>> = Tokens::new(sql, Escapes::default()).take(HEAD_TOKENS).collect();
    let creates = |what: &str| {
        tokens.first().is_some_and(|first| first.is("CREATE"))
            && tokens.iter().take_while(|token| !token.is("IDENTIFIED")).take(6).any(|token| token.is(what))
    };
    let kept = tokens.iter().take(6).any(|token| token.is("EXISTS"));
    let Some(account) = account(&tokens) else {
        if creates("ROLE")
            && !kept
            && let Some(role) = tokens.iter().skip_while(|token| !token.is("ROLE")).nth(1).and_then(name)
        {
            return Treatment::After(format!("DROP ROLE IF EXISTS {}", quote_identifier(&role)));
        }
        return Treatment::Send;
    };
    if account == *own || ACCOUNTS_OF_SERVERS.contains(&account.user.as_str()) {
        return Treatment::Skip;
    }
    if creates("USER") && !kept {
        let quoted = format!("{}@{}", quote_identifier(&account.user), quote_identifier(&account.host));
        return Treatment::After(format!("DROP USER IF EXISTS {quoted}"));
    }
    Treatment::Send
}

/// Far more tokens than stand before the account in any statement about one.
const HEAD_TOKENS: usize = 2000;

/// Finds the first `user@host`.
fn account(tokens: &[Token<'_>]) -> Option<AccountName> {
    let at = tokens.iter().position(|token| matches!(token, Token::Mark(b'@')))?;
    Some(AccountName { user: name(tokens.get(at.checked_sub(1)?)?)?, host: name(tokens.get(at + 1)?)? })
}

fn name(token: &Token<'_>) -> Option<String> {
    match token {
        // Account names in string quotes; dumps write no escapes in them but doubled quotes.
        Token::Quoted(quoted) => {
            let text = String::from_utf8_lossy(quoted.get(1..quoted.len().checked_sub(1)?)?);
            Some(text.replace("''", "'"))
        }
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> AccountName {
        AccountName { user: "root".to_owned(), host: "%".to_owned() }
    }

    fn of(sql: &str) -> Treatment {
        treat(sql.as_bytes(), &own())
    }

    #[test]
    fn the_account_of_the_restore_itself_is_left_alone() {
        for sql in [
            "CREATE USER `root`@`%` IDENTIFIED BY PASSWORD '*AB'",
            "GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' IDENTIFIED BY PASSWORD '*AB' WITH GRANT OPTION",
            "ALTER USER `root`@`%` PASSWORD EXPIRE",
        ] {
            assert_eq!(of(sql), Treatment::Skip, "{sql}");
        }
        assert_eq!(of("GRANT SELECT ON *.* TO `root`@`localhost`"), Treatment::Send);
    }

    #[test]
    fn accounts_of_the_server_are_left_alone() {
        assert_eq!(of("CREATE USER `mariadb.sys`@`localhost` ACCOUNT LOCK"), Treatment::Skip);
    }

    #[test]
    fn an_account_that_is_there_already_is_made_anew() {
        assert_eq!(
            of("CREATE USER 'o''neil'@'10.%' IDENTIFIED BY PASSWORD '*AB'"),
            Treatment::After("DROP USER IF EXISTS `o'neil`@`10.%`".to_owned())
        );
        assert_eq!(of("CREATE ROLE `readers`"), Treatment::After("DROP ROLE IF EXISTS `readers`".to_owned()));
    }

    #[test]
    fn an_account_of_our_own_dumps_stays_as_it_is() {
        assert_eq!(of("CREATE USER IF NOT EXISTS `ann`@`%` IDENTIFIED BY PASSWORD '*AB'"), Treatment::Send);
        assert_eq!(of("CREATE ROLE IF NOT EXISTS `readers`"), Treatment::Send);
        assert_eq!(of("CREATE USER IF NOT EXISTS `root`@`%`"), Treatment::Skip);
    }

    #[test]
    fn grants_to_others_are_sent() {
        assert_eq!(of("GRANT `readers` TO `ann`@`%`"), Treatment::Send);
        assert_eq!(of("GRANT SELECT ON `shop`.* TO `readers`"), Treatment::Send);
    }
}
