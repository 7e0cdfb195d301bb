//! The server whose place is taken: what it has logged is archived while nobody writes, then it is stopped.

use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::step::{StepContext, StepError};

use super::marker::Marker;
use super::{Params, place};
use crate::archive_binlogs::{self, ArchiveBinlogsParams};
use crate::binlogs::server::logs_at_all;
use crate::connection::Login;
use crate::fence::{self, Before};
use crate::server_files::ServerFiles;

/// Stops the server that works on the files, if one does. It gets back what it was like when that fails.
pub(super) async fn stop(
    params: &Params,
    cx: &StepContext,
    files: &ServerFiles,
    marker: &mut Marker,
) -> Result<(), StepError> {
    if files.process().is_none() {
        return tell_what_is_kept(params, cx, files, marker);
    }
    let stopped = async {
        if let Some(store) = &params.archive_to {
            archive(params, cx, files, marker, store).await?;
        }
        files.stop(cx).await
    };
    let Err(error) = stopped.await else { return Ok(()) };
    open_again(params, cx, files, marker).await;
    Err(error)
}

/// Archives what the server has logged, all of it: it is fenced before.
async fn archive(
    params: &Params,
    cx: &StepContext,
    files: &ServerFiles,
    marker: &mut Marker,
    store: &StoreName,
) -> Result<(), StepError> {
    let archived = async {
        let mut server = Login::of(cx, &params.target).await?.connect().await?;
        ServerFiles::check_is_here(&mut server, files.data_dir()).await?;
        if !logs_at_all(&mut server).await? {
            return Ok(());
        }
        let before = match marker.replaced.clone() {
            Some(before) => before,
            None => Before::look(&mut server).await?,
        };
        // Known before it is true: a crash must not leave a server read-only for good.
        marker.replaced = Some(before.clone());
        marker.write(files.data_dir())?;
        fence::raise(&mut server, &before).await?;
        server.session.close().await;
        let all = ArchiveBinlogsParams::once(params.target.clone(), store.clone());
        archive_binlogs::run(&all, cx).await?;
        marker.archived = true;
        marker.write(files.data_dir())
    };
    let Err(error) = archived.await else { return Ok(()) };
    let message = format!("the binary logs of `{}` were not archived: {}", params.target, error.message);
    Err(StepError { message, help: None, ..error }.help(
        "nothing was stopped or moved; leave `archive_to` out (`--set archive=false`) to have them only in the folder that \
         the files are moved to",
    ))
}

/// Takes the fence down again: the server stays what it was.
async fn open_again(params: &Params, cx: &StepContext, files: &ServerFiles, marker: &mut Marker) {
    let Some(before) = marker.replaced.clone() else { return };
    let opened = async {
        let mut server = Login::of(cx, &params.target).await?.connect().await?;
        fence::lower(&mut server, &before).await?;
        server.session.close().await;
        marker.replaced = None;
        marker.write(files.data_dir())
    };
    if let Err(error) = opened.await {
        cx.warn(&format!("`{}` may still be read-only and without events: {error}", params.target));
    }
}

/// Says where the logs of a server are that can't be asked for them any more.
fn tell_what_is_kept(
    params: &Params,
    cx: &StepContext,
    files: &ServerFiles,
    marker: &Marker,
) -> Result<(), StepError> {
    let (Some(_), Some(aside), false) = (&params.archive_to, &marker.aside, marker.archived) else {
        return Ok(());
    };
    if !place::held(files.data_dir())?.is_empty() {
        cx.warn(&not_running(&params.target, &aside.display().to_string()));
    }
    Ok(())
}

/// Words for a server whose logs nobody can read out.
pub(super) fn not_running(target: &TargetName, aside: &str) -> String {
    format!(
        "`{target}` does not run: what it logged since it was last archived can't be archived; binary logs among its files \
         are kept in {aside}"
    )
}
