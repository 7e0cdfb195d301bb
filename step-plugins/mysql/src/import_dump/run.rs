//! One import: read, write, prove, say what it is of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rekindle_backup::dump::{DumpWriteError, WriterOptions};
use rekindle_backup::layout::SERVER_FACTS;
use rekindle_backup::manifest::{
    ConsistentPoint, DumpIndex, MANIFEST_FORMAT, ObjectEntry, ServerFacts, Tool,
};
use rekindle_engine::host::{Body, BodySender, ObjectStore, PutMode};
use rekindle_engine::id::StepId;
use rekindle_engine::step::{Progress, Reporter, StepContext, StepError};
use tokio_util::sync::CancellationToken;

use super::source::Source;
use super::text::{Rewritten, TextError, Wanted, rewrite};
use super::{ImportOutputs, ImportParams};
use crate::backup_part::BackupPart;
use crate::body_sink::BodySink;
use crate::flavour::ServerVersion;
use crate::guard::blocking;

const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Names the part of the backup that the dump becomes.
pub(super) fn part(params: &ImportParams, cx: &StepContext) -> Result<BackupPart, StepError> {
    BackupPart::of(cx, &params.store, params.id.as_ref(), &params.name)
}

/// Looks whether a finished import is there.
pub(super) async fn find_finished(
    params: &ImportParams,
    cx: &StepContext,
) -> Result<Option<ImportOutputs>, StepError> {
    params.check()?;
    let part = part(params, cx)?;
    let store = cx.store(&params.store).await?;
    let facts = part.object(SERVER_FACTS)?;
    if store.head(&facts).await?.is_none() {
        return Ok(None);
    }
    let index = part.find_finished(store.as_ref()).await?;
    index.map(|index| outputs(&index, &part)).transpose()
}

pub(super) async fn run(params: &ImportParams, cx: &StepContext) -> Result<ImportOutputs, StepError> {
    params.check()?;
    let part = part(params, cx)?;
    let object = part.object(&params.object_name())?;
    let store = cx.store(&params.store).await?;
    part.refuse_published(store.as_ref()).await?;
    let source = Source::open(params, cx).await?;
    let name = source.name.clone();
    // An index describes a whole object: the old one goes before its object is replaced.
    store.delete(&part.index).await?;
    let (sender, body) = Body::channel();
    let (asked, watch) = (params.clone(), Watch::of(cx));
    let reading = blocking(move || read(source, sender, &asked, &watch));
    let (rewritten, stored) = tokio::join!(reading, store.put(&object, body, PutMode::Replace));
    let rewritten = match (rewritten?, stored) {
        (Ok(rewritten), Ok(_)) => rewritten,
        // The store's word explains why nobody took the text; the text's explains why the store got no end.
        (Ok(_), Err(error)) => return Err(error.into()),
        (Err(TextError::Write(DumpWriteError::Write(gone))), Err(error))
            if gone.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            return Err(error.into());
        }
        (Err(error), _) => return Err(refused(&name, &error)),
    };
    let found = store.head(&object).await?.map(|info| info.size_bytes);
    if found != Some(rewritten.dump.size_bytes) {
        return Err(StepError::transient(format!("`{object}` in the store is not what was written to it")));
    }
    if rewritten.left_out {
        cx.warn("the dump has system databases (mysql, sys): they are left out, accounts among them");
    }
    let server = server(params, rewritten.server.clone(), &name)?;
    write_facts(&part, store.as_ref(), &server).await?;
    let index = index(params, &name, rewritten);
    part.put_index(store.as_ref(), &index).await?;
    outputs(&index, &part)
}

/// Reads the dump on a thread that may block. On any error the body is left unfinished, so the store keeps nothing.
fn read(
    source: Source,
    sender: BodySender,
    params: &ImportParams,
    watch: &Watch,
) -> Result<RewrittenDump, TextError> {
    let wanted = Wanted {
        database: params.database.clone(),
        allow_missing_trailer: params.allow_missing_trailer,
        options: WriterOptions::default(),
    };
    let (size_bytes, read_bytes) = (source.size_bytes, Arc::clone(&source.read_bytes));
    let text = source.into_text().map_err(rekindle_backup::sql::PieceError::from)?;
    let mut shown = Instant::now();
    let rewritten = rewrite(text, BodySink(sender), &wanted, |contents| {
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            let table = contents.table.as_ref().map(|table| format!("table {table}"));
            let bytes = read_bytes.load(Ordering::Relaxed);
            let note = table.unwrap_or_default();
            let progress = Progress { bytes, total_bytes: Some(size_bytes), note };
            watch.reporter.progress(&watch.step, progress);
        }
        !watch.cancel.is_cancelled()
    })?;
    let Rewritten { dump, server, left_out, sink } = rewritten;
    sink.0.blocking_finish().map_err(DumpWriteError::Write)?;
    Ok(RewrittenDump { dump, server, left_out })
}

