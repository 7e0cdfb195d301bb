//! Listing: folders in, objects in key order out.

use std::os::fd::OwnedFd;

use jiff::Timestamp;
use rekindle_engine::host::{Key, ObjectInfo, StoreErrorKind, Unfinished};
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::folder::{self, Chain};
use super::{PARTIAL, Place};
use crate::failure::Failure;

/// Folders deeper than any key (1,024 bytes) can name are not walked.
const MAX_DEPTH: usize = 512;

/// Lists the objects whose key starts with `prefix`.
pub(super) fn list(place: &Place, prefix: &str) -> Result<Vec<ObjectInfo>, Failure> {
    // Only the folder that the prefix ends in is walked.
    let (folders, _) = prefix.rsplit_once('/').unwrap_or_default();
    let parts: Vec<&str> = folders.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) || prefix.contains('\0') {
        return Ok(Vec::new());
    }
    if folder::open_root(&place.root)?.is_none() {
        let why = format!("the folder `{}` does not exist", place.root.display());
        return Err(Failure::new(StoreErrorKind::NotFound, why));
    }
    let Some(chain) = Chain::open(&place.root, &parts)? else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    let at = parts.iter().fold(String::new(), |at, part| format!("{at}{part}/"));
    walk(chain.last()?, &at, parts.len(), prefix, &mut objects)?;
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(objects)
}

fn walk(
    folder: &OwnedFd,
    at: &str,
    depth: usize,
    prefix: &str,
    objects: &mut Vec<ObjectInfo>,
) -> Result<(), Failure> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            tracing::warn!(folder = at, "a file whose name is not UTF-8 is no object and was passed over");
            continue;
        };
        if matches!(name, "." | "..") || (at.is_empty() && name.starts_with(PARTIAL)) {
            continue;
        }
        let key = format!("{at}{name}");
        // Something may vanish while it is listed.
        let Some(found) = folder::look(folder, name)? else { continue };
        if found.kind == FileType::Directory {
            let below = format!("{key}/");
            if below.starts_with(prefix) || prefix.starts_with(&below) {
                match folder::open_folder(folder, name) {
                    Ok(inner) => walk(&inner, &below, depth + 1, prefix, objects)?,
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        } else if found.kind == FileType::RegularFile && key.starts_with(prefix) {
            match Key::new(key) {
                Ok(key) => {
                    objects.push(ObjectInfo::new(key, found.size_bytes, found.modified));
                }
                Err(error) => tracing::warn!(%error, "a file was passed over"),
            }
        } else if found.kind == FileType::Symlink {
            tracing::warn!(key, "a symbolic link is no object and was passed over");
        }
    }
    Ok(())
}

/// Lists unfinished objects. Their names do not tell what they are to become.
pub(super) fn unfinished(place: &Place) -> Result<Vec<Unfinished>, Failure> {
    let Some(chain) = Chain::open(&place.root, &[PARTIAL])? else { return Ok(Vec::new()) };
    let folder = chain.last()?;
    let mut unfinished = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        // Something may come to its end while it is listed.
        let Some(found) = folder::look(folder, name)?.filter(|found| found.kind == FileType::RegularFile)
        else {
            continue;
        };
        let name = format!("{PARTIAL}/{name}");
        unfinished.push(Unfinished { name, key: None, begun: None, newest: found.modified });
    }
    unfinished.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(unfinished)
}

/// Removes unfinished objects that were last written before `before`; gives which.
pub(super) fn remove_abandoned(place: &Place, before: Timestamp) -> Result<Vec<Unfinished>, Failure> {
    let Some(chain) = Chain::open(&place.root, &[PARTIAL])? else { return Ok(Vec::new()) };
    let folder = chain.last()?;
    let mut removed = Vec::new();
    for one in unfinished(place)?.into_iter().filter(|one| one.newest < before) {
        let name = one.name.rsplit('/').next().unwrap_or_default();
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) => removed.push(one),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(removed)
}
