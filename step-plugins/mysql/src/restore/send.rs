//! One statement → server, with errors that name statement, table and place. Any reader of SQL text can use it.

use mysql_async::prelude::Queryable as _;
use rekindle_backup::sql::{Escapes, Kind, Name, Token, Tokens};
use rekindle_engine::step::{StepContext, StepError};

use super::accounts::{AccountName, Treatment, treat};
use super::patience::Patience;
use super::views::{self, Charset, HeldView};
use crate::connection::{Server, quote_identifier};
use crate::error::ServerError;

/// A statement of a dump.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// Its bytes, without delimiter.
    pub(super) sql: &'a [u8],
    /// What it does.
    pub(super) kind: &'a Kind,
    /// Where it begins in the SQL text.
    pub(super) offset: u64,
    /// The line it begins on, from 1, where that is known.
    pub(super) line: Option<u64>,
}

/// Sends statements of a dump over one session, and follows which table they are about.
///
/// It leaves out what a restore does itself: positions, when everything is proven, and dropping what is to be replaced;
/// what would undo it: whether the session logs, and the account that it is connected with; and what would stay after
/// it: variables of the whole server.
pub(super) struct StatementSender<'a> {
    server: &'a mut Server,
    /// The largest statement that the server takes.
    max_packet_bytes: usize,
    own: AccountName,
    database: String,
    table: String,
    count: u64,
    views: Vec<HeldView>,
    /// Whether each statement is a transaction of its own, which may be sent again.
    commits_each: bool,
}

impl<'a> StatementSender<'a> {
    /// Asks the server what has to be known of it.
    pub(super) async fn new(server: &'a mut Server) -> Result<Self, StepError> {
        let own: String = server.session.row("tell its account", "SELECT CURRENT_USER()").await?;
        let (user, host) = own.rsplit_once('@').unwrap_or((own.as_str(), "%"));
        let own = AccountName { user: user.to_owned(), host: host.to_owned() };
        let max: u64 =
            server.session.row("tell its largest packet", "SELECT @@GLOBAL.max_allowed_packet").await?;
        // One byte of a packet says that it is a query.
        let max_packet_bytes = usize::try_from(max).unwrap_or(usize::MAX).saturating_sub(1);
        Ok(Self {
            server,
            max_packet_bytes,
            own,
            database: String::new(),
            table: String::new(),
            count: 0,
            views: Vec::new(),
            commits_each: false,
        })
    }

    /// Says that every statement is committed by itself.
    pub(super) fn committing_each(self) -> Self {
        Self { commits_each: true, ..self }
    }

    /// Gives the server, for statements that are not of the dump.
    pub(super) fn server(&mut self) -> &mut Server {
        self.server
    }

    /// Says which table the statements are about: `shop.orders`; empty when about none.
    pub(super) fn place(&self) -> String {
        if self.table.is_empty() { String::new() } else { format!("{}.{}", self.database, self.table) }
    }

    /// Gives how many statements were sent.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Makes a database the one that names without one are of.
    pub(super) async fn enter(&mut self, database: &str) -> Result<(), StepError> {
        if self.database != database {
            let statement = format!("USE {}", quote_identifier(database));
            self.server.session.run(&format!("use the database {database}"), &statement).await?;
            database.clone_into(&mut self.database);
            self.table.clear();
        }
        Ok(())
    }

