//! One restore: from whatever stage it is in to its end.

use std::path::Path;

use rekindle_engine::step::{ErrorClass, StepContext, StepError};

use super::marker::{Marker, Stage};
use super::place::{self, Disk};
use super::source::Source;
use super::{Outputs, Params, prepare, prove, replaced, unpack};
use crate::connection::Login;
use crate::error::ServerError;
use crate::guard::blocking;
use crate::server_files::ServerFiles;
use crate::shown::first;
use crate::verify_restore::store_bad_end;

const SHOWN_NAMES: usize = 5;
/// What a server needs beyond its files to come up.
const SPARE_BYTES: u64 = 16 << 20;

pub(super) async fn run(params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
    let files = params.files(cx).await?;
    let source = Source::find(params, cx).await?;
    let tool = source.tool(cx).await?;
    let mut marker = claim(params, cx, files.data_dir())?;
    if let (Stage::Complete, Some(outputs)) = (marker.stage, &marker.outputs) {
        return Ok(outputs.clone());
    }
    if marker.stage == Stage::Unpacking {
        refuse_target(params, cx, &files).await?;
        make_room(&marker.work, source.unpacked_bytes()).await?;
        let prepared = prepare::run(cx, &source, tool.as_ref(), &marker.work).await;
        if let Err(error) = judged(params, cx, &source, &marker.work, prepared).await {
            // Half of a backup is of no use to anybody, and may have filled the disk.
            let work = marker.work.clone();
            let _ = blocking(move || place::remove(&work)).await;
            return Err(error);
        }
        reach(&mut marker, Stage::Prepared, files.data_dir())?;
    }
    if marker.stage == Stage::Prepared {
        refuse_target(params, cx, &files).await?;
        replaced::stop(params, cx, &files, &mut marker).await?;
        if let Some(aside) = marker.aside.clone() {
            let data_dir = files.data_dir().to_owned();
            blocking(move || place::clear(&data_dir, &aside)).await??;
        }
        reach(&mut marker, Stage::Cleared, files.data_dir())?;
    }
    if marker.stage == Stage::Cleared {
        let (data_dir, base) = (files.data_dir().to_owned(), prepare::base_folder(&marker.work));
        let aside = marker.aside.clone();
        blocking(move || place::fill(&data_dir, &base, aside.as_deref())).await??;
        unpack::sync(files.data_dir())?;
        place::remove(&marker.work)?;
        reach(&mut marker, Stage::Placed, files.data_dir())?;
    }
    let proven = prove::run(params, cx, &files, &source, &mut marker).await;
    let outputs = judged(params, cx, &source, files.data_dir(), proven).await?;
    marker.outputs = Some(outputs.clone());
    // Last of all: a crash before this is a crash of the restore.
    reach(&mut marker, Stage::Complete, files.data_dir())?;
    Ok(outputs)
}

/// Keeps in a drill as the backup's verdict that it does not come up, unless trying again or more room may help.
async fn judged<T>(
    params: &Params,
    cx: &StepContext,
    source: &Source,
    disk: &Path,
    ended: Result<T, StepError>,
) -> Result<T, StepError> {
    let Err(error) = ended else { return ended };
    let is_full = unpack::free_bytes(disk).is_some_and(|free| free < SPARE_BYTES);
    if params.drill && error.class == ErrorClass::Permanent && !is_full {
        let why = format!("it does not come up: {}", error.message);
        store_bad_end(cx, source.store.as_ref(), &params.backup, why).await;
    }
    Err(error)
}

fn reach(marker: &mut Marker, stage: Stage, data_dir: &Path) -> Result<(), StepError> {
    marker.stage = stage;
    marker.write(data_dir)
}

/// Makes the marker ours: goes on with one of this run, begins otherwise.
fn claim(params: &Params, cx: &StepContext, data_dir: &Path) -> Result<Marker, StepError> {
    let earlier = Marker::read(data_dir)?;
    if let Some(marker) = &earlier {
        if marker.is_of(params, cx.run()) {
            return Ok(marker.clone());
        }
        // Another's files in the work folder are of no use; what it moved aside stays where it is.
        if marker.stage != Stage::Complete && !params.replaces() {
            return Err(StepError::permanent(format!(
                "{} is half restored: {}",
                data_dir.display(),
                marker.describe()
            ))
            .help(
                "resume that run, or set `overwrite: true` to restore anew; what is there is moved aside",
            ));
        }
    }
    let disk = place::disk(data_dir)?;
    let aside = (params.replaces() && disk == Disk::Shared).then(|| place::aside_folder(data_dir, cx.run()));
    let marker = Marker {
        format: 1,
        run: cx.run().clone(),
        backup: params.backup.clone(),
        stage: Stage::Unpacking,
        work: place::work_folder(data_dir, disk),
        aside,
        // A server that an earlier attempt fenced and never stopped.
        replaced: earlier.filter(|marker| marker.stage < Stage::Cleared).and_then(|marker| marker.replaced),
        archived: false,
        before: None,
        outputs: None,
    };
    refuse_held(params, data_dir)?;
    marker.write(data_dir)?;
    Ok(marker)
}

async fn make_room(work: &Path, needed: u64) -> Result<(), StepError> {
    let folder = work.to_owned();
    blocking(move || place::empty(&folder)).await??;
    let Some(free) = unpack::free_bytes(work) else { return Ok(()) };
    if free >= needed.saturating_add(SPARE_BYTES) {
        return Ok(());
    }
    Err(StepError::permanent(format!(
        "the backup unpacks to {needed} bytes, and the disk of {} has room for {free}",
        work.display()
    ))
    .help("free space there, then resume the run; what is restored needs its room beside what is there"))
}

/// Refuses a data directory that may not be touched.
pub(super) fn refuse_held(params: &Params, data_dir: &Path) -> Result<(), StepError> {
    let held = place::held(data_dir)?;
    if held.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = held.iter().map(|name| name.to_string_lossy()).collect();
    let names = first(SHOWN_NAMES, &names, ", ");
    let text = format!("the data directory {} is not empty: {names}", data_dir.display());
    match (params.replaces(), place::disk(data_dir)?) {
        (true, Disk::Shared) => Ok(()),
        (true, Disk::Own) => Err(StepError::permanent(text).help(
            "it is a disk of its own, so nothing can be moved beside it: stop the server, and move or remove its files \
             by hand",
        )),
        (false, _) => Err(StepError::permanent(text)
            .help("set `overwrite: true` to stop the server and move its files aside, or name another target")),
    }
}

/// Refuses a target that a restored server could not take the place of.
pub(super) async fn refuse_target(
    params: &Params,
    cx: &StepContext,
    files: &ServerFiles,
) -> Result<(), StepError> {
    refuse_held(params, files.data_dir())?;
    if let Some(pid) = files.process() {
        if params.replaces() {
            return Ok(());
        }
        return Err(StepError::permanent(format!(
            "a server works on {}: the process {pid}",
            files.data_dir().display()
        ))
        .help("set `overwrite: true` to stop it and move its files aside"));
    }
    let login = Login::of(cx, &params.target).await?;
    match login.connect().await {
        Err(ServerError::Unreachable { .. }) => Ok(()),
        other => {
            if let Ok(server) = other {
                server.session.close().await;
            }
            Err(StepError::permanent(format!(
                "another server answers at {}, and does not work on {}",
                login.address(),
                files.data_dir().display()
            ))
            .help("correct the target's host, port or `data_dir`, or stop that server: the restored one has to answer there"))
        }
    }
}
