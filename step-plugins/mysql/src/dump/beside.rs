//! What is read beside the client, in the same snapshot: checksums, and the digits that the client leaves out.

use rekindle_backup::inventory::Inventory;
use rekindle_engine::step::{StepContext, StepError};
use tokio::sync::{mpsc, oneshot};

use super::DumpParams;
use super::choose::Chosen;
use super::snapshot::Snapshot;
use super::survey::{is_transactional, some, transactional};
use crate::checksum::add_checksums;
use crate::connection::{Login, Session};
use crate::error::ServerError;
use crate::exact_rows::{Asked, FloatTable, FloatTables, Until, serve};
use crate::flavour::ServerVersion;
use crate::xa;

/// What is to be read, and the snapshot for it where there is one.
pub(super) struct Beside {
    snapshot: Option<Snapshot>,
    checksums: bool,
    floats: FloatTables,
}

impl Beside {
    /// Opens a snapshot when anything is to be read in one. Without it a dump is worth more than none: whatever is in
    /// the way is a warning.
    ///
    /// # Errors
    /// When the server can't be reached any more.
    pub(super) async fn open(
        params: &DumpParams,
        cx: &StepContext,
        login: &Login,
        (asking, version): (&mut Session, &ServerVersion),
        chosen: &Chosen,
        keeps_history: bool,
    ) -> Result<Self, StepError> {
        let floats = if params.scope.has_rows() {
            FloatTable::all(
                asking,
                &chosen.databases,
                |database, table| chosen.has(database, table),
                keeps_history,
            )
            .await?
        } else {
            FloatTables::new()
        };
        let (floats, others): (FloatTables, FloatTables) =
            floats.into_iter().partition(|(_, table)| is_transactional(&table.engine));
        if !others.is_empty() {
            cx.warn(&six_digits(&others, "one transaction does not cover the engines of their tables"));
        }
        let mut beside = Self { snapshot: None, checksums: params.checksums, floats };
        if params.scope.has_rows() {
            beside.open_snapshot(cx, login, version).await?;
            if let Some(names) = xa::prepared(asking).await? {
                cx.warn(&undecided(&names));
            }
        }
        Ok(beside)
    }

    async fn open_snapshot(
        &mut self,
        cx: &StepContext,
        login: &Login,
        version: &ServerVersion,
    ) -> Result<(), StepError> {
        let sessions = usize::from(self.checksums) + usize::from(!self.floats.is_empty());
        if sessions == 0 {
            return Ok(());
        }
        match Snapshot::open(login, version, sessions).await {
            Ok(snapshot) => self.snapshot = Some(snapshot),
            Err(error) if error.server_code().is_some() => self.warn(cx, &error.to_string()),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Gives the tables whose rows are read for their digits.
    pub(super) fn floats(&self) -> &FloatTables {
        &self.floats
    }

    fn warn(&self, cx: &StepContext, why: &str) {
        if self.checksums {
            cx.warn(&without_checksums(why));
        }
        if !self.floats.is_empty() {
            cx.warn(&six_digits(&self.floats, why));
        }
    }

    /// Reads, once the dump's snapshot is open. Gives the checksums of its transactional tables, as far as they can be had.
    ///
    /// # Errors
    /// When the rows of a table can't be read a second time, or are others: the dump is in the middle of them.
    pub(super) async fn read(
        mut self,
        dump_is_open: oneshot::Receiver<()>,
        (asked, until): (mpsc::Receiver<Asked>, Until<'_>),
        chosen: &Chosen,
        cx: &StepContext,
    ) -> Result<Inventory, StepError> {
        let mut sessions = match self.snapshot.take() {
            Some(snapshot) => snapshot.shared(dump_is_open).await.unwrap_or_else(|why| {
                self.warn(cx, &why);
                Vec::new()
            }),
            None => Vec::new(),
        };
        let for_rows = if self.floats.is_empty() { None } else { sessions.pop() };
        let rows = serve(for_rows, &self.floats, asked, until);
        let checksums = async {
            let Some(mut session) = sessions.pop() else { return Ok(Inventory::default()) };
            let taken = checksums(&mut session, chosen, cx).await;
            session.close().await;
            Ok(taken.unwrap_or_else(|error| {
                cx.warn(&without_checksums(&error.to_string()));
                Inventory::default()
            }))
        };
        let ((), checksums) = tokio::try_join!(rows, checksums)?;
        Ok(checksums)
    }
}

/// Says what a dump lacks of transactions that are prepared.
pub(super) fn undecided(names: &str) -> String {
    format!(
        "transactions are prepared and not decided (XA): {names}; what they changed is not in the dump, and logs can't be \
         replayed from it over their `XA COMMIT`: decide them, and dump again"
    )
}

/// Says that a dump has no checksums, and why.
fn without_checksums(why: &str) -> String {
    format!("the backup gets no checksums of its tables, a restore drill will compare rows only: {why}")
}

/// Says which columns lose digits, and why.
fn six_digits(tables: &FloatTables, why: &str) -> String {
    let names: Vec<String> =
        tables.iter().flat_map(|((database, table), columns)| columns.names(database, table)).collect();
    format!(
        "of the FLOAT columns {} the backup gets six digits, as the client prints them: {why}",
        some(&names)
    )
}

async fn checksums(
    reading: &mut Session,
    chosen: &Chosen,
    cx: &StepContext,
) -> Result<Inventory, ServerError> {
    let query = format!(
        "SELECT table_schema, table_name FROM information_schema.tables \
         WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND engine IN ({})",
        transactional()
    );
    let tables: Vec<(String, String)> = reading.rows("list its tables", &query).await?;
    let mut inventory = Inventory::default();
    let mut skipped = Vec::new();
    let what = "give a table free";
    reading.run(what, "SAVEPOINT rekindle_checksums").await?;
    for (database, table) in tables.into_iter().filter(|(database, table)| chosen.has(database, table)) {
        let mut one = Inventory::default();
        one.databases.entry(database.clone()).or_default().tables.entry(table.clone()).or_default();
        add_checksums(reading, &mut one, |database, table| skipped.push(format!("{database}.{table}")))
            .await?;
        // Nobody who alters it now waits until the last table has been read.
        reading.run(what, "ROLLBACK TO SAVEPOINT rekindle_checksums").await?;
        for (name, held) in one.databases {
            inventory.databases.entry(name).or_default().tables.extend(held.tables);
        }
    }
    if !skipped.is_empty() {
        cx.warn(&without_checksums(&format!(
            "these were changed while they were read: {}",
            skipped.join(", ")
        )));
    }
    Ok(inventory)
}
