//! Step kinds of the user's own: the examples work, a changed or broken plugin is refused, nothing stays behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::Project;

const SEAL: &str = "canary-k4n'a\"ry";

/// The set-up of `examples/plugins`, with a folder of three files to work on.
fn example() -> Project {
    let project = Project::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins");
    for folder in ["plugins", "runbooks", "environments"] {
        fs::create_dir(project.path().join(folder)).unwrap();
        for entry in fs::read_dir(examples.join(folder)).unwrap().flatten() {
            fs::copy(entry.path(), project.path().join(folder).join(entry.file_name())).unwrap();
        }
    }
    let secret = project.write("secrets/seal", SEAL);
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    for name in ["files/a", "files/b", "files/deep/c"] {
        project.write(name, name);
    }
    project
}

const ENVIRONMENT: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: here\n";

/// A project with one plugin `acme.say` and a runbook that uses it.
fn project(plugin: &str) -> Project {
    let project = Project::new();
    write_plugin(&project, "acme.say", plugin);
    project.write("environments/here.yaml", ENVIRONMENT);
    project.write("runbooks/say.yaml", &runbook("{ id: say, uses: acme.say, with: { text: hello } }"));
    project
}

fn runbook(step: &str) -> String {
    format!("apiVersion: rekindle/v1\nkind: Runbook\nname: say\nversion: 1.0.0\nsteps:\n  - {step}\n")
}

