//! Statements → server: one session, in order, with errors that name statement, table and place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::ObjectEntry;
use rekindle_backup::sql::{Kind, PieceError};
use rekindle_engine::host::Body;
use rekindle_engine::step::{Progress, StepContext, StepError};
use tokio::sync::mpsc;

use super::accounts::{AccountName, Treatment, treat};
use super::reader::{self, Statement, WAITING_STATEMENTS, WasRead};
use crate::connection::Server;

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
        let (read_bytes, compressed) =
            (Arc::clone(&read_bytes), Path::new(&object.name).extension().is_some_and(|ext| ext == "gz"));
        let reader = body.into_blocking_reader();
        tokio::task::spawn_blocking(move || reader::read(reader, compressed, read_bytes, &sender))
    };
    let mut sending = Sending::new(server).await?;
    let sent = send_all(cx, &mut sending, &mut statements, &read_bytes, object.size_bytes).await;
    // Ends the reader, which otherwise waits for somebody to take its statements.
    drop(statements);
    let read = reading.await.map_err(|error| StepError::permanent(format!("the reader ended: {error}")))?;
    // The server's refusal is the cause; that the reader was then left alone is not.
    sent?;
    let was_read = read.map_err(|error| unreadable(object, &error))?;
    check(object, &was_read)?;
    Ok(Loaded { statements: sending.count, text_bytes: was_read.text_bytes })
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
                Some(statement) => sending.send(&statement).await?,
                None => return Ok(()),
            },
        }
    }
}

struct Sending<'a> {
    server: &'a mut Server,
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
        Ok(Self { server, own, database: String::new(), table: String::new(), count: 0 })
    }

    fn place(&self) -> String {
        if self.table.is_empty() { String::new() } else { format!("{}.{}", self.database, self.table) }
    }

    async fn send(&mut self, statement: &Statement) -> Result<(), StepError> {
        match &statement.kind {
            Kind::Use(database) => {
                self.database.clone_from(database);
                self.table.clear();
            }
            Kind::CreateTable(name) | Kind::Insert { table: name, .. } => self.table.clone_from(&name.name),
            // The position is set at the end, from the manifest, when everything is proven.
            Kind::SetGtid(_) | Kind::ChangeMaster => return Ok(()),
            Kind::Account => match treat(&statement.sql, &self.own) {
                Treatment::Skip => return Ok(()),
                Treatment::After(first) => self.query(first.as_bytes(), statement).await?,
                Treatment::Send => {}
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

    async fn query(&mut self, sql: &[u8], statement: &Statement) -> Result<(), StepError> {
        let Err(error) = self.server.session.conn.query_drop(sql).await else { return Ok(()) };
        let place = self.place();
        let on = if place.is_empty() { String::new() } else { format!(" at table {place}") };
        let what = format!(
            "run {} (line {}, byte {} of the SQL text){on}",
            statement.kind.verb(),
            statement.line,
            statement.offset
        );
        let error = self.server.session.error(&what, &error);
        let too_large = error.server_code() == Some(TOO_LARGE);
        let error = StepError::from(error);
        Err(if too_large {
            error.help("raise max_allowed_packet on the server, then resume the run")
        } else {
            error
        })
    }
}

/// `ER_NET_PACKET_TOO_LARGE`
const TOO_LARGE: u16 = 1153;

fn unreadable(object: &ObjectEntry, error: &PieceError) -> StepError {
    let name = &object.name;
    match error {
        PieceError::Read(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
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
