//! Statements → server: one session, in order, with errors that name statement, table and place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::ObjectEntry;
use rekindle_backup::sql::{Escapes, Kind, PieceError, Tokens};
use rekindle_engine::host::Body;
use rekindle_engine::step::{ErrorClass, Progress, StepContext, StepError};
use tokio::sync::mpsc;

use super::BinlogUse;
use super::accounts::{AccountName, Treatment, treat};
use super::reader::{self, Statement, WAITING_STATEMENTS, WasRead};
use crate::connection::Server;
use crate::error::ServerError;

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) statements: u64,
    pub(super) text_bytes: u64,
}

/// Sends a whole dump object and proves that what was read is what was backed up.
///
/// # Errors
/// At the first statement that the server refuses, and when the object is not the one of the manifest.
pub(super) async fn load(
    cx: &StepContext,
    server: &mut Server,
    object: &ObjectEntry,
    body: Body,
) -> Result<Loaded, StepError> {
    let (sender, mut statements) = mpsc::channel(WAITING_STATEMENTS);
    let read_bytes = Arc::new(AtomicU64::new(0));
    let reading = {
        let read_bytes = Arc::clone(&read_bytes);
        let reader = body.into_blocking_reader();
        tokio::task::spawn_blocking(move || reader::read(reader, read_bytes, &sender))
    };
    let mut sending = Sending::new(server).await?;
    let sent = send_all(cx, &mut sending, &mut statements, &read_bytes, object.size_bytes).await;
    let is_refused = sent.as_ref().is_err_and(|error| error.class == ErrorClass::Permanent);
    let is_read_on = is_refused && read_on(cx, &mut statements).await;
    // Ends the reader, which otherwise waits for somebody to take its statements.
    drop(statements);
    let read = reading.await.map_err(|error| StepError::permanent(format!("the reader ended: {error}")))?;
    let read = read
        .map_err(|error| unreadable(object, &error, &read_bytes))
        .and_then(|read| check(object, &read).map(|()| read));
    match (sent, read) {
        (Ok(()), read) => Ok(Loaded { statements: sending.count, text_bytes: read?.text_bytes }),
        (Err(refused), Err(damage)) if is_read_on && damage.class == ErrorClass::Permanent => {
            let message = format!("{}; {}", damage.message, refused.message);
            Err(StepError { message, ..damage })
        }
        // That the reader was then left alone is not the cause.
        (Err(error), _) => Err(error),
    }
}

/// Reads to the end after a refusal: the cause may be damage, which only the checksum of all of it tells.
async fn read_on(cx: &StepContext, statements: &mut mpsc::Receiver<Statement>) -> bool {
    loop {
        tokio::select! {
            () = cx.cancel().cancelled() => return false,
            statement = statements.recv() => if statement.is_none() { return true },
        }
    }
}

async fn send_all(
    cx: &StepContext,
    sending: &mut Sending<'_>,
    statements: &mut mpsc::Receiver<Statement>,
    read_bytes: &AtomicU64,
    size_bytes: u64,
) -> Result<(), StepError> {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            _ = tick.tick() => cx.progress(Progress {
                bytes: read_bytes.load(Ordering::Relaxed),
                total_bytes: Some(size_bytes),
                note: sending.place(),
            }),
            statement = statements.recv() => match statement {
                // A statement may take long: the operator's word is heard meanwhile. The session is then of no
                // further use, and the server ends it after the statement.
                Some(statement) => tokio::select! {
                    sent = sending.send(cx, &statement) => sent?,
                    () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
                },
                None => return Ok(()),
            },
        }
    }
}

/// Prepares a session for a dump: dumps of ours set the same themselves, foreign ones may not.
pub(super) async fn prepare(server: &mut Server, binlog: BinlogUse) -> Result<(), StepError> {
    let session = &mut server.session;
    if binlog == BinlogUse::Off {
        session.run("keep the restore out of its binary log", "SET SESSION sql_log_bin = 0").await?;
    }
    let settings =
        "SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'";
    session.run("prepare for the dump", settings).await?;
    Ok(())
}

/// Tells whether a statement says what becomes of the binary log, as `mysqldump --set-gtid-purged` writes it: that is
/// for `binlog` to say, and managed servers refuse it.
fn sets_binlog_use(sql: &[u8]) -> bool {
    Tokens::new(sql, Escapes::default()).any(|token| token.is("SQL_LOG_BIN"))
}

struct Sending<'a> {
    server: &'a mut Server,
    /// The largest statement that the server takes.
    max_packet_bytes: usize,
    own: AccountName,
    database: String,
    table: String,
    count: u64,
}

impl<'a> Sending<'a> {
    async fn new(server: &'a mut Server) -> Result<Self, StepError> {
        let own: String = server.session.row("tell its account", "SELECT CURRENT_USER()").await?;
        let (user, host) = own.rsplit_once('@').unwrap_or((own.as_str(), "%"));
        let own = AccountName { user: user.to_owned(), host: host.to_owned() };
        let max: u64 =
            server.session.row("tell its largest packet", "SELECT @@GLOBAL.max_allowed_packet").await?;
        // One byte of a packet says that it is a query.
        let max_packet_bytes = usize::try_from(max).unwrap_or(usize::MAX).saturating_sub(1);
        Ok(Self { server, max_packet_bytes, own, database: String::new(), table: String::new(), count: 0 })
    }

