//! Prepared files into the data directory: what was there moves aside, what is new moves in, with the directory's owner.
//!
//! Moves are renames on one file system. Where the data directory is the root of a disk of its own, the work folder is
//! inside it; nothing can be moved aside then, so it has to be empty.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
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
    fs::DirBuilder::new().mode(0o700).create(work).map_err(failed("make", work))
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
    // As closed as the directory that they come from, and of the same account: it can take their place again.
    let directory = fs::metadata(data_dir).map_err(failed("look at", data_dir))?;
    fs::set_permissions(aside, directory.permissions()).map_err(failed("close", aside))?;
    give(aside, directory.uid(), directory.gid())?;
    move_all(&names, data_dir, aside)
}

/// What MySQL keeps its `server_uuid` in.
const IDENTITY: &str = "auto.cnf";
/// What MySQL keeps variables in that were set by `SET PERSIST`.
const SETTINGS: &str = "mysqld-auto.cnf";

/// Moves prepared files in, and gives them the owner of the data directory.
///
/// A server keeps the identity that it had: its archived logs go on in the same place, and its replicas find out when
/// they have more than it. So it does the variables that it was given, as those in its option files: a replica's
/// `server_id` is not the one of the server that the backup is of.
pub(super) fn fill(data_dir: &Path, base: &Path, aside: Option<&Path>) -> Result<(), StepError> {
    let owner = fs::metadata(data_dir).map_err(failed("look at", data_dir))?;
    match fs::metadata(base) {
        // All of it was moved before a crash.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at", base)(error)),
        Ok(_) => move_all(&held(base)?, base, data_dir)?,
    }
    if let Some(aside) = aside.filter(|aside| aside.join(IDENTITY).exists()) {
        keep_own(data_dir, aside)?;
    }
    own(data_dir, owner.uid(), owner.gid())
}

/// Takes over what a server of MySQL is by itself, from its files that were moved aside.
fn keep_own(data_dir: &Path, aside: &Path) -> Result<(), StepError> {
    for name in [IDENTITY, SETTINGS] {
        let (own, kept) = (aside.join(name), data_dir.join(name));
        if own.exists() {
            fs::copy(&own, &kept).map_err(failed("keep what the server had in", &kept))?;
        } else if kept.exists() {
            fs::remove_file(&kept).map_err(failed("remove what is of another server in", &kept))?;
        }
    }
    Ok(())
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
            if give(&path, uid, gid)?.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Gives one file an owner, if it has another, and tells what it is.
fn give(path: &Path, uid: u32, gid: u32) -> Result<fs::Metadata, StepError> {
    let found = fs::symlink_metadata(path).map_err(failed("look at", path))?;
    if (found.uid(), found.gid()) != (uid, gid) {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid)).map_err(|error| {
            failed("give the server's account", path)(error)
                .help("run as root, or as the account of the server")
        })?;
    }
    Ok(found)
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StepError {
    let path = path.to_owned();
    move |error| StepError::permanent(format!("failed to {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_looks_into_the_work_folder() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("w");
        empty(&work).unwrap();
        fs::write(work.join("half"), "x").unwrap();
        empty(&work).unwrap();
        assert_eq!(held(&work).unwrap(), Vec::<OsString>::new());
        assert_eq!(fs::metadata(&work).unwrap().mode() & 0o777, 0o700);
    }

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
    fn what_is_moved_in_gets_the_owner_of_the_directory_and_what_a_link_leads_to_does_not() {
        use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
        const OWNER: (u32, u32) = (65534, 65534);
        let folder = tempfile::tempdir().unwrap();
        let [data, base, aside, far] = ["d", "b", "a", "far"].map(|name| folder.path().join(name));
        let files = ["ibdata1", "shop/t.ibd", "shop/deep/u.ibd"];
        fs::create_dir_all(base.join("shop/deep")).unwrap();
        for file in files {
            fs::write(base.join(file), file).unwrap();
        }
        fs::set_permissions(base.join("ibdata1"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&far, "of others").unwrap();
        symlink(&far, base.join("shop/link")).unwrap();
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join(IDENTITY), "[auto]").unwrap();
        fs::create_dir(&data).unwrap();
        if chown(&data, Some(OWNER.0), Some(OWNER.1)).is_err() {
            println!("skipped: giving files away needs root");
            return;
        }

        fill(&data, &base, Some(&aside)).unwrap();

        let owner = |path: &Path| {
            let found = fs::symlink_metadata(path).unwrap();
            (found.uid(), found.gid())
        };
        for name in files.iter().chain(&["shop", "shop/deep", "shop/link", IDENTITY]) {
            assert_eq!(owner(&data.join(name)), OWNER, "{name}");
        }
        assert_ne!(owner(&far), OWNER);
        assert_eq!(fs::metadata(data.join("ibdata1")).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_server_keeps_its_identity_and_its_variables_and_gets_none_of_another() {
        for own in [&["auto.cnf", "mysqld-auto.cnf"][..], &["auto.cnf"], &[]] {
            let folder = tempfile::tempdir().unwrap();
            let [data, base, aside] = ["d", "b", "a"].map(|name| folder.path().join(name));
            for folder in [&data, &base, &aside] {
                fs::create_dir(folder).unwrap();
            }
            fs::write(base.join(SETTINGS), "of the backup").unwrap();
            for name in own {
                fs::write(aside.join(name), "its own").unwrap();
            }

            fill(&data, &base, Some(&aside)).unwrap();

            let found = |name: &str| fs::read_to_string(data.join(name)).ok();
            let identity = own.first().map(|_| "its own".to_owned());
            assert_eq!(found(IDENTITY), identity);
            // Where there was no server of MySQL, those of the backup come along.
            let settings = match own.len() {
                2 => Some("its own"),
                1 => None,
                _ => Some("of the backup"),
            };
            assert_eq!(found(SETTINGS).as_deref(), settings);
        }
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
