//! A dump whose index proves every member, over several sessions: an object and its outline in, a loaded server out.
//!
//! ```text
//! head: settings of each session, accounts ─→ databases, sequences, stand-ins of views ─→ every table's definition
//!   ─→ rows, large tables over several sessions, their secondary indexes afterwards, then their triggers
//!   ─→ views, routines, events, privileges
//! ```
//!
//! Every member is proven by its sha256 before a statement of it is sent, and together they are all bytes of the
//! object, so nothing more has to be hashed. What is held in memory is bounded by [`fetch`], not by the number of
//! sessions.

mod extract;
mod fetch;
mod indexes;
mod others;
mod queue;
mod relations;
mod worker;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures_util::future::try_join_all;
use rekindle_backup::dump::Outline;
use rekindle_backup::manifest::DumpIndex;
use rekindle_backup::sql::Kind;
use rekindle_engine::host::{Key, ObjectStore};
use rekindle_engine::step::{Progress, StepContext, StepError};
use tokio::sync::Notify;

pub(super) use self::extract::Extract;
use self::fetch::Members;
use self::others::Turn;
use self::queue::Queue;
use self::worker::{Load, is_of_one_session, locked, name_of, stays_out_of};
use super::load::Loaded;
use super::loaded::TableName;
use super::send::{StatementSender, is_not_of_the_session};
use crate::connection::Server;

/// What is loaded, and with what.
pub(super) struct Parts<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) key: Key,
    pub(super) index: &'a DumpIndex,
    pub(super) outline: &'a Outline,
    /// What an earlier try has loaded.
    pub(super) loaded: BTreeSet<TableName>,
    /// How much of it, and under which names.
    pub(super) extract: Extract<'a>,
}

/// The sessions of a restore.
pub(super) struct Sessions<'a> {
    /// Keeps the marker.
    pub(super) control: &'a mut Server,
    /// Sends what belongs to no table.
    pub(super) main: &'a mut Server,
    /// Load tables side by side.
    pub(super) others: Vec<Server>,
}

/// Loads everything that is not loaded yet.
///
/// # Errors
/// At the first statement that a session is refused, and at the first member that is not the one of the index.
pub(super) async fn load(
    cx: &StepContext,
    parts: &Parts<'_>,
    sessions: Sessions<'_>,
) -> Result<Loaded, StepError> {
    let members = Members::new(parts.store, parts.key.clone(), parts.index);
    let tables = &parts.outline.tables;
    let done: Vec<bool> = tables.iter().map(|table| parts.loaded.contains(&name_of(table))).collect();
    let left_of = |table: usize| (done.get(table) != Some(&true)).then(|| tables[table].text_bytes);
    let queue = Queue::new((0..tables.len()).map(|number| (tables[number].rows.clone(), left_of(number))));
    let passed = tables.iter().zip(&done).filter(|(_, done)| **done).map(|(table, _)| table.size_bytes);
    members.pass(passed.sum());
    let Sessions { control, main, others } = sessions;
    let control = tokio::sync::Mutex::new(control);
    let load = Load {
        cx,
        members: &members,
        tables,
        done: &done,
        defined: AtomicUsize::new(0),
        queue: Mutex::new(queue),
        changed: Notify::new(),
        notes: Mutex::default(),
        control: &control,
        place: Mutex::default(),
        extract: parts.extract,
    };
    let work = run(&load, parts.outline, main, others);
    tokio::pin!(work);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let statements = loop {
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            _ = tick.tick() => cx.progress(Progress {
                bytes: members.read_bytes(),
                total_bytes: Some(parts.index.object.size_bytes),
                note: locked(&load.place).clone(),
            }),
            done = &mut work => break done?,
        }
    };
    Ok(Loaded { statements, text_bytes: parts.index.uncompressed_bytes })
}