    fn place(&self) -> String {
        if self.table.is_empty() { String::new() } else { format!("{}.{}", self.database, self.table) }
    }

    async fn send(&mut self, cx: &StepContext, statement: &Statement) -> Result<(), StepError> {
        match &statement.kind {
            Kind::Use(database) => {
                self.database.clone_from(database);
                self.table.clear();
            }
            Kind::CreateTable(name) | Kind::Insert { table: name, .. } => self.table.clone_from(&name.name),
            // The position is set at the end, from the manifest, when everything is proven.
            Kind::SetGtid(_) | Kind::ChangeMaster => return Ok(()),
            Kind::Set if sets_binlog_use(&statement.sql) => return Ok(()),
            Kind::Account => match treat(&statement.sql, &self.own) {
                Treatment::Skip => return Ok(()),
                Treatment::After(first) => self.query(first.as_bytes(), statement).await?,
                Treatment::Send => return self.account(cx, statement).await,
            },
            Kind::CreateDatabase(_)
            | Kind::DropDatabase(_)
            | Kind::DropTable(_)
            | Kind::View(_)
            | Kind::StandIn(_)
            | Kind::Trigger { .. }
            | Kind::Routine { .. }
            | Kind::Event(_)
            | Kind::Sequence(_)
            | Kind::Lock
            | Kind::Unlock
            | Kind::Set
            | Kind::Other(_) => {}
        }
        self.query(&statement.sql, statement).await?;
        self.count += 1;
        Ok(())
    }

    /// Grants may name what was dropped long ago: servers keep them, and refuse to make them anew.
    async fn account(&mut self, cx: &StepContext, statement: &Statement) -> Result<(), StepError> {
        self.count += 1;
        match self.server.session.conn.query_drop(&statement.sql[..]).await {
            Err(mysql_async::Error::Server(error)) if NO_SUCH_THING.contains(&error.code) => {
                cx.warn(&format!("a privilege is not restored, what it is for is gone: {}", error.message));
                Ok(())
            }
            Err(error) => Err(self.refused(statement, &error)),
            Ok(()) => Ok(()),
        }
    }

    async fn query(&mut self, sql: &[u8], statement: &Statement) -> Result<(), StepError> {
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
        match self.server.session.conn.query_drop(sql).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused(statement, &error)),
        }
    }

    fn refused(&self, statement: &Statement, error: &mysql_async::Error) -> StepError {
        let mut error = self.server.session.error(&format!("run {}", self.words(statement)), error);
        if let (Kind::Account, ServerError::Statement { message, .. }) = (&statement.kind, &mut error) {
            "its words are not shown, because they may quote credentials".clone_into(message);
        }
        error.into()
    }

    /// Says which statement it is.
    fn words(&self, statement: &Statement) -> String {
        let place = self.place();
        let table = if place.is_empty() { String::new() } else { format!(" at table {place}") };
        let (verb, line, offset) = (statement.kind.verb(), statement.line, statement.offset);
        format!("{verb} (line {line}, byte {offset} of the SQL text){table}")
    }
}

/// `ER_NO_SUCH_TABLE`, `ER_SP_DOES_NOT_EXIST`, `ER_BAD_FIELD_ERROR`, `ER_NONEXISTING_GRANT`
const NO_SUCH_THING: [u16; 4] = [1146, 1305, 1054, 1141];

fn unreadable(object: &ObjectEntry, error: &PieceError, read_bytes: &AtomicU64) -> StepError {
    let name = &object.name;
    // The end comes too early also when damage makes the text seem longer: reading again can't help then.
    let is_cut = read_bytes.load(Ordering::Relaxed) < object.size_bytes;
    match error {
        PieceError::Read(error) if is_cut && error.kind() == std::io::ErrorKind::UnexpectedEof => {
            StepError::transient(format!("`{name}` ended too early: {error}"))
        }
        PieceError::Read(error) => StepError::permanent(format!("`{name}` can't be read: {error}")).help(
            "`rekindle run verify` tells which objects are damaged; restore another backup or its copy",
        ),
        PieceError::Lex(error) => StepError::permanent(format!("`{name}` is no sound dump: {error}")),
    }
}

/// Compares what was read with what the manifest says was written.
fn check(object: &ObjectEntry, read: &WasRead) -> Result<(), StepError> {
    let name = &object.name;
    let wrong = if read.size_bytes != object.size_bytes {
        format!("it has {} bytes, and the manifest says {}", read.size_bytes, object.size_bytes)
    } else if read.sha256 != object.sha256 {
        format!("its sha256 is {}, and the manifest says {}", read.sha256, object.sha256)
    } else if !read.trailer {
        "its trailer `-- Dump completed` is missing".to_owned()
    } else {
        return Ok(());
    };
    Err(StepError::permanent(format!("`{name}` is damaged: {wrong}"))
        .help("the server stays fenced (read-only); restore another backup or a copy of this one"))
}
