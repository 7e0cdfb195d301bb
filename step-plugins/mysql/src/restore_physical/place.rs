//! Prepared files into the data directory: what was there moves aside, what is new moves in, with the directory's owner.
//!
//! Moves are renames on one file system. Where the data directory is the root of a disk of its own, the work folder is
//! inside it; nothing can be moved aside then, so it has to be empty.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rekindle_engine::id::RunId;
use rekindle_engine::step::StepError;

use super::marker::is_no_data;

/// The work folder inside a data directory that is the root of a disk.
pub(super) const INNER_WORK: &str = ".rekindle-restore";

/// Whether a data directory is the root of a disk of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    Shared,
    Own,
}

/// Looks which.
pub(super) fn disk(data_dir: &Path) -> Result<Disk, StepError> {
    let here = fs::metadata(data_dir).map_err(failed("look at", data_dir))?;
    let Some(parent) = data_dir.parent() else { return Ok(Disk::Own) };
    let above = fs::metadata(parent).map_err(failed("look at", parent))?;
    Ok(if here.dev() == above.dev() { Disk::Shared } else { Disk::Own })
}

/// Gives the folder that files are unpacked in.
pub(super) fn work_folder(data_dir: &Path, disk: Disk) -> PathBuf {
    match disk {
        Disk::Shared => beside(data_dir, "rekindle-restore"),
        Disk::Own => data_dir.join(INNER_WORK),
    }
}

/// Gives the folder that what was there is moved to.
pub(super) fn aside_folder(data_dir: &Path, run: &RunId) -> PathBuf {
    beside(data_dir, &format!("before-{run}"))
}

fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.file_name().map(OsString::from).unwrap_or_default();
    name.push(format!(".{suffix}"));
    data_dir.with_file_name(name)
}

/// Lists what a data directory holds, ours left out.
pub(super) fn held(data_dir: &Path) -> Result<Vec<OsString>, StepError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(data_dir).map_err(failed("read", data_dir))? {
        let name = entry.map_err(failed("read", data_dir))?.file_name();
        if !is_no_data(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Makes the work folder empty, for this user alone.
pub(super) fn empty(work: &Path) -> Result<(), StepError> {
    remove(work)?;
    fs::create_dir(work).map_err(failed("make", work))
}

/// Removes a folder; it need not be there.
pub(super) fn remove(folder: &Path) -> Result<(), StepError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Moves what a data directory holds aside; what has been moved before is not there any more.
pub(super) fn clear(data_dir: &Path, aside: &Path) -> Result<(), StepError> {
    let names = held(data_dir)?;
    if names.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(aside).map_err(failed("make", aside))?;
    // As closed as the directory that they come from.
    let permissions = fs::metadata(data_dir).map_err(failed("look at", data_dir))?.permissions();
    fs::set_permissions(aside, permissions).map_err(failed("close", aside))?;
    move_all(&names, data_dir, aside)
}

/// What MySQL keeps its `server_uuid` in.
const IDENTITY: &str = "auto.cnf";

/// Moves prepared files in, and gives them the owner of the data directory.
///
/// A server keeps the identity that it had: its archived logs go on in the same place, and its replicas find out when
/// they have more than it.
pub(super) fn fill(data_dir: &Path, base: &Path, aside: Option<&Path>) -> Result<(), StepError> {
    let owner = fs::metadata(data_dir).map_err(failed("look at", data_dir))?;
    match fs::metadata(base) {
        // All of it was moved before a crash.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at", base)(error)),
        Ok(_) => move_all(&held(base)?, base, data_dir)?,
    }
    let kept = data_dir.join(IDENTITY);
    if let Some(identity) = aside.map(|aside| aside.join(IDENTITY)).filter(|identity| identity.exists()) {
        fs::copy(&identity, &kept).map_err(failed("keep the identity in", &kept))?;
    }
    own(data_dir, owner.uid(), owner.gid())
}

fn move_all(names: &[OsString], from: &Path, to: &Path) -> Result<(), StepError> {
    for name in names {
        let (source, target) = (from.join(name), to.join(name));
        // A rename would take the place of what is there.
        if fs::symlink_metadata(&target).is_ok() {
            return Err(StepError::permanent(format!("{} is there already", target.display()))
                .help("something else writes there: stop it, look at what it made, then resume the run"));
        }
        fs::rename(&source, &target).map_err(failed("move", &source))?;
    }
    for folder in [from, to] {
        fs::File::open(folder).and_then(|file| file.sync_all()).map_err(failed("make durable", folder))?;
    }
    Ok(())
}

/// Gives everything below a folder an owner. Modes stay as the server had them.
fn own(folder: &Path, uid: u32, gid: u32) -> Result<(), StepError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(failed("read", &folder))? {
            let entry = entry.map_err(failed("read", &folder))?;
            let path = entry.path();
            let found = fs::symlink_metadata(&path).map_err(failed("look at", &path))?;
            if (found.uid(), found.gid()) != (uid, gid) {
                std::os::unix::fs::lchown(&path, Some(uid), Some(gid)).map_err(|error| {
                    failed("give the server's account", &path)(error)
                        .help("run as root, or as the account of the server")
                })?;
            }
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StepError {
    let path = path.to_owned();
    move |error| StepError::permanent(format!("failed to {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_again_what_was_half_moved_ends_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (data, base, aside) = (folder.path().join("d"), folder.path().join("b"), folder.path().join("a"));
        for (folder, names) in [(&data, ["old1", "old2"]), (&base, ["new1", "new2"])] {
            fs::create_dir(folder).unwrap();
            for name in names {
                fs::write(folder.join(name), name).unwrap();
            }
        }
        fs::write(data.join(super::super::MARKER), "{}").unwrap();
        fs::create_dir(&aside).unwrap();
        fs::rename(data.join("old1"), aside.join("old1")).unwrap();

        clear(&data, &aside).unwrap();
        fs::rename(base.join("new1"), data.join("new1")).unwrap();
        fill(&data, &base, Some(&aside)).unwrap();
        fs::remove_dir(&base).unwrap();
        fill(&data, &base, Some(&aside)).unwrap();

        assert_eq!(held(&data).unwrap(), ["new1", "new2"]);
        assert_eq!(held(&aside).unwrap(), ["old1", "old2"]);
        assert!(data.join(super::super::MARKER).exists());
    }

    #[test]
    fn what_is_there_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (data, base) = (folder.path().join("d"), folder.path().join("b"));
        for folder in [&data, &base] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("ibdata1"), folder.as_os_str().as_encoded_bytes()).unwrap();
        }
        let error = fill(&data, &base, None).unwrap_err();
        assert!(error.message.ends_with("d/ibdata1 is there already"), "{error}");
        assert_eq!(fs::read(data.join("ibdata1")).unwrap(), data.as_os_str().as_encoded_bytes());
    }
}
