use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rekindle_engine::environment::Settings;
use rekindle_engine::host::{Processes, Secret};
use rekindle_engine::step::{ErrorClass, Planned, Probe, Step as _, StepError};
use rekindle_engine::testing;
use tokio_util::sync::CancellationToken;

use super::testing::CANARY_PASSWORD;
use super::*;
use crate::connection::Login;
use crate::testing::{on_both, planned, processes, server_of, world_of};
use crate::tool::run_tool;

mod flavours;

fn spec_in(directory: &Path) -> SandboxSpec {
    spec_of(Flavour::Mariadb, directory)
}

fn spec_of(flavour: Flavour, directory: &Path) -> SandboxSpec {
    let login = Login {
        target: "primary".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: free_port().unwrap(),
        user: "root".to_owned(),
        password: Some(Secret::new(CANARY_PASSWORD)),
        tls: None,
    };
    SandboxSpec { flavour, ..SandboxSpec::new(directory, login) }
}

/// Removes the server also when the test fails.
struct Cleanup<'a>(&'a Path);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        server_process::end_blocking(&SandboxDirectory::at(self.0).unwrap(), Ending::Kill).unwrap();
    }
}

async fn bring_up(spec: &SandboxSpec) -> Result<Running, SandboxError> {
    up(spec, &processes(), &CancellationToken::new()).await
}

on_both!(a_sandbox_comes_up_stays_up_comes_back_and_goes_away);
async fn a_sandbox_comes_up_stays_up_comes_back_and_goes_away(flavour: Flavour) {
    let folder = tempfile::tempdir().unwrap();
    // Longer than a socket's name may be.
    let directory = folder.path().join("x".repeat(120));
    let _cleanup = Cleanup(&directory);
    let spec = spec_of(flavour, &directory);

    let first = bring_up(&spec).await.unwrap();
    assert_eq!(server_pid(&directory), Some(first.pid));
    assert_eq!(bring_up(&spec).await.unwrap(), first, "one that runs is left alone");
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let mut server = spec.login.connect().await.unwrap();
    server.session.run("make a table", "CREATE DATABASE d").await.unwrap();
    stop(&directory, Ending::Kill).await.unwrap();
    assert_eq!(running(&spec).await.unwrap(), None);
    let second = bring_up(&spec).await.unwrap();
    assert_ne!(second.pid, first.pid);
    let mut server = spec.login.connect().await.unwrap();
    let kept: Option<String> = server.session.first("look", "SHOW DATABASES LIKE 'd'").await.unwrap();
    assert_eq!(kept.as_deref(), Some("d"), "a dead one is started again, not made anew");

    let listed = list(folder.path()).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].port, listed[0].pid), (spec.login.port, Some(second.pid)));

    down(&directory).await.unwrap();
    assert!(!directory.exists());
    assert!(server_process::find(&SandboxDirectory::at(&directory).unwrap()).is_empty());
    down(&directory).await.unwrap();
}

on_both!(nobody_enters_without_the_password_and_it_stands_nowhere);
async fn nobody_enters_without_the_password_and_it_stands_nowhere(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let command_line = fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    let environment = fs::read(format!("/proc/{}/environ", server.pid())).unwrap();
    let log = fs::read(server.log_path()).unwrap();
    for text in [command_line, environment, log] {
        assert!(!String::from_utf8_lossy(&text).contains("ss\\$w"));
    }
    let reserved = match flavour {
        Flavour::Mariadb => "mariadb.sys",
        Flavour::Mysql => "mysql.sys",
    };
    for (user, password) in [("root", None), ("root", Some("wrong")), ("", None), (reserved, None)] {
        let login =
            Login { user: user.to_owned(), password: password.map(Secret::new), ..server.login().clone() };
        let error = login.connect().await.err().unwrap();
        assert_eq!(error.code(), "rekindle::target::access_denied", "{user}: {error}");
    }
    let mut open = server.login().connect().await.unwrap();
    let ask = match flavour {
        Flavour::Mariadb => "SELECT @@gtid_binlog_pos",
        Flavour::Mysql => "SELECT @@GLOBAL.gtid_executed",
    };
    let position: String = open.session.row("look", ask).await.unwrap();
    assert_eq!(position, "", "its making left no transaction behind");
}

on_both!(the_client_program_reads_our_option_file);
async fn the_client_program_reads_our_option_file(flavour: Flavour) {
    let processes = processes();
    let server = server_of(flavour, "primary").await;
    let options = crate::client_options::ClientOptions::new(server.login(), server.flavour()).unwrap();
    let file = processes.private_file(options.text()).unwrap();
    let client = match flavour {
        Flavour::Mariadb => "mariadb",
        Flavour::Mysql => "mysql",
    };
    let command = rekindle_engine::host::CommandSpec::new(client)
        .arg(format!("--defaults-file={}", file.path().display()))
        .args(["-NBe", "SELECT CURRENT_USER()"]);
    let end = run_tool(&processes, command, &CancellationToken::new()).await.unwrap();
    assert!(end.report.success(), "{}", end.report.stderr);
    assert_eq!(end.stdout.trim(), "root@127.0.0.1");
}

on_both!(a_half_made_sandbox_is_made_anew);
async fn a_half_made_sandbox_is_made_anew(flavour: Flavour) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("s");
    let _cleanup = Cleanup(&directory);
    let spec = spec_of(flavour, &directory);
    // As a crash in the middle of the installer leaves it.
    let half = SandboxDirectory::at(&directory).unwrap();
    half.create().unwrap();
    half.mark(&Marker { format: 1, initialised: false, port: 1, server_id: 1, flavour }).unwrap();
    fs::create_dir(half.data()).unwrap();
    fs::write(half.data().join("ibdata1"), b"rubbish").unwrap();

    bring_up(&spec).await.unwrap();

    down(&directory).await.unwrap();
}

