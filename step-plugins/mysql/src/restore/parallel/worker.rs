//! One session of several: definitions first, then rows, then what comes after them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rekindle_backup::dump::TableMembers;
use rekindle_backup::sql::Kind;
use rekindle_engine::step::{StepContext, StepError};
use tokio::sync::Notify;

use super::extract::Extract;
use super::fetch::Members;
use super::indexes::{self, Index, Plan, bare};
use super::queue::{Job, Next, Queue, Sharing};
use crate::connection::{Server, quote_identifier};
use crate::restore::loaded::{self, TableName};
use crate::restore::part::shown;
use crate::restore::patience::Patience;
use crate::restore::rewrite;
use crate::restore::send::{Outgoing, StatementSender, has_word};

/// A table of fewer members is loaded by one session, with its indexes there from the beginning.
pub(super) const LARGE_MEMBERS: usize = 2;

/// What all sessions share.
pub(super) struct Load<'a> {
    pub(super) cx: &'a StepContext,
    pub(super) members: &'a Members<'a>,
    pub(super) tables: &'a [TableMembers],
    /// Which of them need not be loaded, because an earlier try did.
    pub(super) done: &'a [bool],
    /// Which table is to be defined next.
    pub(super) defined: AtomicUsize,
    pub(super) queue: Mutex<Queue>,
    /// The queue has more for those who wait.
    pub(super) changed: Notify,
    pub(super) notes: Mutex<BTreeMap<usize, Note>>,
    /// Keeps the marker.
    pub(super) control: &'a tokio::sync::Mutex<&'a mut Server>,
    /// What is being loaded, for people.
    pub(super) place: Mutex<String>,
    pub(super) extract: Extract<'a>,
}

/// What is known of a table while it is loaded.
#[derive(Debug, Default)]
pub(super) struct Note {
    /// Whether a crash of the server leaves its rows as they are.
    is_durable: bool,
    /// Its definition, and the indexes that are still to be made.
    deferred: Option<(String, Vec<Index>)>,
    is_shared: bool,
}

