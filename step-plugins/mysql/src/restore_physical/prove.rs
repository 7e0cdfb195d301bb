//! A server on restored files: at the backup's position, and with everything that the backup has.

use std::path::Path;

use rekindle_backup::manifest::Flavour;
use rekindle_backup::physical::Link;
use rekindle_engine::step::{StepContext, StepError};

use super::early::{self, Logs};
use super::marker::Marker;
use super::prepare::FORGETS_SOURCE;
use super::source::Source;
use super::{Outputs, Params};
use crate::archive_binlogs::{self, ArchiveBinlogsParams};
use crate::binlogs::server::logs;
use crate::connection::{Login, Server};
use crate::fence::{self, Before};
use crate::marker::{Slot, forget, prepare};
use crate::replay_binlogs::await_replay;
use crate::replication::position::{self, Role};
use crate::replication::statements::Dialect;
use crate::replication::status::ReplicaStatus;
use crate::server_files::ServerFiles;
use crate::shown::first;
use crate::xa;

const SHOWN_DIFFERENCES: usize = 10;

/// Starts the server and proves what it is. All of it may be done again.
pub(super) async fn run(
    params: &Params,
    cx: &StepContext,
    files: &ServerFiles,
    source: &Source,
    marker: &mut Marker,
) -> Result<Outputs, StepError> {
    let login = Login::of(cx, &params.target).await?;
    let mut server = files.start(cx, &login, cx.cancel()).await.map_err(|error| accounts(source, error))?;
    ServerFiles::check_is_here(&mut server, files.data_dir()).await?;
    let last = source.last()?;
    let before = raise_fence(&mut server, marker, files.data_dir()).await?;
    fence::let_us_in(&mut server, &before).await?;
    stop_replicating(cx, &mut server).await?;
    let logs = Logs::of(&mut server).await?;
    if let Some(what) = early::written(&mut server, last, logs).await? {
        if params.stay_fenced {
            return Err(early::refusal(&params.target, &what));
        }
        cx.warn(&early::warning(&params.target, &what));
    }
    if logs == Logs::Outside {
        archive_logs_of_before(params, cx, &mut server).await?;
    }
    let gtid = stand(params, &mut server, last, logs).await?;
    compare(&mut server, last).await?;
    xa::warn_of_left(cx, &mut server.session).await?;
    leave(params, &mut server, &before).await?;
    let version = server.version.text.clone();
    server.session.close().await;
    Ok(Outputs {
        gtid,
        data_dir: files.data_dir().display().to_string(),
        moved_aside: marker
            .aside
            .as_ref()
            .filter(|aside| aside.exists())
            .map(|aside| aside.display().to_string())
            .unwrap_or_default(),
        backups: source.chain.iter().map(|link| link.uri.to_string()).collect(),
        version,
        tables: last.manifest.inventory.table_count(),
        recovery_point: last.manifest.recovery_point(),
    })
}

/// The accounts are those of the backup now.
fn accounts(source: &Source, error: StepError) -> StepError {
    if !error.message.contains("refuses the account") {
        return error;
    }
    let at = source.last().map(|last| last.manifest.recovery_point().to_string()).unwrap_or_default();
    StepError { help: None, ..error }.help(format!(
        "the server has the accounts and passwords of {at} now: give the target the password of then, and resume the run"
    ))
}

/// Keeps clients and events from writing. What the server was like by itself is known before.
async fn raise_fence(server: &mut Server, marker: &mut Marker, data_dir: &Path) -> Result<Before, StepError> {
    let before = match marker.before.clone() {
        Some(before) => before,
        None => Before::look(server).await?,
    };
    marker.before = Some(before.clone());
    marker.write(data_dir)?;
    fence::raise(server, &before).await?;
    Ok(before)
}

/// Archives logs that lie elsewhere than the files: they are those of the server of before, and are about to be
/// emptied. One that ran has archived them before it was stopped, and then there is nothing new.
async fn archive_logs_of_before(
    params: &Params,
    cx: &StepContext,
    server: &mut Server,
) -> Result<(), StepError> {
    let Some(store) = &params.archive_to else { return Ok(()) };
    if logs(server).await?.len() < 2 {
        return Ok(());
    }
    let all = ArchiveBinlogsParams::once(params.target.clone(), store.clone());
    let Err(error) = archive_binlogs::run(&all, cx).await else { return Ok(()) };
    let message =
        format!("the binary logs that `{}` had before were not archived: {}", params.target, error.message);
    Err(StepError { message, help: None, ..error }.help(
        "the server runs with the backup's files, read-only, and its logs are as they were; resume the run, or restore \
         without `archive_to` (`--set archive=false`) to lose what only they have",
    ))
}

/// Takes the fence down, or leaves it to a replay. What the server of the backup remembered is of another life.
async fn leave(params: &Params, server: &mut Server, before: &Before) -> Result<(), StepError> {
    prepare(server).await?;
    for slot in [Slot::WHOLE, Slot::PART] {
        forget(server, slot).await?;
    }
    if params.stay_fenced {
        await_replay(server, &params.backup, before).await?;
    } else {
        forget(server, Slot::REPLAY).await?;
        fence::lower(server, before).await?;
    }
    Ok(fence::let_nobody_in(server, before).await?)
}

/// Files of a replica know its source; it must not go on from where they were before anybody has looked.
async fn stop_replicating(cx: &StepContext, server: &mut Server) -> Result<(), StepError> {
    if ReplicaStatus::read(server).await?.is_none() {
        return Ok(());
    }
    for statement in Dialect::of(&server.version).leave_sources() {
        server.session.run("forget its replication source", statement).await?;
    }
    cx.warn(FORGETS_SOURCE);
    Ok(())
}

/// Brings the server to the backup's position, with empty logs. Those that came along with files that were copied cold
/// go too: in one line with them, what is written from now on could be taken for what followed the backup.
async fn stand(params: &Params, server: &mut Server, last: &Link, logs: Logs) -> Result<String, StepError> {
    let gtid = match last.manifest.consistent_point.gtid.clone() {
        Some(gtid) => gtid,
        // Of a MariaDB without any transaction; to a replay that is a position as any other.
        None if params.stay_fenced && server.version.flavour == Flavour::Mariadb => String::new(),
        None => return Ok(String::new()),
    };
    for statement in Dialect::of(&server.version).stand_at(logs != Logs::Off, &gtid) {
        server.session.run("set its GTID position", &statement).await?;
    }
    if position::has(server, Role::Source, &gtid).await? {
        return Ok(gtid);
    }
    let found = position::read(server, Role::Source).await?;
    Err(StepError::permanent(format!(
        "`{}` stands at `{found}` and not at `{gtid}`, where the backup is",
        server.session.target()
    )))
}

async fn compare(server: &mut Server, last: &Link) -> Result<(), StepError> {
    let found = crate::inventory::read_names(&mut server.session).await?;
    let differences = crate::inventory::differences(&last.manifest, &found);
    if differences.is_empty() {
        return Ok(());
    }
    Err(StepError::permanent(format!(
        "the restored server is not what the backup says: {}",
        first(SHOWN_DIFFERENCES, &differences, "; ")
    ))
    .help("it runs, read-only; look at its log, and restore another backup if it is damaged"))
}