    /// Sends one.
    ///
    /// # Errors
    /// When the server refuses it, or it is larger than the server takes.
    pub(super) async fn send(&mut self, cx: &StepContext, statement: Outgoing<'_>) -> Result<(), StepError> {
        match statement.kind {
            Kind::Use(database) => {
                self.database.clone_from(database);
                self.table.clear();
            }
            Kind::CreateTable(name) | Kind::Insert { table: name, .. } => {
                if self.table != name.name {
                    self.table.clone_from(&name.name);
                }
            }
            // The position is set at the end, from the manifest, when everything is proven. What is in the way was dropped
            // before, where that was asked for: what a dump drops may be another database than the one it is loaded into.
            Kind::SetGtid(_) | Kind::ChangeMaster | Kind::DropDatabase(_) => return Ok(()),
            Kind::Set if is_not_of_the_session(statement.sql) => return Ok(()),
            // Privileges may be for views.
            Kind::Account if !self.views.is_empty() => {
                self.create_views(cx).await?;
                return Box::pin(self.send(cx, statement)).await;
            }
            Kind::Account => match treat(statement.sql, &self.own) {
                Treatment::Skip => return Ok(()),
                Treatment::After(first) => self.query(first.as_bytes(), statement).await?,
                Treatment::Send => return self.account(cx, statement).await,
            },
            Kind::CreateDatabase(_)
            | Kind::DropTable(_)
            | Kind::StandIn(_)
            | Kind::Trigger { .. }
            | Kind::Routine { .. }
            | Kind::Event(_)
            | Kind::Sequence(_)
            | Kind::Lock
            | Kind::Unlock
            | Kind::Set
            | Kind::Other(_) => {}
            Kind::View(name) => return self.hold(name, statement).await,
        }
        self.query(statement.sql, statement).await?;
        self.count += 1;
        Ok(())
    }

    async fn hold(&mut self, name: &Name, statement: Outgoing<'_>) -> Result<(), StepError> {
        let charset = self.charset().await?;
        self.views.push(HeldView {
            database: name.database.clone().unwrap_or_else(|| self.database.clone()),
            name: name.name.clone(),
            sql: statement.sql.to_vec(),
            charset,
            offset: statement.offset,
            line: statement.line,
        });
        Ok(())
    }

    /// Makes the views that were held back. Has to be called after the last statement.
    ///
    /// # Errors
    /// When the server refuses one.
    pub(super) async fn create_views(&mut self, cx: &StepContext) -> Result<(), StepError> {
        let views = std::mem::take(&mut self.views);
        if views.is_empty() {
            return Ok(());
        }
        let before = (self.database.clone(), self.charset().await?);
        for view in views::in_order(views) {
            if cx.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            self.enter(&view.database).await?;
            self.set_charset(&view.charset).await?;
            let kind = Kind::View(Name { database: None, name: view.name });
            let statement = Outgoing { sql: &view.sql, kind: &kind, offset: view.offset, line: view.line };
            self.query(&view.sql, statement).await?;
            self.count += 1;
        }
        if !before.0.is_empty() {
            self.enter(&before.0).await?;
        }
        self.set_charset(&before.1).await
    }

    async fn charset(&mut self) -> Result<Charset, StepError> {
        let query = "SELECT @@SESSION.character_set_client, @@SESSION.collation_connection";
        let (client, collation) = self.server.session.row("tell its character sets", query).await?;
        Ok(Charset { client, collation })
    }

    async fn set_charset(&mut self, Charset { client, collation }: &Charset) -> Result<(), StepError> {
        let set = format!("SET SESSION character_set_client = {client}, collation_connection = {collation}");
        Ok(self.server.session.run("set its character sets", &set).await?)
    }

    /// Grants may name what was dropped long ago: servers keep them, and refuse to make them anew.
    async fn account(&mut self, cx: &StepContext, statement: Outgoing<'_>) -> Result<(), StepError> {
        self.count += 1;
        match self.server.session.conn.query_drop(statement.sql).await {
            Err(mysql_async::Error::Server(error)) if NO_SUCH_THING.contains(&error.code) => {
                cx.warn(&format!("a privilege is not restored, what it is for is gone: {}", error.message));
                Ok(())
            }
            Err(mysql_async::Error::Server(error))
                if error.code == NO_PROXY && gives_proxy(statement.sql) =>
            {
                cx.warn(
                    "a privilege PROXY is not restored: only an account that has it itself may give it; servers give it to \
                     their own `root`@`localhost`",
                );
                Ok(())
            }
            Err(error) => Err(self.refused(statement, &error)),
            Ok(()) => Ok(()),
        }
    }

