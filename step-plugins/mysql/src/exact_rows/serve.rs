//! From a thread that reads the client's output to a session that reads the rows again, and back.

use std::io;
use std::time::Duration;

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

/// Statements without their delimiters.
type Statements = Vec<Vec<u8>>;

/// What is asked of the session.
pub(crate) enum Asked {
    /// The next rows of a table.
    Rows { table: (String, String), rows: u64, answer: oneshot::Sender<Option<Statements>> },
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
    fn instead(&mut self, database: &str, table: &str, rows: u64) -> io::Result<Option<Statements>> {
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

/// How much longer than the client a session may take to answer: then the client has been ended, and the thread waits for
/// nobody any more.
const AFTER_THE_CLIENT: Duration = Duration::from_secs(15);

/// What ends the answers before all is asked.
pub(crate) struct Until<'a> {
    pub(crate) cancel: &'a CancellationToken,
    /// The thread's waiting, and how long the client may let it wait.
    pub(crate) waiting: Waiting,
    pub(crate) limit: Duration,
}

/// Answers until nobody asks any more, or it is to end. Without a session that sees the client's rows, the client's own
/// text stays. The session has to be in a transaction.
///
/// # Errors
/// When the server refuses, and when a table has another number of rows than the client has read.
pub(crate) async fn serve(
    session: Option<Session>,
    tables: &FloatTables,
    asked: mpsc::Receiver<Asked>,
    until: Until<'_>,
) -> Result<(), StepError> {
    tokio::select! {
        // Whoever asked is not answered, and says why.
        () = until.cancel.cancelled() => Ok(()),
        () = until.waiting.longer_than(until.limit + AFTER_THE_CLIENT) => Ok(()),
        served = answer_all(session, tables, asked) => served,
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
                let next =
                    Table { name: &table, columns }.serve(&mut session, (rows, answer), &mut waiting).await?;
                session.run("give a table free", "ROLLBACK TO SAVEPOINT rekindle_rows").await?;
                next
            }
            Asked::Over => waiting.recv().await,
        };
    }
    session.close().await;
    Ok(())
}

/// Reads as the clients do (`mysqldump.c`): for as long as it takes, and each table is free for others once it is read.
/// A lock is waited for only so long, since whoever has it may wait for the client, and the client waits for us.
async fn prepare(session: &mut Session) -> Result<(), ServerError> {
    let what = "read rows as a dump does";
    let settings = "SET SESSION sql_mode = '', time_zone = '+00:00', net_write_timeout = 86400, wait_timeout = 86400, \
         lock_wait_timeout = 10 \
         /*M!100300 , max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0 */ \
         /*!50708 , max_execution_time = 0 */";
    session.run(what, settings).await?;
    session.run(what, "SAVEPOINT rekindle_rows").await
}

type Answer = (u64, oneshot::Sender<Option<Statements>>);

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
            let statements =
                self.statements(&mut rows, count, &forms).await.map_err(|found| error(&found))?;
            let Some(statements) = statements else { return Err(differs(self.name, "it has fewer rows")) };
            // Whoever has stopped waiting says why.
            let _ = answer.send(Some(statements));
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

    /// Gives the next rows, in statements as large as those of the clients: the digits take more room, and servers take no
    /// statement of any size.
    async fn statements(
        &self,
        rows: &mut QueryResult<'_, '_, TextProtocol>,
        count: u64,
        forms: &[Form],
    ) -> Result<Option<Statements>, mysql_async::Error> {
        let head = self.columns.insert(&self.name.1).into_bytes();
        let (mut all, mut text) = (Statements::new(), head.clone());
        for _ in 0..count {
            let Some(row) = rows.next().await? else { return Ok(None) };
            if text.len() > STATEMENT_BYTES {
                all.push(std::mem::replace(&mut text, head.clone()));
            }
            if text.len() > head.len() {
                text.extend_from_slice(b",\n");
            }
            push_row(&mut text, &row.unwrap(), forms);
        }
        all.push(text);
        Ok(Some(all))
    }
}

/// As much as the clients put into one `INSERT` (`--net-buffer-length` of `mysqldump`).
const STATEMENT_BYTES: usize = 1 << 20;

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
