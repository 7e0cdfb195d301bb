//! What a statement does, as far as dumps need it.

use super::name::Name;
use super::rows::count_rows;
use super::{Escapes, Token, Tokens};

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `CREATE DATABASE`
    CreateDatabase(String),
    /// `DROP DATABASE`
    DropDatabase(String),
    /// `USE`
    Use(String),
    /// `CREATE TABLE`
    CreateTable(Name),
    /// `DROP TABLE`; the first name only.
    DropTable(Name),
    /// `INSERT` or `REPLACE`
    Insert {
        /// Into which table.
        table: Name,
        /// How many tuples it has.
        rows: u64,
    },
    /// `CREATE VIEW`, the real one.
    View(Name),
    /// What dumps create in the place of a view until all tables are there: no table and no view of its own.
    StandIn(Name),
    /// `CREATE TRIGGER`
    Trigger {
        /// Its name.
        name: Name,
        /// The table it belongs to.
        table: Name,
        /// `BEFORE` or `AFTER`.
        timing: String,
        /// `INSERT`, `UPDATE` or `DELETE`.
        event: String,
    },
    /// `CREATE PROCEDURE`, `FUNCTION`, `PACKAGE`, `PACKAGE BODY`
    Routine {
        /// Which of them.
        what: &'static str,
        /// Its name.
        name: Name,
    },
    /// `CREATE EVENT`
    Event(Name),
    /// `CREATE SEQUENCE` (MariaDB)
    Sequence(Name),
    /// `CREATE USER`, `CREATE ROLE`, `ALTER USER`, `GRANT`, `REVOKE`, `SET DEFAULT ROLE`
    Account,
    /// `LOCK TABLES`
    Lock,
    /// `UNLOCK TABLES`
    Unlock,
    /// `SET GLOBAL gtid_slave_pos = …`, `SET @@GLOBAL.GTID_PURGED = …`
    SetGtid(String),
    /// `CHANGE MASTER TO`, `CHANGE REPLICATION SOURCE TO`
    ChangeMaster,
    /// Any other `SET`.
    Set,
    /// Anything else, by its first word in upper case.
    Other(String),
}

impl Kind {
    /// Names the kind as the statement begins: `CREATE TABLE`.
    pub fn verb(&self) -> &str {
        match self {
            Self::CreateDatabase(_) => "CREATE DATABASE",
            Self::DropDatabase(_) => "DROP DATABASE",
            Self::Use(_) => "USE",
            Self::CreateTable(_) => "CREATE TABLE",
            Self::DropTable(_) => "DROP TABLE",
            Self::Insert { .. } => "INSERT",
            Self::View(_) | Self::StandIn(_) => "CREATE VIEW",
            Self::Trigger { .. } => "CREATE TRIGGER",
            Self::Routine { what, .. } => what,
            Self::Event(_) => "CREATE EVENT",
            Self::Sequence(_) => "CREATE SEQUENCE",
            Self::Account => "account statement",
            Self::Lock => "LOCK TABLES",
            Self::Unlock => "UNLOCK TABLES",
            Self::SetGtid(_) | Self::Set => "SET",
            Self::ChangeMaster => "CHANGE MASTER",
            Self::Other(verb) => verb,
        }
    }
}

/// Far more tokens than stand before the name of anything in a dump.
const HEAD_TOKENS: usize = 200;

/// Whether the rows of an `INSERT` are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    Count,
    Leave,
}

pub(super) fn classify(sql: &[u8], escapes: Escapes, rows: Rows) -> Kind {
    let mut walk = Walk { tokens: Tokens::new(sql, escapes), versions: Vec::new(), looked: 0 };
    let Some(first) = walk.next() else { return Kind::Other(String::new()) };
    let Token::Word(verb) = first else { return Kind::Other(String::new()) };
    let verb = String::from_utf8_lossy(verb).to_ascii_uppercase();
    let known = match verb.as_str() {
        "CREATE" => walk.create(),
        "DROP" => walk.drop(),
        "INSERT" | "REPLACE" => walk.insert(sql, escapes, rows),
        "USE" => walk.next().and_then(|token| token.name()).map(Kind::Use),
        "LOCK" => Some(Kind::Lock),
        "UNLOCK" => Some(Kind::Unlock),
        "SET" => Some(walk.set()),
        "GRANT" | "REVOKE" => Some(Kind::Account),
        "ALTER" => walk.next().filter(|token| token.is("USER") || token.is("ROLE")).map(|_| Kind::Account),
        "CHANGE" => Some(Kind::ChangeMaster),
        _ => None,
    };
    known.unwrap_or(Kind::Other(verb))
}

/// Where a name has to stand, double quotes are those of `ANSI_QUOTES`, as dumps of `sql_mode=ORACLE` write them.
fn object_name(token: Token<'_>) -> Option<String> {
    match token {
        Token::Quoted([b'"', name @ .., b'"']) => Some(String::from_utf8_lossy(name).replace("\"\"", "\"")),
        other => other.name(),
    }
}

struct Walk<'a> {
    tokens: Tokens<'a>,
    /// Versions of the executable comments that are open.
    versions: Vec<u32>,
    looked: usize,
}

