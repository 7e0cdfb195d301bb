//! One dump: survey, stream, proof, index.

use std::sync::Arc;

use rekindle_backup::dump::WriterOptions;
use rekindle_backup::layout::{BackupUri, MANIFEST, index_name};
use rekindle_backup::manifest::{ConsistentPoint, DumpIndex, MANIFEST_FORMAT, ObjectEntry, Tool};
use rekindle_engine::host::{Body, Key, ObjectStore, PutMode, StoreErrorKind};
use rekindle_engine::step::{StepContext, StepError};

use super::accounts::{self, Accounts};
use super::client::Client;
use super::command::{Choice, command, shown};
use super::failure::Failure;
use super::privileges::{self, Verdict};
use super::stream::{Stream, Streamed, stream};
use super::survey::Survey;
use super::{DumpOutputs, DumpParams, DumpScope};
use crate::client_options::ClientOptions;
use crate::connection::{Login, Server};
use crate::guard::{TerminateOnDrop, blocking};

/// An index has some 200 bytes for each 4 MiB of text.
const INDEX_LIMIT_BYTES: usize = 1 << 30;

/// The keys of a dump.
pub(super) struct Keys {
    pub(super) object: Key,
    pub(super) index: Key,
    manifest: Key,
}

impl Keys {
    pub(super) fn of(params: &DumpParams, backup: &BackupUri) -> Result<Self, StepError> {
        let key = |name: &str| {
            backup.key(name).map_err(|error| {
                StepError::permanent(error.to_string())
                    .help("check `id`, and the cluster's name in the environment")
            })
        };
        Ok(Self {
            object: key(&params.object_name())?,
            index: key(&index_name(&params.name))?,
            manifest: key(MANIFEST)?,
        })
    }
}

/// Refuses to touch a backup that exists: published objects never change.
pub(super) async fn refuse_published(
    store: &dyn ObjectStore,
    keys: &Keys,
    backup: &BackupUri,
) -> Result<(), StepError> {
    if store.head(&keys.manifest).await?.is_none() {
        return Ok(());
    }
    Err(StepError::permanent(format!("{backup} is published already: nothing is added to it"))
        .help("leave `id` out, or name a new one"))
}

pub(super) async fn run(params: &DumpParams, cx: &StepContext) -> Result<DumpOutputs, StepError> {
    params.check()?;
    let backup = params.backup(cx);
    let keys = Keys::of(params, &backup)?;
    let store = cx.store(&params.store).await?;
    refuse_published(store.as_ref(), &keys, &backup).await?;
    let login = Login::of(cx, &params.target).await?;
    let mut server = login.connect().await?;
    let survey = Survey::of(&mut server).await?;
    let databases = survey.choose(params)?;
    survey.warnings(params.scope).iter().for_each(|warning| cx.warn(warning));
    match privileges::check(&mut server, params.scope, &databases).await? {
        Verdict::Enough => {}
        Verdict::Unclear(why) => cx.warn(&why),
        Verdict::Missing(error) => return Err(error),
    }
    let accounts = match params.scope {
        DumpScope::All => accounts::read(&mut server).await?,
        DumpScope::Databases | DumpScope::SchemaOnly => Accounts::default(),
    };
    accounts.warnings.iter().for_each(|warning| cx.warn(warning));
    let client = Client::find(&cx.world().processes, server.version.flavour, cx.cancel()).await?;
    let Server { session, version } = server;
    session.close().await;
    let choice = Choice {
        client: &client,
        server: &version,
        survey: &survey,
        scope: params.scope,
        databases: &databases,
    };
    // An index describes a whole object: the old one goes before its object is replaced.
    store.delete(&keys.index).await?;
    let started_at = cx.world().clock.now();
    let streamed = store_stream(params, cx, &login, &choice, accounts, store.as_ref(), &keys).await?;
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
    let text = serde_json::to_vec_pretty(&index)
        .map_err(|error| StepError::permanent(format!("the index can't be written as JSON: {error}")))?;
    store.put(&keys.index, Body::from_bytes(text), PutMode::Replace).await?;
    Ok(outputs(&index, &keys))
}

/// Runs the client into the store, and proves that the store has what was sent.
async fn store_stream(
    params: &DumpParams,
    cx: &StepContext,
    login: &Login,
    choice: &Choice<'_>,
    accounts: Accounts,
    store: &dyn ObjectStore,
    keys: &Keys,
) -> Result<Streamed, StepError> {
    let options = ClientOptions::new(login).map_err(|error| StepError::permanent(error.to_string()))?;
    let processes = Arc::clone(&cx.world().processes);
    let writing = Arc::clone(&processes);
    let file = blocking(move || writing.private_file(options.text()))
        .await?
        .map_err(|error| StepError::permanent(format!("failed to write the client's login: {error}")))?;
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
    };
    let streaming = blocking(move || stream(parts));
    let storing = store.put(&keys.object, body, PutMode::Replace);
    let both = async { tokio::join!(streaming, storing) };
    let (streamed, stored) = guard.unless_cancelled(cx, both).await;
    drop(file);
    let streamed = match (streamed?, stored) {
        (Ok(streamed), Ok(_)) => streamed,
        // The store's word explains why nobody took the dump; the dump's explains why the store got no end.
        (Err(Failure::SinkGone) | Ok(_), Err(error)) => return Err(error.into()),
        (Err(failure), _) => return Err(failure.step_error(choice.client.program)),
    };
    let found = store.head(&keys.object).await?.map(|info| info.size_bytes);
    if found != Some(streamed.dump.size_bytes) {
        return Err(StepError::transient(format!(
            "`{}` has {} bytes in the store instead of {}",
            keys.object,
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
    let keys = Keys::of(params, &params.backup(cx))?;
    let store = cx.store(&params.store).await?;
    if size_of(&*store, &keys.index).await?.is_none() {
        return Ok(None);
    }
    let body = match store.get(&keys.index, None).await {
        Err(error) if error.kind == StoreErrorKind::Corrupt => return Ok(None),
        body => body?,
    };
    let text = match body.collect(INDEX_LIMIT_BYTES).await {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Ok(None),
        text => {
            text.map_err(|error| StepError::transient(format!("failed to read `{}`: {error}", keys.index)))?
        }
    };
    // An index that can't be read proves nothing: the dump is made anew.
    let Ok(index) = serde_json::from_slice::<DumpIndex>(&text) else { return Ok(None) };
    let found = size_of(&*store, &keys.object).await?;
    Ok((found == Some(index.object.size_bytes)).then(|| outputs(&index, &keys)))
}

/// Gives the size of an object; nothing when it is not there, or damaged: it is made anew.
async fn size_of(store: &dyn ObjectStore, key: &Key) -> Result<Option<u64>, StepError> {
    match store.head(key).await {
        Err(error) if error.kind == StoreErrorKind::Corrupt => Ok(None),
        found => Ok(found?.map(|info| info.size_bytes)),
    }
}

fn outputs(index: &DumpIndex, keys: &Keys) -> DumpOutputs {
    let tables = index.inventory.databases.values().flat_map(|database| database.tables.values());
    DumpOutputs {
        object: keys.object.to_string(),
        index: keys.index.to_string(),
        size_bytes: index.object.size_bytes,
        text_bytes: index.uncompressed_bytes,
        sha256: index.object.sha256.clone(),
        tables: tables.clone().count() as u64,
        rows: tables.filter_map(|table| table.rows).sum(),
        gtid: index.consistent_point.gtid.clone().unwrap_or_default(),
        recovery_point: index.consistent_point.at.unwrap_or(index.started_at),
    }
}
