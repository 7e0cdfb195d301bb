//! One dump: survey, stream, proof, index.

use std::sync::Arc;

use rekindle_backup::dump::WriterOptions;
use rekindle_backup::manifest::{ConsistentPoint, DumpIndex, MANIFEST_FORMAT, ObjectEntry, Tool};
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode};
use rekindle_engine::step::{StepContext, StepError};
use tokio::sync::{mpsc, oneshot};

use super::accounts::{self, Accounts};
use super::beside::Beside;
use super::choose::Chosen;
use super::client::Client;
use super::command::{Choice, command, shown};
use super::failure::Failure;
use super::privileges::{self, Verdict};
use super::stream::{Stream, Streamed, stream};
use super::survey::Survey;
use super::unchanged::{TableName, Tables, WAITING_TABLES};
use super::{DumpOutputs, DumpParams, DumpScope};
use crate::backup_part::BackupPart;
use crate::checksum::leave_history_out;
use crate::client_options::ClientOptions;
use crate::connection::{Login, Server};
use crate::exact_rows::{ExactRows, Until, asking};
use crate::guard::{TerminateOnDrop, blocking};
use crate::stall::{Patience, Sessions, Waiting};

/// Names the part of the backup that a dump is.
pub(super) fn part(params: &DumpParams, cx: &StepContext) -> Result<BackupPart, StepError> {
    BackupPart::of(cx, &params.store, params.id.as_ref(), &params.name)
}

pub(super) async fn run(params: &DumpParams, cx: &StepContext) -> Result<DumpOutputs, StepError> {
    params.check()?;
    let part = part(params, cx)?;
    let object = part.object(&params.object_name())?;
    let store = cx.store(&params.store).await?;
    part.refuse_published(store.as_ref()).await?;
    let login = Login::of(cx, &params.target).await?;
    let mut server = login.connect().await?;
    let survey = Survey::of(&mut server, params.scope).await?;
    let chosen = Chosen::of(params, &survey)?;
    let accounts = look_at_accounts(params, cx, &mut server, &chosen).await?;
    let client = Client::find(&cx.world().processes, server.version.flavour, cx.cancel()).await?;
    let choice = Choice {
        client: &client,
        server: &server.version,
        survey: &survey,
        scope: params.scope,
        chosen: &chosen,
    };
    choice.warnings().iter().for_each(|warning| cx.warn(warning));
    let tables = Tables::look(&login, &chosen).await?;
    let beside = Beside::open(
        params,
        cx,
        &login,
        (&mut server.session, &server.version),
        &chosen,
        choice.keeps_history(),
    )
    .await?;
    server.session.close().await;
    // An index describes a whole object: the old one goes before its object is replaced.
    store.delete(&part.index).await?;
    let started_at = cx.world().clock.now();
    let (is_open, dump_is_open) = oneshot::channel();
    let (read, is_read) = mpsc::channel(WAITING_TABLES);
    let waiting = Waiting::default();
    let (exact_rows, asked) = asking(beside.floats().clone(), waiting.clone());
    let until = Until { cancel: cx.cancel(), waiting: waiting.clone(), limit: params.stall_timeout() };
    let tell = Tell { waiting, is_open, read, exact_rows };
    let streaming = store_stream(params, cx, &login, &choice, accounts, tell, (store.as_ref(), &object));
    let reading = beside.read(dump_is_open, (asked, until), &chosen, cx);
    let watching = tables.watch(&login, is_read);
    let (mut streamed, mut checksums, unchanged) = tokio::try_join!(streaming, reading, watching)?;
    chosen.check(&streamed.dump.inventory)?;
    unchanged.check(&streamed.dump.inventory)?;
    if !choice.keeps_history() {
        leave_history_out(&mut checksums);
    }
    streamed.dump.inventory.take_checksums(checksums);
    let index = DumpIndex {
        format: MANIFEST_FORMAT,
        object: ObjectEntry {
            name: params.object_name(),
            size_bytes: streamed.dump.size_bytes,
            sha256: streamed.dump.sha256.clone(),
            role: params.scope.role(),
        },
        uncompressed_bytes: streamed.dump.text_bytes,
        started_at,
        consistent_point: ConsistentPoint { at: Some(streamed.snapshot_at), ..streamed.dump.point },
        inventory: streamed.dump.inventory,
        members: streamed.dump.members,
        tool: Tool { name: client.program.to_owned(), version: client.text.clone(), command: shown(&choice) },
        physical: None,
    };
    part.put_index(store.as_ref(), &index).await?;
    outputs(&index, &part)
}

