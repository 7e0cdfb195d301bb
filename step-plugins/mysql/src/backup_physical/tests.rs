//! Copies of real servers, and tools that misbehave.

use std::sync::Arc;

use rekindle_backup::manifest::{BackupKind, Flavour};
use rekindle_backup::physical::{Method, StreamFormat};
use rekindle_engine::host::{ObjectStore as _, TerminateReason};
use rekindle_engine::step::{ErrorClass, Probe, Step as _, StepError};
use rekindle_engine::testing::{Answer, FakeProcesses, context};
use serde_json::json;

use super::*;
use crate::physical_testing::{Bench, ask, bench, key, tell};
use crate::sandbox::testing::{CANARY_PASSWORD, TempServer};
use crate::testing::{on_both, planned, position_query, processes, server_of, shop_of};

async fn shop() -> TempServer {
    shop_on(Flavour::Mariadb).await
}

async fn shop_on(flavour: Flavour) -> TempServer {
    let server = server_of(flavour, "source").await;
    tell(server.login(), &shop_of(flavour)).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_is_copied_and_the_manifest_says_where_it_stands() {
    let server = shop().await;
    let bench = bench(&[("source", &server)]);
    let params =
        serde_json::from_value(json!({ "target": "source", "store": "primary", "name": "base", "id": "b1" }))
            .unwrap();
    assert_eq!(BackupPhysical.probe(&params, &bench.cx().cx).await.unwrap(), Probe::Absent);

    let copied = bench.publish("b1", json!({})).await;

    assert_eq!(BackupPhysical.probe(&params, &bench.cx().cx).await.unwrap(), Probe::Complete(copied.clone()));
    let manifest = bench.manifest("b1");
    let physical = manifest.physical.clone().unwrap();
    assert_eq!(
        (manifest.kind, physical.method, physical.format),
        (BackupKind::Physical, Method::Hot, StreamFormat::Mbstream)
    );
    assert_eq!((physical.from_lsn, physical.base, physical.inventory_is_whole), (Some(0), None, true));
    assert!(
        physical.to_lsn > Some(0) && physical.last_lsn >= physical.to_lsn,
        "{physical:?}",
        physical = physical.to_lsn
    );
    assert!(physical.files > 50, "{}", physical.files);
    assert_eq!(copied.tables, 3);
    assert_eq!(copied.gtid, ask(server.login(), "SELECT @@gtid_binlog_pos").await);
    assert_eq!(manifest.consistent_point.gtid.as_deref(), Some(copied.gtid.as_str()));
    let log = ask(server.login(), "SELECT CAST(@@log_bin_basename AS CHAR)").await;
    assert!(log.ends_with("/bin") && manifest.consistent_point.binlog_file.as_deref() == Some("bin.000001"));
    let text = bench.store.object(&key("b1", "RESTORE.txt")).unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains("mkdir files; zcat base.mbstream.gz | mbstream -x -C files\n    mariadb-backup --prepare --target-dir=files"), "{text}");
    let command = &manifest.tools[0].command;
    assert!(
        command.starts_with("mariadb-backup --defaults-file=LOGIN --backup")
            && !command.contains(CANARY_PASSWORD)
    );
    bench.verify("b1", "objects").await.unwrap();
    bench.verify("b1", "content").await.unwrap();

    let error = bench.copy("b1", &json!({})).await.unwrap_err();
    insta::assert_snapshot!(error, @"backup://primary/shop/b1 is published already: nothing is added to it");
    let stream = key("b1", "base.mbstream.gz");
    assert!(bench.store.flip_byte(&stream, usize::try_from(copied.size_bytes / 2).unwrap()));
    assert!(bench.verify("b1", "objects").await.is_err());
    let error = bench.verify("b1", "content").await.unwrap_err();
    assert!(error.message.contains("`base.mbstream.gz` is damaged: its sha256 is "), "{error}");
    assert!(error.message.contains("; `base.mbstream.gz`: "), "{error}");
}

const VERSION: &str = "mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)";

