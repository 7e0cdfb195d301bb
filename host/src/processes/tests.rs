use std::io::{BufRead as _, Read, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_engine::host::{
    CommandSpec, ExitReport, ProcessError, Processes, RunningProcess, Secret, Stdin, TerminateReason,
};
use rustix::process::{Pid, Signal, kill_process};

use super::SystemProcesses;
use crate::proc_stat::{ProcStat, live_group_members};

fn processes() -> SystemProcesses {
    SystemProcesses::new(None)
}

fn sh(script: &str) -> CommandSpec {
    CommandSpec::new("sh").args(["-c", script])
}

fn start(spec: &CommandSpec) -> Box<dyn RunningProcess> {
    processes().start(spec).unwrap()
}

fn read(process: &mut Box<dyn RunningProcess>) -> String {
    let mut text = String::new();
    process.take_stdout().unwrap().read_to_string(&mut text).unwrap();
    text
}

fn output(spec: &CommandSpec) -> (String, ExitReport) {
    let mut process = start(spec);
    let text = read(&mut process);
    (text, process.wait().unwrap())
}

fn wait_for_members(group: i32, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while live_group_members(group).len() < count {
        assert!(Instant::now() < deadline, "the group never had {count} members");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn output_error_text_and_exit_code_come_back() {
    let (stdout, report) = output(&sh("echo out; echo err >&2; exit 3"));
    assert_eq!(stdout, "out\n");
    assert_eq!(
        report,
        ExitReport { code: Some(3), signal: None, stderr: "err\n".to_owned(), left_children: false }
    );
}

#[test]
fn a_signal_is_told_from_an_exit_code() {
    let (_, report) = output(&sh("kill -9 $$"));
    assert_eq!((report.code, report.signal), (None, Some(9)));
}

#[test]
fn a_child_gets_the_short_environment_and_what_it_was_given() {
    let spec = CommandSpec { env: vec![("GIVEN".into(), "yes".into())], ..CommandSpec::new("env") };
    let (stdout, _) = output(&spec);
    let names: Vec<&str> = stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let known = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "GIVEN"];
    assert!(names.iter().all(|name| known.contains(name) || name.starts_with("LC_")), "{names:?}");
    assert!(names.contains(&"GIVEN") && names.contains(&"PATH"));
    // Cargo sets these for every test: proof that something was there to be left out.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
}

#[test]
fn a_child_that_does_not_read_its_input_is_no_error() {
    let spec = CommandSpec { stdin: Stdin::Bytes(vec![b'x'; 1 << 20]), ..CommandSpec::new("true") };
    assert!(output(&spec).1.success());
}

#[test]
fn a_child_reads_what_it_is_fed_to_its_end() {
    let spec = CommandSpec { stdin: Stdin::Bytes(vec![b'x'; 1 << 20]), ..sh("wc -c | tr -d ' '") };
    assert_eq!(output(&spec).0, "1048576\n");
}

#[test]
fn a_child_is_talked_to_while_it_runs() {
    let spec = CommandSpec { stdin: Stdin::Piped, ..sh("while read -r line; do echo \"heard $line\"; done") };
    let mut process = start(&spec);
    let mut stdin = process.take_stdin().unwrap();
    let mut stdout = std::io::BufReader::new(process.take_stdout().unwrap());
    for word in ["one", "two"] {
        writeln!(stdin, "{word}").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, format!("heard {word}\n"));
    }
    drop(stdin);
    assert!(process.wait().unwrap().success());
}

#[test]
fn an_input_that_nobody_took_ends_when_the_child_is_waited_for() {
    let spec = CommandSpec { stdin: Stdin::Piped, ..sh("cat") };
    assert!(start(&spec).wait().unwrap().success());
}

#[test]
fn children_that_outlive_their_parent_are_ended_and_told_of() {
    let (_, report) = output(&sh("sleep 1000 &"));
    assert!(report.success() && report.left_children);
}

#[test]
fn a_child_without_input_reads_the_end_at_once() {
    assert_eq!(output(&CommandSpec::new("cat")).0, "");
}

#[test]
fn a_flood_of_error_text_neither_blocks_nor_grows() {
    let script = "echo first >&2; i=0; while [ $i -lt 20000 ]; do echo 0123456789 >&2; i=$((i+1)); done; echo last >&2";
    let (_, report) = output(&sh(script));
    assert!(report.stderr.starts_with("first\n") && report.stderr.ends_with("last\n"));
    assert!(report.stderr.contains("bytes left out") && report.stderr.len() < 140_000);
}

#[test]
fn output_that_nobody_takes_blocks_nobody() {
    assert!(start(&sh("head -c 1000000 /dev/zero")).wait().unwrap().success());
}

#[test]
fn a_missing_program_is_named() {
    let error = processes().start(&CommandSpec::new("no-such-program-here")).err().unwrap();
    assert_eq!(error.to_string(), "there is no program `no-such-program-here` on PATH");
    assert!(matches!(error, ProcessError::NotFound { .. }));
}

#[test]
fn a_missing_folder_is_not_taken_for_a_missing_program() {
    let spec = CommandSpec { cwd: Some("/no/such/folder".into()), ..CommandSpec::new("true") };
    let error = processes().start(&spec).err().unwrap();
    assert_eq!(error.to_string(), "failed to run `true`: there is no folder /no/such/folder to run it in");
}

#[test]
fn a_relative_program_is_looked_for_in_the_folder_it_runs_in() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(processes().find("true").unwrap(), dir.path().join("here")).unwrap();
    let spec = CommandSpec { cwd: Some(dir.path().into()), ..CommandSpec::new("./here") };
    assert!(output(&spec).1.success());
}

