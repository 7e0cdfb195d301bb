//! The reaper: a small process that ends what a runner leaves behind when it is killed with SIGKILL.
//!
//! The runner writes lines to the reaper's standard input: `+pgid N`, `-pgid N`, `+file PATH`, `-file PATH`,
//! `+exec WORDS`, `-exec WORDS` (a JSON list of texts). The kernel closes that pipe when the runner dies, however it
//! dies; then the reaper terminates the groups and removes the files that are still open, and runs the commands: a
//! server that the runner had stopped is started again. `PR_SET_PDEATHSIG` would reach direct children only.

mod program;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use program::reaper_main;

use crate::processes::inherited_environment;

/// The runner's end of a reaper process. Dropping it lets the reaper finish, and waits for that.
#[derive(Debug)]
pub struct Reaper {
    pipe: Mutex<Option<os_pipe::PipeWriter>>,
    handle: duct::Handle,
}

impl Reaper {
    /// Starts the reaper: `program` with `args`, which has to call [`reaper_main`] on its standard input.
    /// The program `rekindle` gives its own path and `__reaper`.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(program: PathBuf, args: impl IntoIterator<Item = impl Into<OsString>>) -> io::Result<Self> {
        let (reader, writer) = os_pipe::pipe()?;
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        // Its own group and no terminal: Ctrl-C must not reach it. No output: it outlives the runner, and
        // whoever reads the runner's output waits for its end. `/`: it must not keep a folder busy.
        let expression = duct::cmd(program, args)
            .stdin_file(reader)
            .stdout_null()
            .stderr_null()
            .dir("/")
            .full_env(inherited_environment())
            .unchecked()
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            });
        let handle = expression.start()?;
        // The expression holds the reading end; the reaper has its own copy.
        drop(expression);
        Ok(Self { pipe: Mutex::new(Some(writer)), handle })
    }

    pub(crate) fn add_group(&self, group: i32) {
        self.tell(format!("+pgid {group}\n").as_bytes());
    }

    pub(crate) fn remove_group(&self, group: i32) {
        self.tell(format!("-pgid {group}\n").as_bytes());
    }

    pub(crate) fn add_file(&self, path: &Path) {
        self.tell(&[b"+file ", path.as_os_str().as_bytes(), b"\n"].concat());
    }

    pub(crate) fn remove_file(&self, path: &Path) {
        self.tell(&[b"-file ", path.as_os_str().as_bytes(), b"\n"].concat());
    }

    /// Lets a command run when the runner is killed; `words` are the program and its arguments.
    pub(crate) fn add_command(&self, words: &[String]) {
        self.tell_command("+exec", words);
    }

    pub(crate) fn remove_command(&self, words: &[String]) {
        self.tell_command("-exec", words);
    }

    fn tell_command(&self, verb: &str, words: &[String]) {
        // A list of texts is always written on one line.
        if let Ok(words) = serde_json::to_string(words) {
            self.tell(format!("{verb} {words}\n").as_bytes());
        }
    }

    /// A dead reaper costs the safety net, not the run: it is said once and the run goes on.
    fn tell(&self, line: &[u8]) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = pipe.as_mut()
            && let Err(error) = writer.write_all(line)
        {
            tracing::warn!(%error, "the reaper is gone: children will survive if this program is killed");
            *pipe = None;
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        *self.pipe.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Err(error) = self.handle.wait() {
            tracing::debug!(%error, "the reaper could not be waited for");
        }
    }
}