impl<'a> Walk<'a> {
    /// Gives the next token that is not a comment's edge; nothing when the head of the statement is over.
    fn next(&mut self) -> Option<Token<'a>> {
        while self.looked < HEAD_TOKENS {
            self.looked += 1;
            match self.tokens.next()? {
                Token::Open(version) => self.versions.push(version),
                Token::Close => {
                    self.versions.pop();
                }
                token @ (Token::Word(_) | Token::Identifier(_) | Token::Quoted(_) | Token::Mark(_)) => {
                    return Some(token);
                }
            }
        }
        None
    }

    /// Reads `name` or `database.name`, after an optional `IF [NOT] EXISTS`.
    fn name(&mut self) -> Option<Name> {
        let mut token = self.next()?;
        if token.is("IF") {
            while token.is("IF") || token.is("NOT") || token.is("EXISTS") {
                token = self.next()?;
            }
        }
        let first = object_name(token)?;
        let mut ahead = self.tokens.clone();
        if ahead.next() != Some(Token::Mark(b'.')) {
            return Some(Name { database: None, name: first });
        }
        self.next()?;
        Some(Name { database: Some(first), name: object_name(self.next()?)? })
    }

    fn create(&mut self) -> Option<Kind> {
        // `/*!50001 CREATE VIEW` and `/*!50001 CREATE TABLE` are what dumps write for stand-ins; the real view
        // says `/*!50001 CREATE ALGORITHM=…` first.
        let in_version = self.versions.last() == Some(&50001);
        let mut direct = true;
        while let Some(token) = self.next() {
            let Token::Word(word) = token else { continue };
            match word.to_ascii_uppercase().as_slice() {
                b"TABLE" | b"VIEW" if in_version && direct => return self.name().map(Kind::StandIn),
                b"TABLE" => return self.name().map(Kind::CreateTable),
                b"VIEW" => return self.name().map(Kind::View),
                b"TRIGGER" => return self.trigger(),
                b"PROCEDURE" => return self.routine("PROCEDURE"),
                b"FUNCTION" => return self.routine("FUNCTION"),
                b"PACKAGE" => return self.package(),
                b"EVENT" => return self.name().map(Kind::Event),
                b"SEQUENCE" => return self.name().map(Kind::Sequence),
                b"DATABASE" | b"SCHEMA" => return Some(Kind::CreateDatabase(self.name()?.name)),
                b"USER" | b"ROLE" => return Some(Kind::Account),
                _ => direct = false,
            }
        }
        None
    }

    fn drop(&mut self) -> Option<Kind> {
        let token = self.next()?;
        if token.is("TABLE") {
            return self.name().map(Kind::DropTable);
        }
        if token.is("DATABASE") || token.is("SCHEMA") {
            return Some(Kind::DropDatabase(self.name()?.name));
        }
        (token.is("USER") || token.is("ROLE")).then_some(Kind::Account)
    }

    fn trigger(&mut self) -> Option<Kind> {
        let name = self.name()?;
        let mut word = || match self.next()? {
            Token::Word(word) => Some(String::from_utf8_lossy(word).to_ascii_uppercase()),
            _ => None,
        };
        let (timing, event, on) = (word()?, word()?, word()?);
        let table = (on == "ON").then(|| self.name()).flatten()?;
        Some(Kind::Trigger { name, table, timing, event })
    }

    fn routine(&mut self, what: &'static str) -> Option<Kind> {
        Some(Kind::Routine { what, name: self.name()? })
    }

    fn package(&mut self) -> Option<Kind> {
        let mut ahead = self.tokens.clone();
        if ahead.next().is_some_and(|token| token.is("BODY")) {
            self.next()?;
            return self.routine("PACKAGE BODY");
        }
        self.routine("PACKAGE")
    }

    fn insert(&mut self, sql: &[u8], escapes: Escapes, count: Rows) -> Option<Kind> {
        const MODIFIERS: [&str; 5] = ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"];
        loop {
            let mut ahead = self.tokens.clone();
            let token = ahead.next()?;
            if !MODIFIERS.iter().any(|modifier| token.is(modifier)) {
                break;
            }
            self.next()?;
        }
        let table = self.name()?;
        // A column list may be long: it does not count against the head.
        loop {
            let token = self.tokens.next();
            if token.is_none_or(|token| token.is("SELECT") || token.is("SET")) {
                return Some(Kind::Insert { table, rows: 0 });
            }
            if token.is_some_and(|token| token.is("VALUES") || token.is("VALUE")) {
                let rows = match count {
                    Rows::Count => count_rows(&sql[self.tokens.position()..], escapes),
                    Rows::Leave => 0,
                };
                return Some(Kind::Insert { table, rows });
            }
        }
    }

    fn set(&mut self) -> Kind {
        let mut gtid = None;
        let mut is_gtid = false;
        while let Some(token) = self.next() {
            if token.is("DEFAULT") || token.is("ROLE") || token.is("PASSWORD") {
                return Kind::Account;
            }
            is_gtid = is_gtid || token.is("GTID_PURGED") || token.is("gtid_slave_pos");
            if let (true, Token::Quoted(text)) = (is_gtid, token)
                && text.len() >= 2
                && text != b"'+'"
            {
                gtid = Some(String::from_utf8_lossy(&text[1..text.len() - 1]).into_owned());
            }
        }
        if is_gtid { Kind::SetGtid(gtid.unwrap_or_default()) } else { Kind::Set }
    }
}