    async fn query(&mut self, sql: &[u8], statement: Outgoing<'_>) -> Result<(), StepError> {
        if sql.len() > self.max_packet_bytes {
            return Err(StepError::permanent(format!(
                "{} has {} bytes, and `max_allowed_packet` of `{}` is {}",
                self.words(statement),
                sql.len(),
                self.server.session.target(),
                self.max_packet_bytes + 1
            ))
            .help("raise max_allowed_packet on the server (SET GLOBAL, at most 1 GiB), then restore again"));
        }
        let mut patience = Patience::begin();
        loop {
            match self.server.session.conn.query_drop(sql).await {
                Ok(()) => return Ok(()),
                Err(error) if self.commits_each && patience.allows(&error).await => {}
                Err(error) => return Err(self.refused(statement, &error)),
            }
        }
    }

    fn refused(&self, statement: Outgoing<'_>, error: &mysql_async::Error) -> StepError {
        let mut error = self.server.session.error(&format!("run {}", self.words(statement)), error);
        if let (Kind::Account, ServerError::Statement { message, .. }) = (statement.kind, &mut error) {
            "its words are not shown, because they may quote credentials".clone_into(message);
        }
        error.into()
    }

    /// Says which statement it is.
    fn words(&self, statement: Outgoing<'_>) -> String {
        let place = self.place();
        let table = if place.is_empty() { String::new() } else { format!(" at table {place}") };
        let line = statement.line.map_or(String::new(), |line| format!("line {line}, "));
        let (verb, offset) = (statement.kind.verb(), statement.offset);
        format!("{verb} ({line}byte {offset} of the SQL text){table}")
    }
}

/// `ER_NO_SUCH_TABLE`, `ER_SP_DOES_NOT_EXIST`, `ER_BAD_FIELD_ERROR`, `ER_NONEXISTING_GRANT`
const NO_SUCH_THING: [u16; 4] = [1146, 1305, 1054, 1141];

/// `ER_ACCESS_DENIED_NO_PASSWORD_ERROR`: what servers answer to `GRANT PROXY` of an account that has no such privilege;
/// `ALL PRIVILEGES` does not include it (MySQL Reference Manual 8.2.19, "Proxy Users").
const NO_PROXY: u16 = 1698;

fn gives_proxy(sql: &[u8]) -> bool {
    let mut tokens = Tokens::new(sql, Escapes::default());
    tokens.next().is_some_and(|token| token.is("GRANT"))
        && tokens.next().is_some_and(|token| token.is("PROXY"))
}

/// Tells whether `SET` is about more than its session. What becomes of the binary log, as `mysqldump --set-gtid-purged`
/// writes it, is for `binlog` to say; a variable of the server, as `mysqldump --all-databases` sets
/// `innodb_stats_auto_recalc` around `mysql`, would stay. Managed servers refuse both.
pub(super) fn is_not_of_the_session(sql: &[u8]) -> bool {
    let of_server = ["GLOBAL", "PERSIST", "PERSIST_ONLY"];
    let mut is_assigned = false;
    Tokens::new(sql, Escapes::default()).any(|token| {
        // `SET time_zone = @@GLOBAL.time_zone` only reads it.
        is_assigned |= token == Token::Mark(b'=');
        token.is("SQL_LOG_BIN") || !is_assigned && of_server.iter().any(|word| token.is(word))
    })
}

/// Tells whether a short statement has a text in it, whatever its case.
pub(super) fn has_word(sql: &[u8], word: &[u8]) -> bool {
    sql.windows(word.len()).take(SHORT_BYTES).any(|part| part.eq_ignore_ascii_case(word))
}

/// Statements that set something are short in every dump.
const SHORT_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_for_the_session_is_sent() {
        for sql in [
            "SET GLOBAL INNODB_STATS_AUTO_RECALC=OFF",
            "SET @@GLOBAL.x = 1",
            "SET PERSIST_ONLY x = 1",
            "SET @@SESSION.SQL_LOG_BIN= 0",
            "SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN",
        ] {
            assert!(is_not_of_the_session(sql.as_bytes()), "{sql}");
        }
        for sql in ["SET SESSION time_zone = @@GLOBAL.time_zone", "SET NAMES utf8mb4", "SET @a = 'GLOBAL'"] {
            assert!(!is_not_of_the_session(sql.as_bytes()), "{sql}");
        }
    }
}
