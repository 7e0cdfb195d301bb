//! Variables of real servers.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{Probe, Step as _};
use serde_json::{Value, json};

use super::*;
use crate::binlogs::testing::{Lab, ask};
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, server_of};

async fn lab(flavour: Flavour) -> (Lab, TempServer) {
    let server = server_of(flavour, "primary").await;
    (Lab::of(&[&server]), server)
}

fn params() -> Value {
    json!({ "target": "primary", "variables": { "max_binlog_size": 104_857_600, "binlog_expire_logs_seconds": 604_800 } })
}

const SHOWN: &str = "SELECT @@GLOBAL.max_binlog_size, CAST(@@GLOBAL.binlog_expire_logs_seconds AS SIGNED)";

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_set_read_back_and_shown_beforehand() {
    let (lab, server) = lab(Flavour::Mariadb).await;
    let found = lab.preflight(&Configure, params()).await;
    assert_eq!(found.problems, []);
    insta::assert_snapshot!(found.notes[1..3].join("\n"), @r"
    binlog_expire_logs_seconds: 0 → 604800
    max_binlog_size: 1073741824 → 104857600
    ");
    assert!(
        found.notes[3]
            .ends_with("put them into an option file of `primary` too, or name one by `defaults_file`")
    );
    assert_eq!(
        found.commands,
        ["SET GLOBAL binlog_expire_logs_seconds = 604800", "SET GLOBAL max_binlog_size = 104857600"]
    );
    let test = lab.cx();
    let read = || serde_json::from_value(params()).unwrap();
    assert_eq!(Configure.probe(&read(), &test.cx).await.unwrap(), Probe::Absent);

    let outputs = Configure.run(&read(), &test.cx).await.unwrap();

    assert_eq!((outputs.changed.len(), outputs.kept), (2, Kept::No));
    assert_eq!(ask(&server, SHOWN).await, "104857600|604800");
    assert_eq!(test.reporter.warnings(), found.notes[3..]);
    // Once more changes nothing.
    let nothing = ConfigureOutputs { changed: Vec::new(), kept: Kept::No };
    assert_eq!(Configure.probe(&read(), &test.cx).await.unwrap(), Probe::Complete(nothing.clone()));
    assert_eq!(lab.run(&Configure, params()).await.unwrap(), nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_keeps_them_for_a_server_that_can_not() {
    let (lab, _server) = lab(Flavour::Mariadb).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rekindle.cnf");
    let mut with_file = params();
    with_file["defaults_file"] = json!(path);
    assert_eq!(lab.run(&Configure, with_file.clone()).await.unwrap().kept, Kept::File);
    insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @"
    # Written by rekindle (mysql.configure) as a whole; put other options into another file.
    [mysqld]
    binlog_expire_logs_seconds = 604800
    max_binlog_size = 104857600
    ");
    // Lost, it is written again, though the server needs no change.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(lab.run(&Configure, with_file.clone()).await.unwrap().changed, []);
    assert!(path.exists());

    std::fs::write(&path, "[mysqld]\nport = 1\n").unwrap();
    let error = lab.run(&Configure, with_file).await.unwrap_err();
    assert!(error.message.ends_with("rekindle.cnf is not a file of rekindle's"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[mysqld]\nport = 1\n");
}

on_both!(what_a_server_does_not_take_as_it_is_is_no_success);
async fn what_a_server_does_not_take_as_it_is_is_no_success(flavour: Flavour) {
    let (lab, server) = lab(flavour).await;
    let before = ask(&server, SHOWN).await;
    let unknown = json!({ "target": "primary", "variables": { "max_binlog_siez": 1 } });
    let found = lab.preflight(&Configure, unknown.clone()).await;
    assert_eq!(found.problems[0].message, "`primary` has no variable `max_binlog_siez`");
    insta::assert_snapshot!(found.problems[0].code, @"rekindle::configure::not_possible");
    lab.run(&Configure, unknown).await.unwrap_err();
    assert_eq!(ask(&server, SHOWN).await, before);
    let odd = json!({ "target": "primary", "variables": { "max_binlog_size": 104_857_601 } });
    let error = lab.run(&Configure, odd).await.unwrap_err();
    insta::assert_snapshot!(error, @"`primary` made max_binlog_size 104857600 instead of 104857601");
}

mod a_server_that_keeps_variables_itself_needs_no_file {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        let server = server_of(Flavour::Mysql, "primary").await;
        let lab = Lab::of(&[&server]);
        let read = || serde_json::from_value(params()).unwrap();
        assert_eq!(Configure.probe(&read(), &lab.cx().cx).await.unwrap(), Probe::Absent);

        let outputs = lab.run(&Configure, params()).await.unwrap();

        assert_eq!((outputs.changed.len(), outputs.kept), (2, Kept::Persisted));
        let kept = std::fs::read_to_string(server.directory().join("data/mysqld-auto.cnf")).unwrap();
        assert!(kept.contains("max_binlog_size") && kept.contains("104857600"), "{kept}");
        let nothing = ConfigureOutputs { changed: Vec::new(), kept: Kept::Persisted };
        assert_eq!(Configure.probe(&read(), &lab.cx().cx).await.unwrap(), Probe::Complete(nothing));
    }
}
