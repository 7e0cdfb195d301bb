//! Durable files: receives a path and bytes, yields the file, whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes a folder and the folders above it, durably.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !is_there(dir)).collect();
    fs::create_dir_all(dir)?;
    // The name of a folder is kept in the folder above it.
    missing.iter().filter_map(|dir| dir.parent()).try_for_each(sync_dir)
}

fn is_there(dir: &Path) -> bool {
    dir.as_os_str().is_empty() || dir.is_dir()
}

/// Puts a file in the place of another one or of none, then reads it back.
///
/// # Errors
/// What the file system says; the old file is then still there, whole.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new(""));
    // Readable by those whom the umask allows: a report holds no secret.
    let mut file = tempfile::Builder::new()
        .prefix(".report-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_dir(dir)?;
    if fs::read(path)? == contents {
        Ok(())
    } else {
        Err(io::Error::other("it does not read back as written"))
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}