/// Proves every member that will be loaded, and loads none: for what is dropped before.
///
/// # Errors
/// At the first member that is not the one of the index, and when a database that is dropped is not made again.
pub(super) async fn prove(cx: &StepContext, parts: &Parts<'_>) -> Result<(), StepError> {
    let members = Members::new(parts.store, parts.key.clone(), parts.index);
    let outline = parts.outline;
    let of_tables = outline
        .tables
        .iter()
        .flat_map(|table| table.definition.clone().chain(table.rows.clone()).chain(table.rest.clone()));
    let all = outline.head.clone().chain(outline.others.iter().copied()).chain(of_tables);
    let all: Vec<usize> = all.collect();
    let total_bytes =
        all.iter().filter_map(|number| Some(parts.index.members.get(*number)?.size_bytes)).sum();
    let note = "proving what is restored".to_owned();
    let mut lacking = parts.extract.databases();
    for number in all {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let opened = members.open(number).await?;
        let is_of_table = !outline.others.contains(&number);
        for statement in opened.outgoing() {
            match (statement.kind, opened.database) {
                (Kind::CreateDatabase(name), _) if !is_of_table => _ = lacking.remove(name.as_str()),
                (_, Some(from)) if parts.extract.moves_from(from) => stays_out_of(from, statement)?,
                (_, _) => {}
            }
        }
        let bytes = members.read_bytes();
        cx.progress(Progress { bytes, total_bytes: Some(total_bytes), note: note.clone() });
    }
    match lacking.first() {
        None => Ok(()),
        Some(database) => Err(StepError::permanent(format!(
            "the part of the dump that is of `{database}` does not create it: it was made without CREATE DATABASE, or \
             without the comments that tell databases apart"
        ))
        .help("restore all of it into a sandbox, and take the database from there")),
    }
}

/// Gives how many statements were sent.
async fn run(
    load: &Load<'_>,
    outline: &Outline,
    main: &mut Server,
    mut others: Vec<Server>,
) -> Result<u64, StepError> {
    let mut main = StatementSender::new(main).await?;
    let settings = head(load, outline, &mut main).await?;
    let seen = others::send(load, &mut main, &outline.others, Turn::BeforeRows).await?;
    if load.extract == Extract::Whole && !seen.trailer {
        return Err(StepError::permanent("the dump is damaged: its trailer `-- Dump completed` is missing")
            .help("the server stays fenced (read-only); restore another backup"));
    }
    let mut sessions = Vec::new();
    for server in &mut others {
        for setting in &settings {
            server.session.run("prepare for the dump", setting).await?;
        }
        sessions.push(StatementSender::new(server).await?.committing_each());
    }
    relations::clear(load, main.server()).await?;
    try_join_all(sessions.iter_mut().map(|session| load.define(session))).await?;
    let circles = relations::circles(load, main.server()).await?;
    try_join_all(sessions.iter_mut().map(|session| load.fill(session, &circles))).await?;
    extract::publish(load, &mut main).await?;
    others::send(load, &mut main, &outline.others, Turn::AfterRows).await?;
    main.create_views(load.cx).await?;
    let of_tables: u64 = sessions.iter().map(StatementSender::count).sum();
    Ok(main.count() + of_tables)
}

/// Sends what is before the first database. Gives what every other session has to set as well.
async fn head(
    load: &Load<'_>,
    outline: &Outline,
    main: &mut StatementSender<'_>,
) -> Result<Vec<String>, StepError> {
    let mut settings = Vec::new();
    for number in outline.head.clone() {
        let opened = load.members.open(number).await?;
        for statement in opened.outgoing() {
            if load.extract != Extract::Whole && !matches!(statement.kind, Kind::Set) {
                continue;
            }
            load.send(main, statement).await?;
            if matches!(statement.kind, Kind::Set)
                && !is_of_one_session(statement.kind, statement.sql)
                && !is_not_of_the_session(statement.sql)
            {
                settings.push(String::from_utf8_lossy(statement.sql).into_owned());
            }
        }
    }
    Ok(settings)
}
