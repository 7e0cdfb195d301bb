//! moto, the server that some tests of buckets need: yields the folder it is installed in, or why it is not.

use std::path::{Path, PathBuf};

use crate::apt;
use crate::stage::{Failure, Stage};

/// The version that was tried with this repository; the folder of another one is another.
const VERSION: &str = "5.2.5";

/// The variable by which the tests find it; `emulators/src/moto.rs` has the same.
pub(crate) const VARIABLE: &str = "REKINDLE_MOTO";

/// Written last: a folder without it is one that an installation was cut off in.
const COMPLETE: &str = "complete";

/// Gives the virtual environment with moto, in the user's cache; installs it when it is not there yet.
///
/// # Errors
/// When it can't be installed; the message's first line says why.
pub(crate) fn ensure() -> Result<PathBuf, Failure> {
    let folder = cache(&|name| std::env::var_os(name).map(PathBuf::from))?.join(format!("moto-{VERSION}"));
    if folder.join(COMPLETE).is_file() {
        return Ok(folder);
    }
    // Without this package Debian's Python makes no virtual environments.
    if Stage::new("python3", ["-c", "import ensurepip, venv"]).read().is_err() {
        apt::install(&["python3-venv"])?;
    }
    install(&folder).map_err(|failure| Failure {
        message: format!("moto {VERSION} could not be installed from PyPI\n{}", failure.message),
        ..failure
    })?;
    Ok(folder)
}

fn install(folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(failed)?;
    }
    let python = folder.join("bin/python");
    Stage::new("python3", ["-m".into(), "venv".into(), folder.as_os_str().to_owned()]).run()?;
    let package = format!("moto[server]=={VERSION}");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package.as_str()];
    Stage::new(&python, pip).run()?;
    Stage::new(&python, ["-c", "import moto.server, moto.s3.responses"]).read()?;
    std::fs::write(folder.join(COMPLETE), "").map_err(failed)
}

/// XDG Base Directory Specification: `$XDG_CACHE_HOME`, or `.cache` in the home directory; relative ones don't count.
fn cache(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let caches =
        caches.ok_or_else(|| Failure::new("no home directory is known to keep moto in: set HOME"))?;
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
}
