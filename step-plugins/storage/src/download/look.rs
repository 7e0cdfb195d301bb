//! What would make a download fail, found before anything starts.

use std::path::Path;

use rekindle_engine::host::{Key, ObjectInfo};
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{Planned, Preflight, PreflightContext, Problem, StepError};
use rustix::fs::Access;

use super::DownloadParams;
use crate::looking;
use crate::transfer::{beside, cannot_use, folder_of, told};

/// Looks at the store, the object, the folder and the room there is.
pub(super) async fn preflight(params: &Planned<DownloadParams>, cx: &PreflightContext) -> Preflight {
    let mut preflight = Preflight::default();
    let to = looking::known(params, "/to");
    if let Some(error) = to.as_ref().and_then(|to| folder(Path::new(to)).err()) {
        preflight.problems.push(cannot_use(error, "/to"));
    }
    let Some(store) = looking::known(params, "/store").map(StoreName) else { return preflight };
    let Some(Ok(key)) = looking::known(params, "/key").map(Key::new) else { return preflight };
    let readable = looking::store_readable(&store, key.as_str(), "/store", cx).await;
    if !readable.problems.is_empty() {
        preflight.problems.extend(readable.problems);
        return preflight;
    }
    let Ok(opened) = cx.step.store(&store).await else { return preflight };
    match opened.head(&key).await {
        Ok(Some(info)) => preflight.problems.extend(to.and_then(|to| no_room_for(&info, Path::new(&to)))),
        // A step before this one may put it there.
        Ok(None) => preflight.notes.push(format!("{key} is not in {store} yet")),
        Err(error) => preflight.problems.push(StepError::from(error).into()),
    }
    preflight
}

/// Looks whether files can be made in the folder of a path.
fn folder(to: &Path) -> Result<(), StepError> {
    let folder = folder_of(to);
    let failed = |error: std::io::Error| told("write into", folder, &error);
    if !std::fs::metadata(folder).map_err(failed)?.is_dir() {
        return Err(failed(std::io::Error::other("it is not a folder")));
    }
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|errno| failed(errno.into()))?;
    if to.is_dir() {
        return Err(told("write", to, &std::io::Error::other("it is a folder")).help("name a file in it"));
    }
    Ok(())
}

/// Compares the room with what is still to come. Where the system does not tell it, nothing is said.
fn no_room_for(info: &ObjectInfo, to: &Path) -> Option<Problem> {
    let room = rustix::fs::statvfs(folder_of(to)).ok()?;
    let there = std::fs::metadata(beside(to)).map_or(0, |found| found.len());
    let needed_bytes = info.size_bytes.saturating_sub(there);
    no_room(to, needed_bytes, room.f_bavail.saturating_mul(room.f_frsize))
}

pub(super) fn no_room(to: &Path, needed_bytes: u64, free_bytes: u64) -> Option<Problem> {
    (needed_bytes > free_bytes).then(|| Problem {
        code: "rekindle::store::no_room",
        message: format!(
            "`{}` needs {needed_bytes} bytes more, but its disk has {free_bytes} left",
            to.display()
        ),
        help: Some("free space there, or name another place".to_owned()),
        pointer: Some("/to"),
    })
}
