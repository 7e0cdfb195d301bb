//! A server on restored files: at the backup's position, and with everything that the backup has.

use std::path::Path;

use rekindle_backup::inventory::Difference;
use rekindle_backup::physical::{Link, Method};
use rekindle_engine::step::{StepContext, StepError};

use super::marker::Marker;
use super::source::Source;
use super::{Outputs, Params};
use crate::connection::{Login, Server};
use crate::read_only::become_read_only;
use crate::replication::position::{self, Role};
use crate::replication::statements::Dialect;
use crate::replication::status::ReplicaStatus;
use crate::server_files::ServerFiles;

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
    fence(&mut server, marker, files.data_dir()).await?;
    stop_replicating(cx, &mut server).await?;
    let gtid = stand(&mut server, last).await?;
    compare(&mut server, last).await?;
    if marker.read_only == Some(false) {
        server.session.run("become writable", "SET GLOBAL read_only = OFF").await?;
    }
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

/// Keeps clients from writing until the position is set. What the server was like by itself is known before.
async fn fence(server: &mut Server, marker: &mut Marker, data_dir: &Path) -> Result<(), StepError> {
    if marker.read_only.is_none() {
        let read_only: u8 =
            server.session.row("tell whether it is read-only", "SELECT @@GLOBAL.read_only").await?;
        marker.read_only = Some(read_only != 0);
        marker.write(data_dir)?;
    }
    become_read_only(server).await
}

/// Files of a replica know its source; it must not go on from where they were before anybody has looked.
async fn stop_replicating(cx: &StepContext, server: &mut Server) -> Result<(), StepError> {
    if ReplicaStatus::read(server).await?.is_none() {
        return Ok(());
    }
    for statement in Dialect::of(&server.version).leave_sources() {
        server.session.run("forget its replication source", statement).await?;
    }
    cx.warn("the backup is of a replica: it has forgotten its source, and mysql.reset-replication lets it follow one");
    Ok(())
}

/// Brings the server to the backup's position. Files that were copied cold have their own binary log and know it.
async fn stand(server: &mut Server, last: &Link) -> Result<String, StepError> {
    let Some(gtid) = last.manifest.consistent_point.gtid.clone() else { return Ok(String::new()) };
    if last.physical.method == Method::Hot {
        let log_bin: u8 = server.session.row("tell whether it logs", "SELECT @@GLOBAL.log_bin").await?;
        for statement in Dialect::of(&server.version).stand_at(log_bin == 1, &gtid) {
            server.session.run("set its GTID position", &statement).await?;
        }
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
    let mut differences = last.manifest.inventory.compare(&found);
    if !last.physical.inventory_is_whole {
        // Made during the backup: it may be in it.
        differences.retain(|difference| !matches!(difference, Difference::Extra(_)));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = differences.iter().take(SHOWN_DIFFERENCES).map(ToString::to_string).collect();
    let more = match differences.len().saturating_sub(SHOWN_DIFFERENCES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(StepError::permanent(format!(
        "the restored server is not what the backup says: {}{more}",
        shown.join("; ")
    ))
    .help("it runs, read-only; look at its log, and restore another backup if it is damaged"))
}