/// Runs a backup whose tool answers as told; the server is real.
async fn with_tool(
    bench: &Bench,
    server: &TempServer,
    answer: Answer,
) -> (FakeProcesses, Result<Outputs, StepError>) {
    let fake = bench.world.processes.clone();
    let version = ask(server.login(), "SELECT VERSION()").await;
    let version = VERSION.replace("10.11.19", version.split('-').next().unwrap());
    fake.respond("mariadb-backup", move |spec| {
        let asked = spec.args.iter().any(|arg| arg == "--version");
        if asked { Answer::success("").stderr(version.clone()) } else { answer.clone() }
    });
    let mut world = bench.world.clone();
    world.world.processes = Arc::new(fake.clone());
    let test = context(&world).settings(bench.settings.clone()).build();
    let params = json!({ "target": "source", "store": "primary", "name": "base", "id": "b2" });
    let result = BackupPhysical.run(&serde_json::from_value(params).unwrap(), &test.cx).await;
    (fake, result)
}

async fn whole_stream(bench: &Bench) -> Vec<u8> {
    bench.copy("b1", &json!({})).await.unwrap();
    let object = bench.store.object(&key("b1", "base.mbstream.gz")).unwrap();
    let mut stream = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&object[..]), &mut stream).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_proven_whole_leaves_nothing() {
    let server = shop().await;
    let bench = bench(&[("source", &server)]);
    let stream = whole_stream(&bench).await;
    let done = "[00] 2026-11-28 15:30:19 completed OK!\n";
    let refused = async |answer: Answer| {
        let (_, result) = with_tool(&bench, &server, answer).await;
        assert!(bench.store.keys().iter().all(|key| !key.contains("/b2/")), "{:?}", bench.store.keys());
        result.unwrap_err().message
    };
    insta::assert_snapshot!(refused(Answer::success(stream.clone())).await, @"mariadb-backup gave no backup that counts: it ended with 0, but did not say `completed OK!`");
    insta::assert_snapshot!(refused(Answer::success("").stderr(done)).await, @"mariadb-backup gave no whole backup: the stream has no file in it: [00] 2026-11-28 15:30:19 completed OK!");
    let cut = refused(Answer::success(&stream[..stream.len() / 2]).stderr(done)).await;
    assert!(cut.starts_with("mariadb-backup gave no whole backup: the stream "), "{cut}");
    let mut flipped = stream.clone();
    flipped[stream.len() / 2] ^= 1;
    let flipped = refused(Answer::success(flipped).stderr(done)).await;
    assert!(
        flipped.contains("do not match their checksum") || flipped.contains("of the stream: "),
        "{flipped}"
    );
    insta::assert_snapshot!(refused(Answer::failure(1, "[00] FATAL ERROR: no").stdout(stream.clone())).await, @"mariadb-backup failed with exit code 1: [00] FATAL ERROR: no");
    insta::assert_snapshot!(refused(Answer::killed(9).stdout(stream.clone())).await, @"mariadb-backup failed with signal 9");

    let (fake, result) = with_tool(&bench, &server, Answer::success(stream).stderr(done)).await;
    assert!(result.unwrap().files > 50);
    assert_eq!(fake.open_private_files(), 0);
    let lines = fake.command_lines().join("\n");
    assert!(!lines.contains(CANARY_PASSWORD) && lines.contains("--defaults-file=/private/"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_hangs_is_ended_when_the_step_is_and_leaves_nothing() {
    let server = shop().await;
    let bench = bench(&[("source", &server)]);
    let fake = bench.world.processes.clone();
    let version = ask(server.login(), "SELECT VERSION()").await;
    let version = VERSION.replace("10.11.19", version.split('-').next().unwrap());
    fake.respond("mariadb-backup", move |spec| {
        let asked = spec.args.iter().any(|arg| arg == "--version");
        if asked { Answer::success(version.clone()) } else { Answer::hang().stdout("XBSTCK01") }
    });
    let mut world = bench.world.clone();
    world.world.processes = Arc::new(fake.clone());
    let test = context(&world).settings(bench.settings.clone()).build();
    let cancel = test.cancel.clone();
    let params = json!({ "target": "source", "store": "primary", "name": "base" });
    let running =
        tokio::spawn(
            async move { BackupPhysical.run(&serde_json::from_value(params).unwrap(), &test.cx).await },
        );
    let started = std::time::Instant::now();
    while fake.commands().len() < 2 && started.elapsed().as_secs() < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
    assert_eq!(bench.store.keys(), Vec::<String>::new());
    assert_eq!(fake.terminated().first(), Some(&TerminateReason::Cancelled));

    let test = context(&world).settings(bench.settings.clone()).build();
    let params = json!({ "target": "source", "store": "primary", "name": "base", "stall_timeout": "300ms" });
    let error = BackupPhysical.run(&serde_json::from_value(params).unwrap(), &test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    insta::assert_snapshot!(error, @"mariadb-backup was silent for 300ms and was ended");
    assert_eq!(bench.store.keys(), Vec::<String>::new());
    assert_eq!(fake.terminated().last(), Some(&TerminateReason::TimedOut));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_copy_is_told_what_it_needs() {
    let server = shop().await;
    tell(
        server.login(),
        &["CREATE USER poor@'127.0.0.1' IDENTIFIED BY 'p'", "GRANT SELECT ON *.* TO poor@'127.0.0.1'"],
    )
    .await;
    let mut bench = bench(&[("source", &server)]);
    let target = bench.target("source");
    target.user = "poor".to_owned();
    bench.world.secrets.set("secret-of-source", "p");
    let error = bench.copy("b1", &json!({})).await.unwrap_err();
    assert!(error.message.starts_with("mariadb-backup failed with exit code 1"), "{error}");
    assert!(error.help.unwrap().starts_with("it needs RELOAD, PROCESS"));
    bench.world.secrets.set("secret-of-source", "wrong");
    let error = bench.copy("b1", &json!({})).await.unwrap_err();
    assert!(error.message.contains("refuses the account `poor`"), "{error}");
    assert_eq!(bench.store.keys(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn increments_begin_where_their_base_ends_and_only_in_the_same_directory() {
    let server = shop().await;
    let mut all = bench(&[("source", &server)]);
    let error = all.copy("b1", &json!({ "base": "latest" })).await.unwrap_err();
    insta::assert_snapshot!(error, @"`primary` has no physical backup of this server to build on");
    let full = all.publish("b1", json!({})).await;
    tell(server.login(), &["CREATE TABLE shop.more AS SELECT 1 AS id"]).await;
    let second = all.publish("b2", json!({ "base": "latest" })).await;
    let third = all.publish("b3", json!({ "base": "backup://primary/shop/b2" })).await;
    assert_eq!((full.base.as_str(), second.base.as_str(), third.base.as_str()), ("", "b1", "b2"));
    let physical = all.manifest("b2").physical.unwrap();
    assert_eq!(physical.from_lsn, Some(full.to_lsn));
    // Without a checkpoint in between they end at the same one.
    assert!(second.to_lsn >= full.to_lsn);
    all.verify("b3", "content").await.unwrap();

    let other = shop().await;
    let other_bench = bench(&[("source", &other)]);
    for name in ["manifest.json", "base.mbstream.gz", "base.index.json", "server.json", "RESTORE.txt"] {
        other_bench.store.insert(&key("b1", name), all.store.object(&key("b1", name)).unwrap());
    }
    let error = other_bench.copy("b9", &json!({ "base": "backup://primary/shop/b1" })).await.unwrap_err();
    assert!(
        error.message.starts_with(
            "backup://primary/shop/b1 is no base for this backup: it is of another data directory"
        ),
        "{error}"
    );

    all.store.delete(&key("b1", "manifest.json")).await.unwrap();
    let error = all.copy("b4", &json!({ "base": "backup://primary/shop/b3" })).await.unwrap_err();
    insta::assert_snapshot!(error, @"backup://primary/shop/b2 is an increment to `b1`, which is not in this store");
    let error = all.verify("b3", "objects").await.unwrap_err();
    insta::assert_snapshot!(error, @"backup://primary/shop/b3 is not whole: backup://primary/shop/b2 is an increment to `b1`, which is not in this store");
    all.target("source").local = None;
    assert!(all.copy("b5", &json!({})).await.is_ok(), "a hot full backup finds the files by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_increment_to_what_was_removed_meanwhile_is_not_published() {
    let server = shop().await;
    let bench = bench(&[("source", &server)]);
    bench.publish("b1", json!({})).await;
    bench.copy("b2", &json!({ "base": "latest" })).await.unwrap();
    bench
        .run(&crate::inspect::Inspect, json!({ "target": "source", "store": "primary", "id": "b2" }))
        .await
        .unwrap();
    bench.store.delete(&key("b1", "manifest.json")).await.unwrap();
    let error = bench.publish_copied("b2").await.unwrap_err();
    insta::assert_snapshot!(error, @"backup://primary/shop/b2 is an increment to `b1`, which is not in this store");
}

on_both!(a_stopped_server_is_archived_and_runs_again);
async fn a_stopped_server_is_archived_and_runs_again(flavour: Flavour) {
    let server = shop_on(flavour).await;
    let bench = bench(&[("source", &server)]);
    tell(server.login(), &["SET GLOBAL innodb_fast_shutdown = 2"]).await;
    let gtid = ask(server.login(), position_query(flavour)).await;

    let copied = bench.publish("b1", json!({ "mode": "cold" })).await;

    assert_eq!((copied.gtid.clone(), copied.tables, copied.to_lsn), (gtid.clone(), 3, 0));
    assert_eq!(ask(server.login(), position_query(flavour)).await, gtid);
    let manifest = bench.manifest("b1");
    assert_eq!(manifest.physical.unwrap().method, Method::Cold);
    assert!(bench.store.keys().contains(&"backups/shop/b1/base.tar.gz".to_owned()));
    bench.verify("b1", "content").await.unwrap();
    // A hot copy of MySQL needs xtrabackup.
    if flavour == Flavour::Mariadb {
        let increment = json!({ "base": "backup://primary/shop/b1" });
        let error = bench.copy("b2", &increment).await.unwrap_err();
        assert!(error.message.contains("it is a cold one"), "{error}");
    }
}

mod a_server_with_a_table_outside_its_data_directory_is_not_stopped {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        let elsewhere = tempfile::Builder::new().prefix("rekindle-elsewhere-").tempdir().unwrap();
        let folder = elsewhere.path().display().to_string();
        let option = format!("--innodb-directories={folder}");
        let server = TempServer::start_of(Flavour::Mysql, "source", &processes(), &[&option]).await.unwrap();
        let bench = bench(&[("source", &server)]);
        let table = format!("CREATE TABLE shop.far (id INT PRIMARY KEY) DATA DIRECTORY = '{folder}'");
        tell(server.login(), &["CREATE DATABASE shop", &table]).await;

        let error = bench.copy("b1", &json!({ "mode": "cold" })).await.unwrap_err();

        let data = bench.data_dir("source").display().to_string();
        let told = error.message.replace(&folder, "ELSEWHERE").replace(&data, "DATA");
        insta::assert_snapshot!(told, @"ELSEWHERE/shop/far.ibd lies outside the data directory DATA/");
        insta::assert_snapshot!(error.help.unwrap(), @"a cold backup is of the data directory alone: move the table or tablespace into it, or take a logical backup");
        assert_eq!(bench.store.keys(), Vec::<String>::new());
    }
}

on_both!(a_server_is_started_again_when_its_archive_fails_or_is_cancelled);
async fn a_server_is_started_again_when_its_archive_fails_or_is_cancelled(flavour: Flavour) {
    let server = shop_on(flavour).await;
    let bench = bench(&[("source", &server)]);
    bench.store.limit_bytes(Some(100_000));
    let error = bench.copy("b1", &json!({ "mode": "cold" })).await.unwrap_err();
    assert!(error.message.contains("write `backups/shop/b1/base.tar.gz`"), "{error}");
    assert_eq!(ask(server.login(), "SELECT 'up'").await, "up");
    assert_eq!(bench.store.keys(), Vec::<String>::new());

    let test = bench.cx();
    test.cancel.cancel();
    let params = json!({ "target": "source", "store": "primary", "name": "base", "mode": "cold" });
    let error = BackupPhysical.run(&serde_json::from_value(params).unwrap(), &test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
    assert_eq!(ask(server.login(), "SELECT 'up'").await, "up");
}

on_both!(what_a_killed_runner_left_stopped_is_started_first);
async fn what_a_killed_runner_left_stopped_is_started_first(flavour: Flavour) {
    let server = shop_on(flavour).await;
    let bench = bench(&[("source", &server)]);
    server.kill().await.unwrap();
    assert!(server.login().connect().await.is_err());
    bench.store.insert(&key("b1", "manifest.json"), "{}");
    let test =
        context(&bench.world).settings(bench.settings.clone()).checkpoint(json!({ "stopped": true })).build();
    let params =
        json!({ "target": "source", "store": "primary", "name": "base", "id": "b1", "mode": "cold" });
    // It is started although the backup itself can't be made.
    let error = BackupPhysical.run(&serde_json::from_value(params).unwrap(), &test.cx).await.unwrap_err();
    assert!(error.message.contains("published already"), "{error}");
    assert_eq!(ask(server.login(), "SELECT 'up'").await, "up");
    assert_eq!(test.reporter.checkpoints(), [json!({ "stopped": false })]);
}

on_both!(a_server_whose_writers_can_not_be_kept_away_goes_on);
async fn a_server_whose_writers_can_not_be_kept_away_goes_on(flavour: Flavour) {
    let server = shop_on(flavour).await;
    let bench = bench(&[("source", &server)]);
    let mut locking = server.login().connect().await.unwrap().session;
    locking.run("lock a table", "LOCK TABLES shop.customers WRITE").await.unwrap();
    let id: u64 = locking.row("tell its id", "SELECT CONNECTION_ID()").await.unwrap();

    let error = bench.copy("b1", &json!({ "mode": "cold" })).await.unwrap_err();

    assert_eq!(error.class, ErrorClass::Transient);
    let begins = "`source` did not keep writers away within 10 s: another session has locked tables, or writes; the \
                  longest open are ";
    assert!(
        error.message.starts_with(begins) && error.message.contains(&format!("{id} of root@")),
        "{error}"
    );
    let still = locking.row::<u64>("tell its id", "SELECT CONNECTION_ID()").await.unwrap();
    assert_eq!(still, id, "the server was not stopped");
    assert_eq!(bench.store.keys(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn preflight_shows_the_commands_and_says_what_is_missing() {
    let server = shop().await;
    let mut bench = bench(&[("source", &server)]);
    let look = async |bench: &Bench, params: serde_json::Value| {
        let cx = context(&bench.world).settings(bench.settings.clone()).preflight([]);
        BackupPhysical.preflight(&planned(&params), &cx).await
    };
    let hot = json!({ "target": "source", "store": "primary", "name": "base" });
    let found = look(&bench, hot.clone()).await;
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert!(found.commands[0].starts_with("mariadb-backup --defaults-file=LOGIN --backup --stream=mbstream"));
    let cold = json!({ "target": "source", "store": "primary", "name": "base", "mode": "cold" });
    assert_eq!(look(&bench, cold.clone()).await.commands.len(), 3);
    bench.target("source").local = None;
    let found = look(&bench, cold).await;
    let problem = &found.problems[0];
    insta::assert_snapshot!(format!("{}: {}", problem.code, problem.message), @"rekindle::physical::not_possible: the environment does not say where the files of `source` are");
    insta::assert_snapshot!(found.problems[0].help.clone().unwrap(), @"give the target `source` a `local:` with its `data_dir`, `stop` and `start`, and run where the server is");
    let base = json!({ "target": "source", "store": "primary", "name": "base", "base": "latest" });
    insta::assert_snapshot!(look(&bench, base).await.problems[0].message, @"`primary` has no physical backup of this server to build on");
}
