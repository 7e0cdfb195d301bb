//! A folder for logs on their way into a store. It goes away with its guard; what a killed runner left goes away when
//! the next one begins.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rekindle_engine::step::StepError;

const PREFIX: &str = "rekindle-binlogs-";

/// A folder that only this user can enter.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the machine's folder for temporary files. Its name ends with this process and the time that
    /// the process began, so that another runner can tell whether anybody still works in it.
    pub(crate) fn new(run: &str, step: &str) -> Result<Self, StepError> {
        Self::below(&std::env::temp_dir(), run, step)
    }

    fn below(parent: &Path, run: &str, step: &str) -> Result<Self, StepError> {
        sweep(parent);
        let pid = std::process::id();
        let began = began(pid).unwrap_or_default();
        let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let path = parent.join(format!("{PREFIX}{}-{}-{pid}.{began}", plain(run), plain(step)));
        let failed = |error: std::io::Error| {
            StepError::transient(format!("failed to make the folder {}: {error}", path.display()))
                .help("make room, or name another place by the variable TMPDIR")
        };
        std::fs::create_dir_all(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of processes that are gone.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| {
            let (pid, began) = name.strip_prefix(PREFIX)?.rsplit_once('-')?.1.split_once('.')?;
            Some((pid.parse::<u32>().ok()?, began.to_owned()))
        });
        if let Some((pid, its)) = owner
            && began(pid).as_deref() != Some(its.as_str())
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Gives when a process began, in ticks since the machine did (proc(5), field 22 of `stat`).
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may have blanks.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_runner_left_goes_and_what_a_living_one_has_stays() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join(format!("{PREFIX}run-step-{}.1", std::process::id()));
        std::fs::create_dir(&dead).unwrap();
        let other = parent.path().join("rekindle-binlogs-x");
        std::fs::create_dir(&other).unwrap();
        let first = Scratch::below(parent.path(), "20261122T150000Z-1f9c", "archive").unwrap();
        let second = Scratch::below(parent.path(), "20261122T150000Z-1f9c", "other").unwrap();
        assert!(!dead.exists() && other.exists() && first.path().exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
