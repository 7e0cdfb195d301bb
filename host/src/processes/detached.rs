//! Servers that outlive this program: receives a command line, yields the pid of a session of its own.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::running::leader;
use crate::proc_stat::ProcStat;

/// How long `setsid` may take to become the server.
const SESSION_LIMIT: Duration = Duration::from_secs(5);

/// Starts `setsid PROGRAM ARGS…` (setsid(1), util-linux) with its output appended to `log`, and returns once
/// the child leads its own session.
///
/// `setsid` calls setsid(2) and then becomes the program, so the pid stays the same. It only does so, rather
/// than fork, when it doesn't lead a process group: that is why this child alone starts in ours.
pub(super) fn start(expression: &duct::Expression, log: &Path) -> io::Result<i32> {
    let log_file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let handle = expression.stdin_null().stderr_to_stdout().stdout_file(log_file).start()?;
    let pid = leader(&handle)?.as_raw_pid();
    // Collects it when it ends before we do: a zombie would look alive to whoever asks for its pid.
    thread::spawn(move || drop(handle.wait().map(|_| ())));
    wait_for_session(pid, log)?;
    Ok(pid)
}

/// Until then, Ctrl-C in our terminal would still reach it.
fn wait_for_session(pid: i32, log: &Path) -> io::Result<()> {
    let deadline = Instant::now() + SESSION_LIMIT;
    while Instant::now() < deadline {
        match ProcStat::read(pid) {
            Ok(stat) if stat.is_live() && stat.session == pid => return Ok(()),
            Ok(stat) if stat.is_live() => thread::sleep(Duration::from_millis(1)),
            Ok(_) | Err(_) => {
                return Err(io::Error::other(format!(
                    "it ended at once; its output is in {}",
                    log.display()
                )));
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "it did not get a session of its own"))
}
