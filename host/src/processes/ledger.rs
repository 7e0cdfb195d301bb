//! The children of a run on disk: receives what starts and ends, yields those that still live after a crash.
//!
//! The reaper ends the children of a runner that is killed. This is for when the reaper was killed too: a run must
//! not go on beside a child of its last runner. One line a change: `+ GROUP TICKS BOOT PROGRAM`, `- GROUP`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rekindle_engine::host::{
    CommandSpec, ExitReport, PrivateFile, ProcessError, Processes, RunningProcess, Secret, Standby,
    TerminateReason,
};

use crate::identity::boot_id;
use crate::proc_stat::{ProcStat, live_group_members};

/// More is not ours.
const LEDGER_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// A child of an earlier runner that still lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivingChild {
    /// Its process group.
    pub group: i32,
    /// The program it was started as.
    pub program: String,
}

/// Reads a ledger and gives the children that still live. No ledger is an empty one.
///
/// # Errors
/// When it can't be read.
pub fn living_children(path: &Path) -> io::Result<Vec<LivingChild>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(LEDGER_LIMIT_BYTES).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let boot = boot_id()?;
    let mut open: BTreeMap<i32, (u64, &str, &str)> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.splitn(5, ' ');
        let (Some(sign), Some(Ok(group))) = (words.next(), words.next().map(str::parse)) else { continue };
        match (sign, words.next().map(str::parse), words.next(), words.next()) {
            ("+", Some(Ok(ticks)), Some(boot), Some(program)) => {
                open.insert(group, (ticks, boot, program));
            }
            ("-", ..) => {
                open.remove(&group);
            }
            // A line that a crash cut off.
            _ => {}
        }
    }
    let living = open.into_iter().filter(|(group, (ticks, when, _))| *when == boot && lives(*group, *ticks));
    Ok(living.map(|(group, (_, _, program))| LivingChild { group, program: program.to_owned() }).collect())
}

/// A leader with another start time is another process; one that is gone leaves its group's number to its members.
fn lives(group: i32, ticks: u64) -> bool {
    let same = ProcStat::read(group).map_or(true, |now| now.started_ticks == ticks);
    same && !live_group_members(group).is_empty()
}

/// Starts children and writes each down, with its end, so that a later runner can tell whether one still lives.
pub struct RecordedProcesses {
    inner: Arc<dyn Processes>,
    ledger: Arc<Mutex<File>>,
    boot: String,
}

impl RecordedProcesses {
    /// Begins an empty ledger. What an earlier one says must have been looked at before.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn begin(inner: Arc<dyn Processes>, path: &Path) -> io::Result<Self> {
        let ledger = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { inner, ledger: Arc::new(Mutex::new(ledger)), boot: boot_id()? })
    }
}

fn note(ledger: &Mutex<File>, line: &str) {
    // A full disk costs the safety net, not the child: the reaper is there first.
    if let Err(error) = ledger.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()) {
        tracing::warn!(%error, "a child could not be written down");
    }
}

impl Processes for RecordedProcesses {
    fn start(&self, spec: &CommandSpec) -> Result<Box<dyn RunningProcess>, ProcessError> {
        let inner = self.inner.start(spec)?;
        let group = inner.process_group();
        // One that has ended already is none to wait for.
        if let Ok(stat) = ProcStat::read(group) {
            let program = spec.program.to_string_lossy().replace(char::is_control, "?");
            note(&self.ledger, &format!("+ {group} {} {} {program}\n", stat.started_ticks, self.boot));
        }
        Ok(Box::new(Recorded { inner: Some(inner), group, ledger: Arc::clone(&self.ledger) }))
    }

    fn start_detached(&self, spec: &CommandSpec, log: &Path) -> Result<i32, ProcessError> {
        self.inner.start_detached(spec, log)
    }

    fn find(&self, program: &str) -> Option<std::path::PathBuf> {
        self.inner.find(program)
    }

    fn private_file(&self, contents: &Secret) -> io::Result<Box<dyn PrivateFile>> {
        self.inner.private_file(contents)
    }

    fn if_killed(&self, spec: &CommandSpec) -> Box<dyn Standby> {
        self.inner.if_killed(spec)
    }
}

struct Recorded {
    /// Gone once it was waited for.
    inner: Option<Box<dyn RunningProcess>>,
    group: i32,
    ledger: Arc<Mutex<File>>,
}

impl RunningProcess for Recorded {
    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>> {
        self.inner.as_mut()?.take_stdout()
    }

    fn take_stdin(&mut self) -> Option<Box<dyn Write + Send>> {
        self.inner.as_mut()?.take_stdin()
    }

    fn process_group(&self) -> i32 {
        self.group
    }

    fn terminator(&self) -> Arc<dyn Fn(TerminateReason, Duration) + Send + Sync> {
        match &self.inner {
            Some(inner) => inner.terminator(),
            None => Arc::new(|_, _| {}),
        }
    }

    fn wait(mut self: Box<Self>) -> Result<ExitReport, ProcessError> {
        match self.inner.take() {
            Some(inner) => inner.wait(),
            None => Err(ProcessError::Io {
                program: String::new(),
                source: io::Error::other("its end was reported before"),
            }),
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // Ends it, when nobody has waited.
        drop(self.inner.take());
        note(&self.ledger, &format!("- {}\n", self.group));
    }
}

#[cfg(test)]
mod tests {
    use super::{LivingChild, RecordedProcesses, living_children};
    use crate::processes::SystemProcesses;
    use rekindle_engine::host::{CommandSpec, Processes};
    use std::sync::Arc;

    fn recorded(path: &std::path::Path) -> RecordedProcesses {
        RecordedProcesses::begin(Arc::new(SystemProcesses::new(None)), path).unwrap()
    }

    #[test]
    fn a_child_is_told_while_it_lives_and_not_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("children");
        assert_eq!(living_children(&path).unwrap(), []);
        let processes = recorded(&path);
        let child = processes.start(&CommandSpec::new("sleep").arg("60")).unwrap();
        let expected = LivingChild { group: child.process_group(), program: "sleep".to_owned() };
        assert_eq!(living_children(&path).unwrap(), [expected]);
        drop(child);
        assert_eq!(living_children(&path).unwrap(), []);
    }

    #[test]
    fn a_child_of_before_the_boot_or_whose_number_was_used_again_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("children");
        let processes = recorded(&path);
        let child = processes.start(&CommandSpec::new("sleep").arg("60")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let (group, ticks, boot) = (words[1], words[2], words[3]);
        for line in [
            format!("+ {group} {ticks} another-boot sleep\n"),
            format!("+ {group} 1 {boot} sleep\n"),
            format!("+ {group} {ticks}"),
        ] {
            std::fs::write(&path, line).unwrap();
            assert_eq!(living_children(&path).unwrap(), []);
        }
        drop(child);
    }

    #[test]
    fn a_child_that_was_waited_for_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("children");
        let processes = recorded(&path);
        assert!(processes.start(&CommandSpec::new("true")).unwrap().wait().unwrap().success());
        assert_eq!(living_children(&path).unwrap(), []);
        assert!(
            std::fs::read_to_string(&path).unwrap().lines().last().is_none_or(|line| line.starts_with("- "))
        );
    }
}
