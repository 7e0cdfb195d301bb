//! From a thread that reads the client's output to a session that reads the rows again, and back.

use std::io;

use mysql_async::prelude::Queryable as _;
use mysql_async::{QueryResult, TextProtocol};
use rekindle_backup::dump::RowText;
use rekindle_engine::step::StepError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::literal::{Form, push_row};
use super::tables::{FloatTable, FloatTables};
use crate::connection::Session;
use crate::error::ServerError;
use crate::stall::Waiting;

/// What is asked of the session.
pub(crate) enum Asked {
    /// The next rows of a table.
    Rows { table: (String, String), rows: u64, answer: oneshot::Sender<Option<Vec<u8>>> },
    /// Nothing any more: the client has no more rows of any table.
    Over,
}

/// The end that a thread asks with; it may block.
pub(crate) struct ExactRows {
    tables: FloatTables,
    asked: mpsc::Sender<Asked>,
    waiting: Waiting,
}

/// Makes both ends. The thread's waiting is noted as that for its program.
pub(crate) fn asking(tables: FloatTables, waiting: Waiting) -> (ExactRows, mpsc::Receiver<Asked>) {
    let (asked, to_answer) = mpsc::channel(1);
    (ExactRows { tables, asked, waiting }, to_answer)
}

impl RowText for ExactRows {
    fn instead(&mut self, database: &str, table: &str, rows: u64) -> io::Result<Option<Vec<u8>>> {
        let table = (database.to_owned(), table.to_owned());
        if !self.tables.contains_key(&table) {
            return Ok(None);
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.during(|| {
            self.asked.blocking_send(Asked::Rows { table, rows, answer }).map_err(|_| gone())?;
            answered.blocking_recv().map_err(|_| gone())
        })
    }

    fn over(&mut self) -> io::Result<()> {
        self.asked.blocking_send(Asked::Over).map_err(|_| gone())
    }
}

/// The session's own error says more.
fn gone() -> io::Error {
    io::Error::other("the rows of a table with FLOAT columns could not be read a second time")
}

/// Answers until nobody asks any more. Without a session that sees the client's rows, the client's own text stays.
///
/// # Errors
/// When the server refuses, when a table has another number of rows than the client has read, and when it is cancelled.
pub(crate) async fn serve(
    session: Option<Session>,
    tables: &FloatTables,
    waiting: mpsc::Receiver<Asked>,
    cancel: &CancellationToken,
) -> Result<(), StepError> {
    tokio::select! {
        () = cancel.cancelled() => Err(StepError::cancelled()),
        served = answer_all(session, tables, waiting) => served,
    }
}

async fn answer_all(
    session: Option<Session>,
    tables: &FloatTables,
    mut waiting: mpsc::Receiver<Asked>,
) -> Result<(), StepError> {
    let Some(mut session) = session else {
        while let Some(asked) = waiting.recv().await {
            if let Asked::Rows { answer, .. } = asked {
                let _ = answer.send(None);
            }
        }
        return Ok(());
    };
    prepare(&mut session).await?;
    let mut next = waiting.recv().await;
    while let Some(asked) = next {
        next = match asked {
            Asked::Rows { table, rows, answer } => {
                let Some(columns) = tables.get(&table) else {
                    let _ = answer.send(None);
                    next = waiting.recv().await;
                    continue;
                };
                Table { name: &table, columns }.serve(&mut session, (rows, answer), &mut waiting).await?
            }
            Asked::Over => waiting.recv().await,
        };
    }
    session.close().await;
    Ok(())
}

/// Reads as the clients do (`mysqldump.c`), for as long as the client takes.
async fn prepare(session: &mut Session) -> Result<(), ServerError> {
    let what = "read rows as a dump does";
    session
        .run(what, "SET SESSION sql_mode = '', time_zone = '+00:00', net_write_timeout = 86400, wait_timeout = 86400")
        .await
}

type Answer = (u64, oneshot::Sender<Option<Vec<u8>>>);

/// A table that is read a second time.
struct Table<'a> {
    name: &'a (String, String),
    columns: &'a FloatTable,
}

impl Table<'_> {
    /// Reads it to its end. Gives what is asked afterwards.
    async fn serve(
        &self,
        session: &mut Session,
        first: Answer,
        waiting: &mut mpsc::Receiver<Asked>,
    ) -> Result<Option<Asked>, StepError> {
        let target = session.target().to_owned();
        let (database, table) = self.name;
        let what = format!("read {database}.{table} a second time");
        let error = |error: &mysql_async::Error| refused(ServerError::asking(&target, &what, error));
        let mut rows = session
            .conn
            .query_iter(self.columns.query(database, table))
            .await
            .map_err(|found| error(&found))?;
        let forms: Vec<Form> = rows
            .columns_ref()
            .iter()
            .map(|column| Form::of(column.column_type(), column.character_set()))
            .collect();
        let (mut count, mut answer) = first;
        loop {
            let statement = self.statement(&mut rows, count, &forms).await.map_err(|found| error(&found))?;
            let Some(statement) = statement else { return Err(differs(self.name, "it has fewer rows")) };
            // Whoever has stopped waiting says why.
            let _ = answer.send(Some(statement));
            match waiting.recv().await {
                Some(Asked::Rows { table, rows, answer: next }) if &table == self.name => {
                    (count, answer) = (rows, next);
                }
                // The client has failed: nothing is to be proven.
                None => return Ok(None),
                after => {
                    return match rows.next().await.map_err(|found| error(&found))? {
                        None => Ok(after),
                        Some(_) => Err(differs(self.name, "it has more rows")),
                    };
                }
            }
        }
    }

    async fn statement(
        &self,
        rows: &mut QueryResult<'_, '_, TextProtocol>,
        count: u64,
        forms: &[Form],
    ) -> Result<Option<Vec<u8>>, mysql_async::Error> {
        let mut text = self.columns.insert(&self.name.1).into_bytes();
        for at in 0..count {
            let Some(row) = rows.next().await? else { return Ok(None) };
            if at > 0 {
                text.extend_from_slice(b",\n");
            }
            push_row(&mut text, &row.unwrap(), forms);
        }
        Ok(Some(text))
    }
}

/// A table that was altered or dropped after the snapshot was taken: `ER_TABLE_DEF_CHANGED`, `ER_NO_SUCH_TABLE`,
/// `ER_BAD_FIELD_ERROR`.
const CHANGED: [u16; 3] = [1412, 1146, 1054];

fn refused(error: ServerError) -> StepError {
    match error.server_code() {
        Some(code) if CHANGED.contains(&code) => StepError::transient(error.to_string())
            .help("no tables may be altered or dropped meanwhile: run it again"),
        Some(_) | None => error.into(),
    }
}

fn differs((database, table): &(String, String), how: &str) -> StepError {
    StepError::transient(format!(
        "{database}.{table} was read a second time for the digits of its FLOAT columns, and {how} than in the client's dump"
    ))
    .help("nothing may change it meanwhile: run it again")
}
