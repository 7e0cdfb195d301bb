//! Who runs a run: receives this process or a journal's [`RunnerIdentity`], yields whether they still live.

use std::io;

use rekindle_engine::journal::{Liveness, RunnerIdentity};

use crate::proc_stat::ProcStat;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Tells who this process is, for the journal and for locks. `version` is rekindle's own.
///
/// # Errors
/// When `/proc` can't be read.
pub fn identity(version: &str) -> io::Result<RunnerIdentity> {
    let pid = std::process::id();
    Ok(RunnerIdentity {
        pid,
        started_ticks: ProcStat::read(as_pid(pid)?)?.started_ticks,
        boot_id: boot_id()?,
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        version: version.to_owned(),
    })
}

/// Tells whether the process still runs, on this host and since this boot.
///
/// A runner on another machine, or in another container of this one, reads as gone: whether it lives can only be
/// told there. Its lease speaks for it.
pub fn is_alive(runner: &RunnerIdentity) -> bool {
    is_here(runner)
        && as_pid(runner.pid)
            .and_then(ProcStat::read)
            .is_ok_and(|stat| stat.started_ticks == runner.started_ticks && stat.is_live())
}

/// Tells whether the process still runs, for locks that other machines reach too.
///
/// Only a process of this host name and this boot can be told to be gone: containers share the boot id of their
/// machine but not its processes, and they have names of their own.
pub fn liveness(runner: &RunnerIdentity) -> Liveness {
    match (is_here(runner), is_alive(runner)) {
        (false, _) => Liveness::Elsewhere,
        (true, true) => Liveness::Alive,
        (true, false) => Liveness::Gone,
    }
}

fn is_here(runner: &RunnerIdentity) -> bool {
    is_of_this_host(runner) && boot_id().is_ok_and(|boot| boot == runner.boot_id)
}

/// Tells whether the runner was on a host of this name.
pub fn is_of_this_host(runner: &RunnerIdentity) -> bool {
    rustix::system::uname().nodename().to_string_lossy() == runner.host.as_str()
}

pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string(BOOT_ID)?.trim().to_owned())
}

fn as_pid(pid: u32) -> io::Result<i32> {
    i32::try_from(pid).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is no pid")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive() {
        let me = identity("1.2.3").unwrap();
        assert_eq!(me.version, "1.2.3");
        assert!(is_alive(&me));
        assert_eq!(liveness(&me), Liveness::Alive);
    }

    #[test]
    fn a_pid_that_was_used_again_is_not_the_runner() {
        let mut me = identity("1.2.3").unwrap();
        me.started_ticks += 1;
        assert!(!is_alive(&me));
        assert_eq!(liveness(&me), Liveness::Gone);
    }

    #[test]
    fn nobody_here_can_tell_of_a_runner_on_another_host_or_before_the_boot() {
        let me = identity("1.2.3").unwrap();
        let there = RunnerIdentity { host: format!("not-{}", me.host), pid: u32::MAX, ..me.clone() };
        let before = RunnerIdentity { boot_id: "another".to_owned(), ..me };
        assert_eq!([liveness(&there), liveness(&before)], [Liveness::Elsewhere; 2]);
        let living = RunnerIdentity { host: there.host, ..identity("1.2.3").unwrap() };
        assert!(!is_alive(&living));
    }

    #[test]
    fn a_runner_from_before_the_boot_is_gone() {
        let mut me = identity("1.2.3").unwrap();
        me.boot_id = "00000000-0000-0000-0000-000000000000".to_owned();
        assert!(!is_alive(&me));
    }

    #[test]
    fn a_pid_that_can_not_be_is_gone() {
        let mut me = identity("1.2.3").unwrap();
        me.pid = u32::MAX;
        assert!(!is_alive(&me));
    }
}