impl Load<'_> {
    /// Creates tables until none is left.
    pub(super) async fn define(&self, session: &mut StatementSender<'_>) -> Result<(), StepError> {
        loop {
            let number = self.defined.fetch_add(1, Ordering::Relaxed);
            let Some(table) = self.tables.get(number) else { return Ok(()) };
            if self.done.get(number) == Some(&true) {
                continue;
            }
            session.enter(&self.extract.home(table)).await?;
            for member in table.definition.clone() {
                let opened = self.members.open(member).await?;
                for statement in opened.outgoing() {
                    if !self.is_at_home(table, statement)? {
                        continue;
                    }
                    if matches!(statement.kind, Kind::CreateTable(_)) {
                        let is_durable = is_durable(statement.sql);
                        self.note(number, |note| note.is_durable = is_durable);
                    }
                    if !matches!(statement.kind, Kind::Trigger { .. }) {
                        self.define_one(session, table, statement).await?;
                    } else if !self.extract.moves(table) {
                        // Of a table without rows the triggers are in the member that defines it.
                        self.send_other(session, statement, Some(&table.database)).await?;
                    }
                }
            }
        }
    }

    /// Loads rows until none are left. Tables in `circles` are not altered.
    pub(super) async fn fill(
        &self,
        session: &mut StatementSender<'_>,
        circles: &BTreeSet<usize>,
    ) -> Result<(), StepError> {
        let mut at = None;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Told of every change from here on: none falls between the question and the wait.
            changed.as_mut().enable();
            let next = locked(&self.queue).next(at.take());
            match next {
                Next::Over => return Ok(()),
                Next::Wait => changed.await,
                Next::Do(Job::Begin(table)) => {
                    let sharing = self.begin(session, table, circles.contains(&table)).await?;
                    locked(&self.queue).opened(table, sharing);
                    self.changed.notify_waiters();
                    at = Some(table);
                }
                Next::Do(Job::Rows { table, member }) => {
                    self.rows(session, table, member).await?;
                    at = Some(table);
                }
                Next::Do(Job::Finish(table)) => self.finish(session, table).await?,
            }
        }
    }

    /// Takes the indexes that are better made afterwards away from a large table.
    async fn begin(
        &self,
        session: &mut StatementSender<'_>,
        number: usize,
        is_in_circle: bool,
    ) -> Result<Sharing, StepError> {
        let Some(table) = self.tables.get(number) else { return Ok(Sharing::Alone) };
        if table.rows.len() < LARGE_MEMBERS {
            return Ok(Sharing::Alone);
        }
        let create = show_create(session.server(), &self.name(table)).await?;
        let Plan { sharing, deferred } = indexes::plan(&create);
        let stay = deferred.is_empty()
            || is_in_circle
            || !take_away(session.server(), &self.name(table), &deferred).await?;
        let deferred = (!stay).then_some((create, deferred));
        self.note(number, |note| {
            note.deferred = deferred;
            note.is_shared = sharing == Sharing::Together;
        });
        Ok(sharing)
    }

    async fn rows(
        &self,
        session: &mut StatementSender<'_>,
        number: usize,
        member: usize,
    ) -> Result<(), StepError> {
        let Some(table) = self.tables.get(number) else { return Ok(()) };
        let mut is_shared = false;
        self.note(number, |note| is_shared = note.is_shared);
        session.enter(&self.extract.home(table)).await?;
        let opened = self.members.open(member).await?;
        for statement in opened.outgoing() {
            let is_at_home = self.is_at_home(table, statement)?;
            // Where several sessions load, what one of them sets the others don't know; such a table needs nothing set.
            if is_at_home && (!is_shared || matches!(statement.kind, Kind::Insert { .. })) {
                self.send(session, statement).await?;
            }
        }
        *locked(&self.place) = session.place();
        Ok(())
    }

    async fn finish(&self, session: &mut StatementSender<'_>, number: usize) -> Result<(), StepError> {
        let Some(table) = self.tables.get(number) else { return Ok(()) };
        let note = locked(&self.notes).remove(&number).unwrap_or_default();
        if let Some((create, deferred)) = &note.deferred {
            bring_back(session.server(), &self.name(table), create, deferred).await?;
        }
        // Tables that are moved to their place first get their triggers there.
        if !self.extract.moves(table) {
            session.enter(&self.extract.home(table)).await?;
            for member in table.rest.clone() {
                let opened = self.members.open(member).await?;
                for statement in opened.outgoing() {
                    self.send_other(session, statement, Some(&table.database)).await?;
                }
            }
        }
        if note.is_durable {
            let mut control = self.control.lock().await;
            loaded::note(&mut control, &name_of(table)).await?;
        }
        Ok(())
    }

    pub(super) async fn send(
        &self,
        session: &mut StatementSender<'_>,
        statement: Outgoing<'_>,
    ) -> Result<(), StepError> {
        if is_of_one_session(statement.kind, statement.sql) {
            return Ok(());
        }
        session.send(self.cx, statement).await
    }

    /// Gives the name that a table is loaded under.
    pub(super) fn name(&self, table: &TableMembers) -> TableName {
        (self.extract.home(table).into_owned(), table.table.clone())
    }

    async fn define_one(
        &self,
        session: &mut StatementSender<'_>,
        table: &TableMembers,
        statement: Outgoing<'_>,
    ) -> Result<(), StepError> {
        match (statement.kind, self.extract.create_table(table, statement.sql)) {
            (Kind::CreateTable(_), Some(sql)) => {
                self.send(session, Outgoing { sql: &sql, ..statement }).await
            }
            (_, _) => self.send(session, statement).await,
        }
    }

    /// Sends a statement that belongs to no table, under the names that it has on the server.
    pub(super) async fn send_other(
        &self,
        session: &mut StatementSender<'_>,
        statement: Outgoing<'_>,
        database: Option<&str>,
    ) -> Result<(), StepError> {
        let Some(other) = database.filter(|name| self.extract.database(name) != *name) else {
            return self.send(session, statement).await;
        };
        let name = self.extract.database(other);
        match statement.kind {
            Kind::Use(_) => session.enter(name).await,
            Kind::CreateDatabase(_) => {
                let sql = rewrite::create_database(statement.sql, name);
                self.send(session, Outgoing { sql: &sql, ..statement }).await
            }
            _ => self.send_elsewhere(session, statement, other, name).await,
        }
    }

    /// Sends a statement of one database into another.
    pub(super) async fn send_elsewhere(
        &self,
        session: &mut StatementSender<'_>,
        statement: Outgoing<'_>,
        from: &str,
        to: &str,
    ) -> Result<(), StepError> {
        if from == to {
            return self.send(session, statement).await;
        }
        stays_out_of(from, statement)?;
        let altered = rewrite::alter_database(statement.sql, statement.kind, to);
        let sql = altered.unwrap_or_else(|| rewrite::create_in(statement.sql, statement.kind, from, to));
        if rewrite::names_database(&sql, from) {
            self.cx.warn(&format!("{} in {to} still names the database {from}", statement.kind.verb()));
        }
        self.send(session, Outgoing { sql: &sql, ..statement }).await
    }

    /// Tells whether a statement of a table may be sent where the table is loaded, which is in use there.
    ///
    /// # Errors
    /// When it would change the table that it came from.
    fn is_at_home(&self, table: &TableMembers, statement: Outgoing<'_>) -> Result<bool, StepError> {
        if self.extract.home(table) == table.database {
            return Ok(true);
        }
        stays_out_of(&table.database, statement)?;
        Ok(!matches!(statement.kind, Kind::Use(_)))
    }

    fn note(&self, table: usize, change: impl FnOnce(&mut Note)) {
        change(locked(&self.notes).entry(table).or_default());
    }
}