#[tokio::test]
async fn a_directory_with_something_else_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), b"years of work").unwrap();
    let spec = spec_in(folder.path());
    let text = |error: SandboxError| {
        assert_eq!(error.code(), "rekindle::sandbox::foreign_directory");
        error.to_string().replace(&folder.path().display().to_string(), "DIR")
    };
    insta::assert_snapshot!(text(bring_up(&spec).await.unwrap_err()), @"`DIR` is not empty and is no sandbox of rekindle");
    text(down(folder.path()).await.unwrap_err());
    assert!(folder.path().join("thesis.txt").exists());
}

#[tokio::test]
async fn a_taken_port_is_named_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("s");
    let mut spec = spec_in(&directory);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    spec.login.port = listener.local_addr().unwrap().port();
    let error = bring_up(&spec).await.unwrap_err();
    assert!(matches!(error, SandboxError::PortTaken { .. }), "{error}");
    assert!(!directory.exists());
}

on_both!(a_server_that_dies_while_starting_is_told_by_its_log_and_leaves_no_process);
async fn a_server_that_dies_while_starting_is_told_by_its_log_and_leaves_no_process(flavour: Flavour) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("s");
    let _cleanup = Cleanup(&directory);
    let mut spec = spec_of(flavour, &directory);
    spec.options = vec!["--no-such-option=1".to_owned()];
    let error = bring_up(&spec).await.unwrap_err();
    let SandboxError::Died { why, .. } = &error else { panic!("{error}") };
    assert!(why.contains("no-such-option"), "{why}");
    assert_eq!(StepError::from(error).class, ErrorClass::Permanent);
    assert_eq!(server_pid(&directory), None);
}

#[test]
fn options_that_break_the_promises_are_refused() {
    for option in ["--datadir=/tmp", "--bind_address=0.0.0.0", "--skip-grant-tables", "-P1", "x"] {
        assert!(commands::refuse_option(option).is_some(), "{option}");
    }
    assert_eq!(commands::refuse_option("--max-connections=5"), None);
}

#[tokio::test]
async fn preflight_finds_what_is_wrong_before_anything_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = rekindle_engine::environment::Target {
        host: "db.example.com".to_owned(),
        port: 3306,
        user: "root".to_owned(),
        password: None,
        tls: None,
        local: None,
    };
    let directory = folder.path().join("s").display().to_string();
    let params = serde_json::json!({ "target": "primary", "directory": directory });
    let world = testing::world();
    for tool in ["mariadb-install-db", "mariadbd"] {
        world.processes.answer(tool, testing::Answer::success(""));
    }
    let look = async |target: &rekindle_engine::environment::Target| {
        let settings =
            Settings { targets: [("primary".into(), target.clone())].into(), ..Settings::default() };
        let cx = testing::context(&world).settings(settings).preflight([]);
        Sandbox.preflight(&planned(&params), &cx).await.problems.pop().map(|problem| problem.message)
    };
    insta::assert_snapshot!(look(&target).await.unwrap(), @"a sandbox only runs on this machine, but `primary` is at `db.example.com`");
    target.host = "127.0.0.1".to_owned();
    target.password = Some(rekindle_engine::environment::SecretRef { secret: "root".into() });
    insta::assert_snapshot!(look(&target).await.unwrap(), @"the environment has no secret `root`");
}

on_both!(the_step_is_complete_once_it_runs_and_plans_without_secrets);
async fn the_step_is_complete_once_it_runs_and_plans_without_secrets(flavour: Flavour) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("s");
    let _cleanup = Cleanup(&directory);
    let spec = spec_of(flavour, &directory);
    let (world, settings) = world_of(&[("primary", &spec.login)]);
    let test = testing::context(&world).settings(settings).build();
    let params = serde_json::json!({
        "target": "primary", "directory": directory.display().to_string(), "flavour": flavour,
        "replication": { "user": "replication", "password": { "secret": "root" } },
    });
    let planned: Planned<SandboxParams> = planned(&params);
    let params = planned.get().unwrap();
    let intent = Sandbox.plan(&planned).unwrap();
    assert_eq!(intent.provides, ["primary".into()]);

    assert_eq!(Sandbox.probe(params, &test.cx).await.unwrap(), Probe::Absent);
    let outputs = Sandbox.run(params, &test.cx).await.unwrap();
    assert_eq!(Sandbox.probe(params, &test.cx).await.unwrap(), Probe::Complete(outputs));

    let gone = SandboxParams { state: SandboxState::Absent, ..params.clone() };
    assert_eq!(Sandbox.probe(&gone, &test.cx).await.unwrap(), Probe::Absent);
    let outputs = Sandbox.run(&gone, &test.cx).await.unwrap();
    assert_eq!(outputs.pid, None);
    assert_eq!(Sandbox.probe(&gone, &test.cx).await.unwrap(), Probe::Complete(outputs));
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_cancelled_start_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("s");
    let _cleanup = Cleanup(&directory);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let world: Arc<dyn Processes> = processes();
    let error = up(&spec_in(&directory), &world, &cancel).await.unwrap_err();
    assert!(matches!(error, SandboxError::Cancelled), "{error}");
    assert_eq!(server_pid(&directory), None);
}
