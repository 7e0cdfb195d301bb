//! The server's process: found by the data directory on its command line, never by a remembered number alone.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::directory::SandboxDirectory;
use super::error::SandboxError;

/// How long the server may take to end by itself before it is killed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the kernel may take to clear a killed process away.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// How a server is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// TERM, so that it writes everything out; KILL when that takes longer than 30 s.
    Orderly,
    /// KILL at once, as a disaster would.
    Kill,
}

/// Finds the processes that work on this data directory: the server, or its installer.
pub(crate) fn find(directory: &SandboxDirectory) -> Vec<i32> {
    let data = directory.data();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| works_on(*pid, &data))
        .collect()
}

/// Tells whether a process is a server (or its installer) with this data directory. A zombie has no command line.
fn works_on(pid: i32, data: &Path) -> bool {
    let Ok(line) = fs::read(PathBuf::from(format!("/proc/{pid}/cmdline"))) else { return false };
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let wanted = format!("--datadir={}", data.display());
    let is_server = |word: &str| ["mariadbd", "mysqld"].iter().any(|name| word.ends_with(name));
    // The program stands before its first option, and before it what starts it: `setsid mariadbd --no-defaults …`, or a
    // dynamic loader with options of its own.
    let first = words.iter().position(|word| word == "--no-defaults");
    first.is_some_and(|at| at > 0 && is_server(&words[at - 1]) && words[at..].contains(&wanted.into()))
}

/// One process, by a descriptor that never comes to mean another one.
struct Process {
    pid: i32,
    descriptor: OwnedFd,
}

impl Process {
    /// Waits (blocking) until all its threads have ended and everything it had open is closed (`pidfd_open(2)`);
    /// until then its port is still taken. Tells whether that happened before the deadline.
    fn has_ended_by(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or_default();
            match poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return false,
                Ok(_) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Ends every server on the data directory, and returns when the last is gone with everything it had open.
pub(crate) async fn end(directory: &SandboxDirectory, ending: Ending) -> Result<(), SandboxError> {
    let owned = directory.clone();
    let ended = tokio::task::spawn_blocking(move || end_blocking(&owned, ending)).await;
    ended.map_err(|error| {
        SandboxError::io("end the server in", directory.path())(std::io::Error::other(error))
    })?
}

/// As [`end`], for a thread that may block.
pub(crate) fn end_blocking(directory: &SandboxDirectory, ending: Ending) -> Result<(), SandboxError> {
    let steps: &[(Signal, Duration)] = match ending {
        Ending::Orderly => &[(Signal::TERM, SHUTDOWN_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)],
        Ending::Kill => &[(Signal::KILL, KILL_TIMEOUT)],
    };
    let mut survivor = None;
    for (signal, timeout) in steps {
        let deadline = Instant::now() + *timeout;
        survivor = None;
        for process in open_all(directory) {
            let _ = pidfd_send_signal(&process.descriptor, *signal);
            if !process.has_ended_by(deadline) {
                survivor = Some(process.pid);
            }
        }
    }
    match survivor {
        None => Ok(()),
        Some(pid) => Err(SandboxError::DoesNotEnd { directory: directory.path().to_owned(), pid }),
    }
}

fn open_all(directory: &SandboxDirectory) -> Vec<Process> {
    let mut processes = Vec::new();
    for pid in find(directory) {
        let Some(raw) = Pid::from_raw(pid) else { continue };
        let Ok(descriptor) = pidfd_open(raw, PidfdFlags::empty()) else { continue };
        // Looked at again now that it is open: another process may have got the number meanwhile.
        if works_on(pid, &directory.data()) {
            processes.push(Process { pid, descriptor });
        }
    }
    processes
}