#[test]
fn grandchildren_that_stay_behind_are_swept_and_do_not_hold_the_output() {
    let mut process = start(&sh("(trap '' TERM; sleep 1000 & sleep 1000) & sleep 1000 & echo done"));
    let group = process.process_group();
    assert_eq!(read(&mut process), "done\n");
    assert!(process.wait().unwrap().success());
    assert_eq!(live_group_members(group), Vec::<i32>::new());
}

#[test]
fn terminating_lets_a_child_tidy_up_within_its_grace() {
    let mut process = start(&sh("trap 'echo tidied; exit 7' TERM; echo ready; sleep 1000 & wait"));
    let mut stdout = process.take_stdout().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    process.terminator()(TerminateReason::Cancelled, Duration::from_secs(20));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "tidied\n");
    assert_eq!(process.wait().unwrap().code, Some(7));
}

#[test]
fn a_pipeline_that_ignores_term_is_killed_after_the_grace() {
    let process = start(&sh("trap '' TERM; sleep 1000 | sleep 1000 | sleep 1000"));
    let group = process.process_group();
    wait_for_members(group, 4);
    process.terminator()(TerminateReason::TimedOut, Duration::from_millis(50));
    assert_eq!(live_group_members(group), Vec::<i32>::new());
    assert_eq!(process.wait().unwrap().signal, Some(9));
}

#[test]
fn a_second_call_without_grace_cuts_the_first_short() {
    let process = start(&sh("trap '' TERM; sleep 1000 | sleep 1000"));
    wait_for_members(process.process_group(), 3);
    let (first, second) = (process.terminator(), process.terminator());
    let begun = Instant::now();
    let patient = std::thread::spawn(move || first(TerminateReason::Cancelled, Duration::from_secs(500)));
    std::thread::sleep(Duration::from_millis(50));
    second(TerminateReason::Cancelled, Duration::ZERO);
    patient.join().unwrap();
    assert!(begun.elapsed() < Duration::from_mins(1));
}

#[test]
fn terminating_what_has_ended_touches_nobody() {
    let process = start(&CommandSpec::new("true"));
    let terminate = process.terminator();
    assert!(process.wait().unwrap().success());
    terminate(TerminateReason::Abandoned, Duration::from_secs(500));
}

#[test]
fn dropping_a_child_ends_its_group() {
    let process = start(&sh("sleep 1000 | sleep 1000"));
    let group = process.process_group();
    wait_for_members(group, 3);
    drop(process);
    assert_eq!(live_group_members(group), Vec::<i32>::new());
}

#[test]
fn a_detached_server_leads_its_own_session_and_logs_to_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let pid = processes().start_detached(&sh("echo out; echo err >&2; exec sleep 1000"), &log).unwrap();
    let stat = ProcStat::read(pid).unwrap();
    assert_eq!((stat.session, stat.group), (pid, pid));
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::fs::read_to_string(&log).unwrap() != "out\nerr\n" && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "out\nerr\n");
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    // Collected: a zombie would look alive to `kill -0`.
    while ProcStat::read(pid).is_ok() {
        assert!(Instant::now() < deadline, "the server stays a zombie");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_detached_server_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spec = CommandSpec::new("no-such-server");
    let error = processes().start_detached(&spec, &dir.path().join("log")).err().unwrap();
    assert_eq!(error.to_string(), "there is no program `no-such-server` on PATH");
}

#[test]
fn a_private_file_is_readable_by_its_owner_alone_and_goes_with_its_guard() {
    let dir = tempfile::tempdir().unwrap();
    let processes = processes().private_dir(dir.path());
    let file = processes.private_file(&Secret::new("it's $ecret")).unwrap();
    let path = file.path().to_owned();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "it's $ecret");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(path.parent(), Some(dir.path()));
    drop(file);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_private_file_in_a_missing_folder_is_an_error() {
    let processes = processes().private_dir("/no/such/folder");
    assert!(processes.private_file(&Secret::new("x")).is_err());
}

#[test]
fn children_of_many_threads_do_not_disturb_each_other() {
    let processes = Arc::new(processes());
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let processes = Arc::clone(&processes);
            std::thread::spawn(move || {
                let mut process = processes.start(&sh(&format!("echo {number}; exit {number}"))).unwrap();
                let text = read(&mut process);
                assert_eq!(text, format!("{number}\n"));
                assert_eq!(process.wait().unwrap().code, Some(number));
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
