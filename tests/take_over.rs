//! A runner that stood still while another machine took its run over: whatever it does next is refused.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use rekindle_emulators::{ACCESS_KEY, S3Server, SECRET_KEY};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Answer, Project};

/// Everything happens in the folder where the runner is, so what each of them did can be told apart.
const RUNBOOK: &str = "
apiVersion: rekindle/v1
kind: Runbook
name: move
version: 1.0.0
steps:
  - { id: move, run: [sh, -c, 'touch moving; until test -e go; do sleep 0.05; done'], on_crash: rerun }
  - { id: wipe, needs: [move], effect: destroy, run: [touch, wiped] }
finally:
  - { id: tidy, run: [touch, tidied] }
";

/// A machine that keeps its journals in a store.
fn machine(store: &str) -> Project {
    let project = Project::with_journal_in(store);
    project.write("runbooks/move.yaml", RUNBOOK);
    project
}

fn command(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command
}

/// The same command on a host of another name: what runs here can't be looked for there.
fn on_another_host(command: &Command) -> Command {
    let mut there = Command::new("unshare");
    there.args(["--user", "--map-root-user", "--uts", "sh", "-c", "hostname another && exec \"$@\"", "sh"]);
    there.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).env_clear();
    there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    there.current_dir(command.get_current_dir().unwrap());
    there
}

/// A runner that is woken up once, or ended with the test.
struct Asleep(Child);

impl Asleep {
    fn wake(mut self) -> Answer {
        kill_process(Pid::from_child(&self.0), Signal::CONT).unwrap();
        let mut stderr = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Answer { code: self.0.wait().unwrap().code(), stdout: String::new(), stderr }
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Begins the run, and stops its runner as a machine that is put to sleep does, while the step `move` is under way.
fn begin_and_stop(one: &Project) -> Asleep {
    let mut begin = command(one, &["run", "move", "-e", "here", "--yes"]);
    let runner = begin.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !has(one, "moving") {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&runner), Signal::STOP).unwrap();
    Asleep(runner)
}

fn events(project: &Project) -> serde_json::Value {
    Answer::from(command(project, &["runs", "show", "latest", "-e", "here", "--json"]).output().unwrap())
        .success()
        .json()["events"]
        .clone()
}

fn has(project: &Project, name: &str) -> bool {
    project.path().join(name).exists()
}

/// Takes a run over from a runner that stands still, wakes that one up, and sees that nothing comes of it.
fn take_over(store: &str) {
    let (one, other) = (machine(store), machine(store));
    let stopped = begin_and_stop(&one);

    // It is not known to be dead: its lease is waited for.
    other.write("go", "");
    let resume = command(&other, &["resume", "latest", "-e", "here"]);
    Answer::from(on_another_host(&resume).output().unwrap()).success();
    assert!(has(&other, "wiped") && has(&other, "tidied"));
    let before = events(&other);

    one.write("go", "");
    let refused = stopped.wake();
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("was taken over"), "{}", refused.stderr);
    assert!(!has(&one, "wiped") && !has(&one, "tidied"), "{}", refused.stderr);
    assert_eq!(events(&other), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_wakes_up_after_a_take_over_does_and_writes_nothing_more() {
    let server = S3Server::start("runs").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let in_s3 = format!(
        "url: 's3://runs', endpoint: '{}', path_style: true, region: eu-central-1",
        server.endpoint()
    );
    let in_file = format!("url: 'file://{}'", folder.path().display());
    // Side by side: each waits for a lease to run out.
    let each = [in_s3, in_file].map(|store| tokio::task::spawn_blocking(move || take_over(&store)));
    for taken in each {
        taken.await.unwrap();
    }
}
