//! What is left when a runner dies in the hardest way: a real process is killed with SIGKILL.
#![allow(clippy::unwrap_used, reason = "a test program")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rekindle_host::{ProcStat, live_group_members};
use rustix::process::{Pid, Signal, kill_process};

struct Victim {
    child: Child,
    group: i32,
    file: PathBuf,
    server: i32,
}

fn start(dir: &Path) -> Victim {
    let mut child = Command::new(env!("CARGO_BIN_EXE_host-fixture"))
        .arg("victim")
        .arg(dir)
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let [group, file, server] = words[..] else { panic!("the fixture said {line:?}") };
    Victim { child, group: group.parse().unwrap(), file: file.into(), server: server.parse().unwrap() }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Finds the reaper: a child of the victim in a group of its own.
fn children_of(parent: i32) -> Vec<i32> {
    std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

#[test]
fn a_killed_runner_leaves_no_process_and_no_file_but_its_servers() {
    let dir = tempfile::tempdir().unwrap();
    let mut victim = start(dir.path());
    eventually("the whole pipeline runs", || live_group_members(victim.group).len() >= 4);
    assert!(victim.file.exists());

    victim.child.kill().unwrap();
    victim.child.wait().unwrap();

    eventually("the pipeline is gone", || live_group_members(victim.group).is_empty());
    eventually("the private file is gone", || !victim.file.exists());
    let server = ProcStat::read(victim.server).unwrap();
    send(victim.server, Signal::KILL);
    assert!(server.is_live(), "a server that was started to stay was ended");
    assert_eq!(server.session, victim.server, "a server without a session of its own dies with the terminal");
}

#[test]
fn the_reaper_outlives_the_signals_that_are_meant_for_the_runner() {
    let dir = tempfile::tempdir().unwrap();
    let mut victim = start(dir.path());
    let runner = i32::try_from(victim.child.id()).unwrap();
    let reapers: Vec<i32> =
        children_of(runner).into_iter().filter(|pid| *pid != victim.group && *pid != victim.server).collect();
    let [reaper] = reapers[..] else { panic!("more than one candidate: {reapers:?}") };
    // It can be signalled before it is ready; it is ready soon after its start.
    eventually("the reaper catches its signals", || catches(reaper, Signal::HUP));

    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        send(reaper, signal);
    }
    victim.child.kill().unwrap();
    victim.child.wait().unwrap();

    eventually("the pipeline is gone", || live_group_members(victim.group).is_empty());
    eventually("the reaper is gone", || ProcStat::read(reaper).map_or(true, |stat| !stat.is_live()));
    send(victim.server, Signal::KILL);
}

/// Reads the mask of caught signals from `/proc/PID/status`.
fn catches(pid: i32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(mask, 16).unwrap() & (1 << (signal.as_raw() - 1)) != 0
}