/// Proves that the account sees all of it, and reads the accounts of a dump of everything.
async fn look_at_accounts(
    params: &DumpParams,
    cx: &StepContext,
    server: &mut Server,
    chosen: &Chosen,
) -> Result<Accounts, StepError> {
    match privileges::check(server, params.scope, &chosen.databases).await? {
        Verdict::Enough => {}
        Verdict::Unclear(why) => cx.warn(&why),
        Verdict::Missing(error) => return Err(error),
    }
    let accounts = match params.scope {
        DumpScope::All => accounts::read(server).await?,
        DumpScope::Databases | DumpScope::Tables | DumpScope::SchemaOnly => Accounts::default(),
    };
    accounts.warnings.iter().for_each(|warning| cx.warn(warning));
    Ok(accounts)
}

/// What is told and asked of a dump while it is made.
struct Tell {
    waiting: Waiting,
    is_open: oneshot::Sender<()>,
    read: mpsc::Sender<TableName>,
    exact_rows: ExactRows,
}

/// Runs the client into the store, and proves that the store has what was sent.
async fn store_stream(
    params: &DumpParams,
    cx: &StepContext,
    login: &Login,
    choice: &Choice<'_>,
    accounts: Accounts,
    tell: Tell,
    (store, object): (&dyn ObjectStore, &Key),
) -> Result<Streamed, StepError> {
    let options = ClientOptions::new(login, choice.server.flavour)
        .map_err(|error| StepError::permanent(error.to_string()))?;
    let processes = Arc::clone(&cx.world().processes);
    let writing = Arc::clone(&processes);
    let file = blocking(move || writing.private_file(options.text()))
        .await?
        .map_err(|error| StepError::permanent(format!("failed to write the client's login: {error}")))?;
    let sessions = Sessions::from_now(login).await?;
    let patience = Patience {
        waiting: tell.waiting,
        ..Patience::of(choice.client.program, params.stall_timeout(), Some(sessions))
    };
    let spec = command(choice, file.path());
    cx.log(&shown(choice));
    let process = blocking(move || processes.start(&spec)).await??;
    // Ends the client's group also when this future is dropped, by a timeout or a second signal.
    let guard = TerminateOnDrop::of(process.as_ref());
    let (sender, body) = Body::channel();
    let parts = Stream {
        process,
        sender,
        options: WriterOptions {
            level: params.compression_level.unwrap_or(WriterOptions::default().level),
            rows: params.scope.has_rows(),
            ..WriterOptions::default()
        },
        accounts,
        clock: Arc::clone(&cx.world().clock),
        reporter: cx.reporter(),
        step: cx.step().clone(),
        cancel: cx.cancel().clone(),
        waiting: patience.waiting.clone(),
        is_open: tell.is_open,
        read: tell.read,
        exact_rows: tell.exact_rows,
    };
    let streaming = blocking(move || stream(parts));
    let storing = store.put(object, body, PutMode::Replace);
    let both = async { tokio::join!(streaming, storing) };
    let ((streamed, stored), silent) = guard.unless_silent(cx, &patience, both).await;
    drop(file);
    let streamed = match (streamed?, stored, silent) {
        (Ok(streamed), Ok(_), _) => streamed,
        (Err(_), _, Some(silent)) => return Err(silent),
        // The store's word explains why nobody took the dump; the dump's explains why the store got no end.
        (Err(Failure::SinkGone) | Ok(_), Err(error), _) => return Err(error.into()),
        (Err(failure), _, None) => return Err(failure.step_error(choice.client.program)),
    };
    let found = store.head(object).await?.map(|info| info.size_bytes);
    if found != Some(streamed.dump.size_bytes) {
        return Err(StepError::transient(format!(
            "`{object}` has {} bytes in the store instead of {}",
            found.map_or("no".to_owned(), |size| size.to_string()),
            streamed.dump.size_bytes
        )));
    }
    Ok(streamed)
}

/// Looks whether a finished dump is there.
pub(super) async fn find_finished(
    params: &DumpParams,
    cx: &StepContext,
) -> Result<Option<DumpOutputs>, StepError> {
    params.check()?;
    let part = part(params, cx)?;
    let store = cx.store(&params.store).await?;
    let index = part.find_finished(store.as_ref()).await?;
    index.map(|index| outputs(&index, &part)).transpose()
}

fn outputs(index: &DumpIndex, part: &BackupPart) -> Result<DumpOutputs, StepError> {
    let tables = index.inventory.databases.values().flat_map(|database| database.tables.values());
    Ok(DumpOutputs {
        object: part.object(&index.object.name)?.to_string(),
        index: part.index.to_string(),
        size_bytes: index.object.size_bytes,
        text_bytes: index.uncompressed_bytes,
        sha256: index.object.sha256.clone(),
        tables: tables.clone().count() as u64,
        rows: tables.filter_map(|table| table.rows).sum(),
        checksums: index.inventory.checksum_count(),
        gtid: index.consistent_point.gtid.clone().unwrap_or_default(),
        recovery_point: index.consistent_point.at.unwrap_or(index.started_at),
    })
}
