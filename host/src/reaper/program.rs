//! What the reaper process does: reads lines, keeps the open groups and files, cleans up at end-of-file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

use crate::proc_stat::{ProcStat, live_group_members};

/// How long groups get between TERM and KILL, and how long KILL is watched.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is still open: groups with the start time of their leader, files, and commands that are to run then.
#[derive(Debug, Default, PartialEq, Eq)]
struct Open {
    groups: BTreeMap<i32, Option<u64>>,
    files: BTreeSet<PathBuf>,
    commands: BTreeSet<Vec<String>>,
}

/// Runs the reaper until `input` ends, then terminates what is still open (TERM, 2 s, KILL) and returns.
///
/// SIGINT, SIGTERM and SIGHUP are ignored from here on: they are meant for the runner, and the reaper has to
/// outlive it.
///
/// # Errors
/// When the signals can't be ignored; nothing was read then. A broken `input` counts as its end.
pub fn reaper_main(input: impl Read) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    // A handler, once there, stays for the life of the process: that nobody listens is the point.
    let _listening = {
        let _context = runtime.enter();
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]
    };
    let mut open = Open::default();
    for line in BufReader::new(input).split(b'\n') {
        let Ok(line) = line else { break };
        open.note(&line);
    }
    open.clean_up();
    Ok(())
}

impl Open {
    /// Takes one line; what it doesn't know is from a newer runner and left alone.
    fn note(&mut self, line: &[u8]) {
        let Some((verb, rest)) = line.split_at_checked(6) else { return };
        let group = || std::str::from_utf8(rest).ok()?.parse::<i32>().ok().filter(|group| *group > 1);
        let path = || PathBuf::from(OsStr::from_bytes(rest));
        let command = || serde_json::from_slice::<Vec<String>>(rest).ok();
        match verb {
            b"+pgid " => {
                if let Some(group) = group() {
                    let started = ProcStat::read(group).ok().map(|stat| stat.started_ticks);
                    self.groups.insert(group, started);
                }
            }
            b"-pgid " => {
                if let Some(group) = group() {
                    self.groups.remove(&group);
                }
            }
            b"+file " => drop(self.files.insert(path())),
            b"-file " => drop(self.files.remove(&path())),
            b"+exec " => drop(command().is_some_and(|words| self.commands.insert(words))),
            b"-exec " => drop(command().is_some_and(|words| self.commands.remove(&words))),
            _ => {}
        }
    }

    fn clean_up(self) {
        // Files first: they hold secrets and take no time.
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        end(self.groups);
        // Last: what a killed runner has stopped is started again, after its children have let go of it.
        for words in &self.commands {
            run(words);
        }
    }
}

/// Starts a command and waits for it, so that it has a parent until it has done what it has to.
fn run(words: &[String]) {
    let Some((program, arguments)) = words.split_first() else { return };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    // Nobody is left to be told when it fails: a run that is resumed finds out.
    let _ = command.status();
}

fn end(groups: BTreeMap<i32, Option<u64>>) {
    let groups: Vec<i32> = groups
        .into_iter()
        .filter(|(group, started)| is_still_the_same(*group, *started))
        .map(|(group, _)| group)
        .collect();
    for sent in [Signal::TERM, Signal::KILL] {
        for group in &groups {
            if let Some(group) = Pid::from_raw(*group) {
                let _ = kill_process_group(group, sent);
            }
        }
        if gone_within(&groups, GRACE) {
            return;
        }
    }
}

/// A pid whose start time changed belongs to somebody else now. A leader that is gone is no sign of that:
/// the kernel doesn't give its pid away as long as its group has members.
fn is_still_the_same(group: i32, started: Option<u64>) -> bool {
    match (ProcStat::read(group), started) {
        (Ok(now), Some(started)) => now.started_ticks == started,
        // It was gone when we heard of it, so whoever has the pid now is another.
        (Ok(_), None) => false,
        (Err(_), _) => true,
    }
}

fn gone_within(groups: &[i32], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if groups.iter().all(|group| live_group_members(*group).is_empty()) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_and_closed_is_not_open() {
        let mut open = Open::default();
        for line in ["+pgid 999999999", "+file /a b", "+file /c", "-file /a b", "-pgid 999999999"] {
            open.note(line.as_bytes());
        }
        assert_eq!(
            open,
            Open { groups: BTreeMap::new(), files: BTreeSet::from([PathBuf::from("/c")]), ..Open::default() }
        );
    }

    #[test]
    fn a_command_that_was_not_called_off_runs_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut open = Open::default();
        for name in ["kept", "called off"] {
            let words =
                serde_json::to_string(&["touch", folder.path().join(name).to_str().unwrap()]).unwrap();
            open.note(format!("+exec {words}").as_bytes());
            if name == "called off" {
                open.note(format!("-exec {words}").as_bytes());
            }
        }
        open.clean_up();
        assert!(folder.path().join("kept").exists() && !folder.path().join("called off").exists());
    }

    #[test]
    fn odd_lines_are_left_alone() {
        let mut open = Open::default();
        // 0 and 1 and negative numbers would reach our own group, init, or everything.
        for line in ["", "+", "+pgid ", "+pgid x", "+pgid 0", "+pgid 1", "+pgid -1", "what is this"] {
            open.note(line.as_bytes());
        }
        assert_eq!(open, Open::default());
    }

    #[test]
    fn a_pid_that_was_used_again_is_spared() {
        let me = i32::try_from(std::process::id()).unwrap();
        let started = ProcStat::read(me).unwrap().started_ticks;
        assert!(is_still_the_same(me, Some(started)));
        assert!(!is_still_the_same(me, Some(started - 1)));
        assert!(!is_still_the_same(me, None));
    }
}