fn write_plugin(project: &Project, kind: &str, text: &str) {
    let path = project.write("plugins/new", text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(path, project.path().join("plugins").join(format!("rekindle-step-{kind}"))).unwrap();
}

/// A plugin in shell that does `work` when it is asked to run.
fn shell(work: &str) -> String {
    let description = r#"{"type":"result","description":{"summary":"Says something.","params":{"type":"object","additionalProperties":false,"required":["text"],"properties":{"text":{"type":"string","description":"What to say."},"loud":{"type":"boolean"}}},"outputs":{"type":"object"}}}"#;
    format!(
        "#!/bin/sh\nprintf '%s\\n' '{{\"type\":\"hello\",\"protocol\":1,\"kind\":\"acme.say\",\"version\":\"1.0.0\"}}'\nread -r hello\nread -r request\ncase $request in\n*'\"describe\"'*) printf '%s\\n' '{description}' ;;\n*) {work} ;;\nesac\n"
    )
}

const DONE: &str = r#"printf '%s\n' '{"type":"result","outputs":{}}'"#;

/// What is said, without what differs from run to run.
fn scrubbed(project: &Project, text: &str) -> String {
    text.replace(project.path().to_str().unwrap(), "DIR")
}

fn check(project: &Project) -> String {
    scrubbed(project, &project.run(&["check", "say", "-e", "here"]).code(2).stderr)
}

#[test]
fn both_examples_keep_to_the_protocol() {
    let project = example();
    let test = |kind: &str| {
        let path = format!("plugins/rekindle-step-{kind}");
        project.run(&["plugin", "test", &path]).success().stdout
    };
    insta::assert_snapshot!("checksum_files", test("example.checksum-files"));
    insta::assert_snapshot!("disk_space", test("example.disk-space"));
}

#[test]
fn the_example_runbook_plans_and_runs_with_both_plugins() {
    let project = example();
    let args = ["seal", "-e", "local", "--set", "folder=files"];
    let plan = project.run(&[&["plan"], &args[..]].concat()).success().stdout;
    for shown in ["write the checksums of files to checksums.txt", "3 files", "df -kP ."] {
        assert!(plan.contains(shown), "`{shown}` is missing in\n{plan}");
    }
    let run = project.run(&[&["run"], &args[..]].concat()).success();
    let sums = fs::read_to_string(project.path().join("checksums.txt")).unwrap();
    assert_eq!(sums.lines().map(|line| &line[66..]).collect::<Vec<_>>(), ["a", "b", "deep/c"]);
    let checked = std::process::Command::new("sha256sum")
        .args(["-c", "../checksums.txt"])
        .current_dir(project.path().join("files"))
        .output()
        .unwrap();
    assert!(checked.status.success());
    assert!(project.path().join("checksums.txt.hmac").exists());
    let said = project.run(&["runs", "logs", "latest", "say"]).success().stdout;
    assert!(said.contains("3 files"), "{said}");
    for (path, bytes) in Project::snapshot(&project.path().join(".rekindle")) {
        assert!(!String::from_utf8_lossy(&bytes).contains("k4n"), "the secret is in {}", path.display());
    }
    assert!(!format!("{}{}{plan}", run.stdout, run.stderr).contains("k4n"));
}

#[test]
fn what_a_plugin_finds_wrong_while_planning_is_told_at_its_step() {
    let project = example();
    project.write(
        "runbooks/say.yaml",
        &runbook("{ id: space, uses: example.disk-space, with: { path: gone, min_free_mib: 1 } }"),
    );
    let wrong = project.run(&["plan", "say", "-e", "local"]).code(2).stderr;
    insta::assert_snapshot!(wrong);
}

/// Starts a run that rests between files, and waits until its first checkpoint is kept.
fn start_slow(project: &Project) -> std::process::Child {
    let mut runner = project
        .command(&["run", "seal", "-e", "local", "--log-format", "json"])
        .args(["--set", "folder=files", "--set", "pause_seconds=600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("checkpoint")).unwrap().unwrap();
    runner
}

/// Kills the runner with -9 and waits until the reaper has ended what it left.
fn kill(project: &Project, mut runner: std::process::Child) {
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until_alone(project);
}

#[track_caller]
fn wait_until_alone(project: &Project) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while processes_in(project.path()) > 0 {
        assert!(Instant::now() < deadline, "a process of the plugin lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn processes_in(folder: &Path) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let cwd = entries.filter_map(|entry| fs::read_link(entry.path().join("cwd")).ok());
    cwd.filter(|cwd| cwd.starts_with(folder)).count()
}

#[test]
fn a_killed_run_is_resumed_by_a_probe_and_goes_on_from_its_checkpoint() {
    let project = example();
    kill(&project, start_slow(&project));
    assert!(!project.path().join("checksums.txt").exists());
    // What is left to do is asked of the plugin anew; so that it does not rest, two of three files go.
    fs::remove_file(project.path().join("files/b")).unwrap();
    fs::remove_file(project.path().join("files/deep/c")).unwrap();

    let resumed = project.run(&["resume", "latest"]).success();

    assert!(resumed.stderr.contains("its effect is not there"), "{}", resumed.stderr);
    let said = project.run(&["runs", "logs", "latest", "checksums"]).success().stdout;
    assert!(said.contains("goes on after 1 files"), "{said}");
    let sums = fs::read_to_string(project.path().join("checksums.txt")).unwrap();
    assert_eq!(sums.lines().count(), 1);
}

#[test]
fn a_cancelled_run_asks_the_plugin_to_stop() {
    let project = example();
    let runner = start_slow(&project);
    rustix::process::kill_process(rustix::process::Pid::from_child(&runner), rustix::process::Signal::TERM)
        .unwrap();
    let before = Instant::now();
    assert_eq!(runner.wait_with_output().unwrap().status.code(), Some(143));
    assert!(before.elapsed() < Duration::from_secs(20));
    assert_eq!(processes_in(project.path()), 0);
    let runs = project.run(&["runs", "list", "--json"]).success().json();
    assert_eq!(runs[0]["status"], "cancelled");
}

/// The journals of all runs.
fn journals(project: &Project) -> Vec<String> {
    let files = Project::snapshot(&project.path().join(".rekindle/runs")).into_iter();
    let journals = files.filter(|(path, _)| path.ends_with("journal.jsonl"));
    journals.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
}

#[test]
fn a_plugin_that_was_changed_is_not_resumed_with() {
    let project = example();
    kill(&project, start_slow(&project));
    let path = project.path().join("plugins/rekindle-step-example.checksum-files");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("version=\"1.0.0\"", "version=\"1.0.1\"")).unwrap();
    let before = journals(&project);

    let refused = project.run(&["resume", "latest"]).code(1);

    assert!(refused.stderr.contains("`example.checksum-files`, which can't be used"), "{}", refused.stderr);
    assert!(refused.stderr.contains("then it was version 1.0.0, sha256 "), "{}", refused.stderr);
    assert!(refused.stderr.contains("now it is version 1.0.1"), "{}", refused.stderr);
    assert_eq!(journals(&project), before);
    // Put back, it goes on.
    fs::write(&path, text).unwrap();
    for name in ["files/b", "files/deep/c"] {
        fs::remove_file(project.path().join(name)).unwrap();
    }
    project.run(&["resume", "latest"]).success();
}

#[test]
fn a_saved_plan_is_refused_once_a_plugin_has_changed() {
    let project = project(&shell(DONE));
    project.run(&["plan", "say", "-e", "here", "-o", "plan.json"]).success();
    write_plugin(&project, "acme.say", &shell(&format!("{DONE} # another")));
    let refused = project.run(&["run", "plan.json"]).code(2).stderr;
    assert!(refused.contains("acme.say"), "{refused}");
    write_plugin(&project, "acme.say", &shell(DONE));
    project.run(&["run", "plan.json"]).success();
}

#[test]
fn a_plugin_is_started_only_when_a_runbook_names_its_kind() {
    let project = project(&shell(DONE));
    write_plugin(&project, "acme.broken", "#!/bin/sh\ntouch started\nsleep 1000\n");
    project.run(&["check", "say", "-e", "here"]).success();
    assert!(!project.path().join("started").exists());
}

#[test]
fn plugins_on_a_named_path_are_found_and_listed() {
    let project = project(&shell(DONE));
    fs::rename(project.path().join("plugins"), project.path().join("kinds")).unwrap();
    fs::create_dir(project.path().join("more")).unwrap();
    let unknown = check(&project);
    assert!(unknown.contains("there is no step kind `acme.say`"), "{unknown}");
    let list = project.run(&["--plugin-path", "more:kinds", "plugin", "list", "--json"]).success().json();
    assert_eq!((&list[0]["kind"], &list[0]["version"]), (&"acme.say".into(), &"1.0.0".into()));
    project.run(&["check", "say", "-e", "here", "--plugin-path", "kinds"]).success();
    let described = project.run(&["steps", "acme.say", "--plugin-path", "kinds"]).success().stdout;
    assert!(described.contains("Says something.") && described.contains("What to say."), "{described}");
    let wrong = project.run(&["steps", "--plugin-path", "nowhere"]).code(2).stderr;
    insta::assert_snapshot!(wrong, @"
    error: failed to look for plugins in nowhere: No such file or directory (os error 2)
    help: --plugin-path and REKINDLE_PLUGIN_PATH name folders, joined by `:`
    ");
}

#[test]
fn mistakes_in_its_parameters_are_found_before_it_runs() {
    let project = project(&shell(DONE));
    project
        .write("runbooks/say.yaml", &runbook("{ id: say, uses: acme.say, with: { txet: a, loud: very } }"));
    insta::assert_snapshot!(check(&project));
}

#[test]
fn a_plugin_that_others_can_write_is_refused() {
    let project = project(&shell(DONE));
    let path = project.path().join("plugins/rekindle-step-acme.say");
    fs::set_permissions(path, fs::Permissions::from_mode(0o757)).unwrap();
    insta::assert_snapshot!(check(&project));
}

#[test]
fn a_plugin_that_can_not_be_described_is_told_where_it_is_used() {
    insta::assert_snapshot!(check(&project("#!/bin/sh\necho Usage: say TEXT\n")));
}

#[test]
fn a_plugin_with_the_name_of_a_built_in_kind_is_refused() {
    let project = project(&shell(DONE));
    write_plugin(&project, "mysql.dump", &shell(DONE));
    project.write("runbooks/say.yaml", &runbook("{ id: say, uses: mysql.dump }"));
    insta::assert_snapshot!(check(&project));
}

/// Runs a plugin that does `work`, and gives what is said of it.
fn failed(work: &str) -> String {
    let project = project(&shell(work));
    let answer = project.run(&["run", "say", "-e", "here"]).code(1);
    wait_until_alone(&project);
    let end = answer.stderr.rsplit_once(" failed\n").unwrap().1;
    let lines = end.lines().filter(|line| !line.contains("rekindle resume"));
    scrubbed(&project, &lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_plugin_that_misbehaves_fails_its_step_with_a_clear_error() {
    insta::assert_snapshot!(failed("echo 'starting up...'; sleep 1000"), @"
    say: the plugin wrote a line that is no message: `starting up...`: expected value at line 1 column 1
    help: a plugin writes messages only to its standard output; its other words belong on standard error
    with --replan, where the runbook or environment had to be mended
    ");
    insta::assert_snapshot!(failed("echo 'no route' >&2; exit 7"), @"
    say: the plugin ended with exit code 7 before it gave a result: no route
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    with --replan, where the runbook or environment had to be mended
    ");
    insta::assert_snapshot!(failed(&format!("{DONE}; {DONE}; sleep 1000")), @"
    say: the plugin gave two results
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    with --replan, where the runbook or environment had to be mended
    ");
    insta::assert_snapshot!(failed("head -c 10485760 /dev/zero; sleep 1000"), @"
    say: the plugin wrote a line of more than 1048576 bytes
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    with --replan, where the runbook or environment had to be mended
    ");
}

#[test]
fn a_plugin_that_was_killed_with_its_runner_leaves_no_child() {
    let project = project(&shell("sleep 1000 & echo '{\"type\":\"log\",\"text\":\"begun\"}'; sleep 1000"));
    let mut runner = project
        .command(&["run", "say", "-e", "here", "--log-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("begun")).unwrap().unwrap();
    kill(&project, runner);
}
