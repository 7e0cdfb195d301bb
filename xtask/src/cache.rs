//! What is fetched once for every checkout: yields folders in the user's cache, each named after what is in it and
//! its version.

use std::path::{Path, PathBuf};

use crate::stage::Failure;

/// Gives the folder of the cache that holds a thing of this name, there or not.
///
/// # Errors
/// When no home directory is known.
pub(crate) fn folder(name: &str) -> Result<PathBuf, Failure> {
    Ok(cache(&|name| std::env::var_os(name).map(PathBuf::from))?.join(name))
}

/// Gives a folder of the cache, made when it is not there yet. Whoever is cut off leaves none: it is made beside its
/// place, by one program at a time, and moved there when it is whole.
///
/// # Errors
/// What `make` says, which receives an empty folder; also when the cache can't be written.
pub(crate) fn ensure(folder: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    let beside = |ending: &str| {
        let mut name = folder.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    std::fs::create_dir_all(folder.parent().unwrap_or(folder)).map_err(failed)?;
    // Unlocked when it is dropped, and by the kernel when the program dies.
    let lock = std::fs::File::create(beside(".lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if folder.is_dir() {
        return Ok(());
    }
    let half_made = beside(".half-made");
    if half_made.exists() {
        std::fs::remove_dir_all(&half_made).map_err(failed)?;
    }
    std::fs::create_dir(&half_made).map_err(failed)?;
    make(&half_made)?;
    std::fs::rename(&half_made, folder).map_err(failed)
}

/// XDG Base Directory Specification: `$XDG_CACHE_HOME`, or `.cache` in the home directory; relative ones don't count.
fn cache(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let caches = caches.ok_or_else(|| {
        Failure::new("no home directory is known to keep programs for the tests in: set HOME")
    })?;
    Ok(caches.join("rekindle"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_in_the_users_cache() {
        let with = |xdg: Option<&str>, home: Option<&str>| {
            cache(&|name| if name == "HOME" { home } else { xdg }.map(PathBuf::from)).ok()
        };
        assert_eq!(with(Some("/c"), Some("/h")), Some(PathBuf::from("/c/rekindle")));
        assert_eq!(with(Some("c"), Some("/h")), Some(PathBuf::from("/h/.cache/rekindle")));
        assert_eq!(with(None, Some("/h")), Some(PathBuf::from("/h/.cache/rekindle")));
        assert_eq!(with(None, None), None);
    }

    #[test]
    fn a_half_made_folder_is_never_taken_for_a_whole_one() {
        let caches = tempfile::tempdir().unwrap();
        let folder = caches.path().join("deep/thing-1");
        let cut_off = ensure(&folder, |half| {
            std::fs::write(half.join("rest"), "of yesterday").unwrap();
            Err(Failure::new("cut off"))
        });
        assert_eq!(cut_off.unwrap_err().message, "cut off");
        assert!(!folder.exists());

        let whole = |half: &Path| {
            std::fs::write(half.join("whole"), "").map_err(|error| Failure::new(error.to_string()))
        };
        ensure(&folder, whole).unwrap();
        assert!(folder.join("whole").is_file());
        assert!(!folder.join("rest").exists(), "it was made anew");
        ensure(&folder, |_| Err(Failure::new("made again"))).unwrap();
    }
}