/// Refuses a statement that names the database in full that nothing is loaded into.
pub(super) fn stays_out_of(database: &str, statement: Outgoing<'_>) -> Result<(), StepError> {
    if !rewrite::changes_database(statement.sql, statement.kind, database) {
        return Ok(());
    }
    let (verb, offset) = (statement.kind.verb(), statement.offset);
    Err(StepError::permanent(format!(
        "{verb} (byte {offset} of the SQL text) names the database `{database}` in full, and would change that one"
    ))
    .help("a dump like this can't be taken apart: restore all of it into a sandbox, and take the part from there"))
}

/// Tells whether a statement only makes sense where one session loads everything in order: locks, transactions over
/// many statements, and what the end of a dump sets back.
pub(super) fn is_of_one_session(kind: &Kind, sql: &[u8]) -> bool {
    match kind {
        Kind::Lock | Kind::Unlock => true,
        Kind::Set => {
            let words: [&[u8]; 4] =
                [b"AUTOCOMMIT", b"=@OLD_", b"= @OLD_", b"SYSTEM_VERSIONING_INSERT_HISTORY"];
            words.iter().any(|word| has_word(sql, word))
        }
        Kind::Other(verb) => verb == "COMMIT",
        Kind::CreateDatabase(_)
        | Kind::DropDatabase(_)
        | Kind::Use(_)
        | Kind::CreateTable(_)
        | Kind::DropTable(_)
        | Kind::Insert { .. }
        | Kind::View(_)
        | Kind::StandIn(_)
        | Kind::Trigger { .. }
        | Kind::Routine { .. }
        | Kind::Event(_)
        | Kind::Sequence(_)
        | Kind::Account
        | Kind::SetGtid(_)
        | Kind::ChangeMaster => false,
    }
}

fn is_durable(create: &[u8]) -> bool {
    let engine = b") ENGINE=InnoDB";
    create.windows(engine.len()).any(|part| part == engine)
}

pub(super) fn name_of(table: &TableMembers) -> TableName {
    (table.database.clone(), table.table.clone())
}

pub(super) fn quoted((database, table): &TableName) -> String {
    format!("{}.{}", quote_identifier(database), quote_identifier(table))
}

async fn show_create(server: &mut Server, table: &TableName) -> Result<String, StepError> {
    let query = format!("SHOW CREATE TABLE {}", quoted(table));
    let what = format!("show the table {}", shown(table));
    let (_, create): (String, String) = server.session.row(&what, &query).await?;
    Ok(create)
}

/// Drops indexes of a table that has no rows yet; false when the server needs one, for a foreign key.
async fn take_away(server: &mut Server, table: &TableName, all: &[Index]) -> Result<bool, StepError> {
    // Only then does the server look whether one is needed, also at the other table, which may be locked for a moment.
    server.session.run("check foreign keys", "SET SESSION foreign_key_checks = 1").await?;
    let drop = indexes::drop_all(&quoted(table), all);
    let dropped = Patience::begin().run(server, "take indexes away", &drop).await;
    server.session.run("leave foreign keys unchecked", "SET SESSION foreign_key_checks = 0").await?;
    match dropped {
        Ok(()) => Ok(true),
        Err(error) if error.server_code().is_some() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes the indexes, and proves that the table is then as the dump defines it.
async fn bring_back(
    server: &mut Server,
    table: &TableName,
    create: &str,
    all: &[Index],
) -> Result<(), StepError> {
    let what = format!("make the indexes of {}", shown(table));
    let add = indexes::add_all(&quoted(table), all);
    Patience::begin().run(server, &what, &add).await?;
    let found = show_create(server, table).await?;
    if bare(&found) == bare(create) {
        return Ok(());
    }
    let name = shown(table);
    Err(StepError::permanent(format!("the indexes of {name} did not come back as they were"))
        .help("restore with `parallelism: 1`, which leaves them where they are, and report this"))
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_session_sets_for_the_whole_dump_is_left_out() {
        let set = |sql: &str| is_of_one_session(&Kind::Set, sql.as_bytes());
        assert!(set("SET @OLD_AUTOCOMMIT=@@AUTOCOMMIT, @@AUTOCOMMIT=0"));
        assert!(set("set autocommit=0"));
        assert!(set("/*!40101 SET SQL_MODE=@OLD_SQL_MODE */"));
        assert!(!set("/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */"));
        assert!(!set("/*!40101 SET character_set_client = @saved_cs_client */"));
        assert!(is_of_one_session(&Kind::Lock, b"LOCK TABLES `a` WRITE"));
        assert!(is_of_one_session(&Kind::Other("COMMIT".to_owned()), b"commit"));
    }

    #[test]
    fn only_a_table_that_survives_a_crash_is_kept_as_loaded() {
        assert!(is_durable(b"CREATE TABLE `a` (\n  `b` int\n) ENGINE=InnoDB DEFAULT CHARSET=x"));
        assert!(!is_durable(b"CREATE TABLE `a` (\n  `b` int COMMENT 'ENGINE=InnoDB'\n) ENGINE=MyISAM"));
    }
}