/// What the thread needs of the step.
struct Watch {
    reporter: Arc<dyn Reporter>,
    step: StepId,
    cancel: CancellationToken,
}

impl Watch {
    fn of(cx: &StepContext) -> Self {
        Self { reporter: cx.reporter(), step: cx.step().clone(), cancel: cx.cancel().clone() }
    }
}

/// What was made, its body finished.
struct RewrittenDump {
    dump: rekindle_backup::dump::WrittenDump,
    server: Option<ServerVersion>,
    left_out: bool,
}

fn refused(name: &str, error: &TextError) -> StepError {
    let told = StepError::permanent(format!("{name} can't be taken: {error}"));
    match error {
        TextError::NoTrailer => {
            told.help("make it again; or set `allow_missing_trailer: true`, if you know that it is whole")
        }
        TextError::NoDatabase => told.help("name it: `database: shop`"),
        TextError::OwnDatabase(_) => {
            told.help("leave `database` out; `rename` of `mysql.restore` gives it another name")
        }
        TextError::Cancelled => StepError::cancelled(),
        TextError::Read(_) | TextError::Write(_) | TextError::Empty => told,
    }
}

fn server(
    params: &ImportParams,
    header: Option<ServerVersion>,
    name: &str,
) -> Result<ServerFacts, StepError> {
    let flavour = params.flavour.or(header.as_ref().map(|header| header.flavour));
    let version = params.version.clone().or(header.map(|header| header.text));
    let (Some(flavour), Some(version)) = (flavour, version) else {
        return Err(StepError::permanent(format!("{name} does not say which server it is of"))
            .help("say it: `flavour: mysql` and `version: \"8.0.36\"`"));
    };
    Ok(ServerFacts {
        flavour,
        version,
        version_comment: String::new(),
        server_id: 0,
        server_uuid: None,
        gtid_domain_id: None,
        log_bin: false,
        users: Vec::new(),
        variables: BTreeMap::new(),
    })
}

async fn write_facts(
    part: &BackupPart,
    store: &dyn ObjectStore,
    facts: &ServerFacts,
) -> Result<(), StepError> {
    let text = serde_json::to_vec_pretty(facts)
        .map_err(|error| StepError::permanent(format!("the facts can't be written as JSON: {error}")))?;
    store.put(&part.object(SERVER_FACTS)?, Body::from_bytes(text), PutMode::Replace).await?;
    Ok(())
}

fn index(params: &ImportParams, name: &str, rewritten: RewrittenDump) -> DumpIndex {
    let dump = rewritten.dump;
    DumpIndex {
        format: MANIFEST_FORMAT,
        object: ObjectEntry {
            name: params.object_name(),
            size_bytes: dump.size_bytes,
            sha256: dump.sha256,
            role: params.scope.role(),
        },
        uncompressed_bytes: dump.text_bytes,
        started_at: params.taken_at,
        consistent_point: ConsistentPoint { at: Some(params.taken_at), ..dump.point },
        inventory: dump.inventory,
        members: dump.members,
        tool: Tool { name: "mysql.import-dump".to_owned(), version: String::new(), command: name.to_owned() },
        physical: None,
    }
}

fn outputs(index: &DumpIndex, part: &BackupPart) -> Result<ImportOutputs, StepError> {
    Ok(ImportOutputs {
        object: part.object(&index.object.name)?.to_string(),
        index: part.index.to_string(),
        size_bytes: index.object.size_bytes,
        text_bytes: index.uncompressed_bytes,
        sha256: index.object.sha256.clone(),
        databases: index.inventory.databases.len() as u64,
        tables: index.inventory.table_count(),
        rows: index.inventory.row_count(),
        gtid: index.consistent_point.gtid.clone().unwrap_or_default(),
    })
}
