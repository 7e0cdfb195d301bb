//! A child that runs: receives a started duct handle, yields its end, and leaves no member of its group.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rekindle_engine::host::{ExitReport, ProcessError, RunningProcess, TerminateReason};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::Started;
use super::capture::Drain;
use crate::proc_stat::live_group_members;
use crate::reaper::Reaper;

/// How long leftovers of a child that ended by itself get between TERM and KILL.
const SWEEP_GRACE: Duration = Duration::from_millis(500);
/// How long a dropped child gets between TERM and KILL.
const DROP_GRACE: Duration = Duration::from_secs(2);
/// How long KILL is watched: only a process stuck inside the kernel takes longer.
const KILL_LIMIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct State {
    /// The leader was collected: from now on its pid may be somebody else's, so nothing may be signalled.
    ended: bool,
    report: Option<io::Result<ExitReport>>,
    /// When somebody asked it to end: until when it may do so in peace.
    grace_until: Option<Instant>,
}

#[derive(Debug)]
struct Group {
    id: Pid,
    state: Mutex<State>,
    changed: Condvar,
}

impl Group {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, state: &State, signal: Signal) {
        if !state.ended {
            // ESRCH (it just ended) is fine.
            let _ = kill_process_group(self.id, signal);
        }
    }

    fn has_live_members(&self) -> bool {
        !live_group_members(self.id.as_raw_pid()).is_empty()
    }

    /// TERM, wait, KILL, wait. A later call with a shorter grace shortens an earlier one.
    fn terminate(&self, reason: TerminateReason, grace: Duration) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        tracing::debug!(?reason, group = self.id.as_raw_pid(), "terminating a process group");
        let until = Instant::now() + grace;
        state.grace_until = Some(state.grace_until.map_or(until, |earlier| earlier.min(until)));
        self.signal(&state, Signal::TERM);
        self.changed.notify_all();
        while !state.ended {
            let left =
                state.grace_until.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.signal(&state, Signal::KILL);
        let waited = self.changed.wait_timeout_while(state, KILL_LIMIT, |state| !state.ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends what the leader left behind. Called while the leader is a zombie, which keeps the group's id ours.
    /// Tells whether there was something.
    fn sweep(&self) -> bool {
        if !self.has_live_members() {
            return false;
        }
        let sweep_until = Instant::now() + SWEEP_GRACE;
        self.signal(&self.lock(), Signal::TERM);
        while self.has_live_members() && Instant::now() < self.lock().grace_until.unwrap_or(sweep_until) {
            thread::sleep(LOOK_EVERY);
        }
        self.signal(&self.lock(), Signal::KILL);
        let kill_until = Instant::now() + KILL_LIMIT;
        while self.has_live_members() && Instant::now() < kill_until {
            thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// Waits for the leader, without collecting it.
    fn wait_for_leader(&self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(self.id), options).is_err_and(|error| error == Errno::INTR) {}
    }

    /// Follows the child to its end, in a thread of its own: leftovers hold its standard output, and the one
    /// who reads that would otherwise wait for ever.
    fn watch(&self, handle: &duct::Handle, stderr: &Drain, reaper: Option<&Reaper>) {
        self.wait_for_leader();
        let left_children = self.sweep();
        let stderr = stderr.finish(SWEEP_GRACE);
        if let Some(reaper) = reaper {
            reaper.remove_group(self.id.as_raw_pid());
        }
        let mut state = self.lock();
        // Returns at once: the leader has ended.
        state.report = Some(handle.wait().map(|output| ExitReport {
            code: output.status.code(),
            signal: output.status.signal(),
            stderr,
            left_children,
        }));
        state.ended = true;
        self.changed.notify_all();
    }
}

/// A child in its own process group.
pub(super) struct Running {
    program: String,
    stdin: Option<os_pipe::PipeWriter>,
    stdout: Option<os_pipe::PipeReader>,
    group: Arc<Group>,
}

impl Running {
    pub(super) fn follow(program: String, started: Started, reaper: Option<Arc<Reaper>>) -> io::Result<Self> {
        let Started { handle, stdin, stdout, stderr } = started;
        let id = leader(&handle)?;
        if let Some(reaper) = &reaper {
            reaper.add_group(id.as_raw_pid());
        }
        let group = Arc::new(Group { id, state: Mutex::default(), changed: Condvar::new() });
        let stderr = Drain::start(stderr);
        let watched = Arc::clone(&group);
        thread::spawn(move || watched.watch(&handle, &stderr, reaper.as_deref()));
        Ok(Self { program, stdin, stdout: Some(stdout), group })
    }
}

/// Gives the pid of the one child of a handle.
pub(super) fn leader(handle: &duct::Handle) -> io::Result<Pid> {
    let pid = handle.pids().first().and_then(|pid| i32::try_from(*pid).ok()).and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("the child has no process id"))
}

impl RunningProcess for Running {
    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>> {
        self.stdout.take().map(|stdout| Box::new(stdout) as Box<dyn Read + Send>)
    }

    fn take_stdin(&mut self) -> Option<Box<dyn Write + Send>> {
        self.stdin.take().map(|stdin| Box::new(stdin) as Box<dyn Write + Send>)
    }

    fn process_group(&self) -> i32 {
        self.group.id.as_raw_pid()
    }

    fn terminator(&self) -> Arc<dyn Fn(TerminateReason, Duration) + Send + Sync> {
        let group = Arc::clone(&self.group);
        Arc::new(move |reason, grace| group.terminate(reason, grace))
    }

    fn wait(mut self: Box<Self>) -> Result<ExitReport, ProcessError> {
        // Nobody writes to it any more: it sees the end of its input.
        drop(self.stdin.take());
        // Nobody wants its output: read it away, so that it doesn't wait for a reader.
        if let Some(mut stdout) = self.stdout.take() {
            thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        }
        let waited = self.group.changed.wait_while(self.group.lock(), |state| !state.ended);
        let report = waited.unwrap_or_else(PoisonError::into_inner).report.take();
        report
            .unwrap_or_else(|| Err(io::Error::other("its end was reported before")))
            .map_err(|source| ProcessError::Io { program: self.program.clone(), source })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Closed first: a child that writes to it then learns that nobody reads.
        drop((self.stdin.take(), self.stdout.take()));
        self.group.terminate(TerminateReason::Abandoned, DROP_GRACE);
    }
}
