//! Archives of real servers.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::Step as _;
use serde_json::json;

use crate::binlogs::testing::{Lab, ask, back, tell};
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, position_query, processes, server_of};

mod encrypted;
mod follow;

async fn primary(flavour: Flavour) -> TempServer {
    server_of(flavour, "primary").await
}

const TABLE: [&str; 2] = [
    "CREATE DATABASE shop",
    "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT) ENGINE=InnoDB",
];
/// Begins the logs anew.
fn reset(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Mariadb => "RESET MASTER",
        Flavour::Mysql => "RESET BINARY LOGS AND GTIDS",
    }
}

const ROW: &str = "INSERT INTO shop.t (v) VALUES ('x')";

/// Gives the segments of a timeline as `LOG:FROM-TO TRANSACTIONS`, with `!` where something is missing before.
async fn shown(lab: &Lab) -> Vec<String> {
    let mut shown = Vec::new();
    for timeline in lab.timelines().await {
        let gaps = rekindle_backup::binlog::chain::gaps(&timeline.segments);
        for segment in &timeline.segments {
            let is_after_gap = gaps.iter().any(|gap| gap.before == segment.name());
            let (from, mark) = (segment.from, if is_after_gap { "!" } else { "" });
            shown.push(format!("{mark}{}:{from} {}", segment.log, segment.transactions));
        }
        shown.push("--".to_owned());
    }
    shown
}

on_both!(finished_logs_are_archived_once_byte_for_byte);
async fn finished_logs_are_archived_once_byte_for_byte(flavour: Flavour) {
    let server = primary(flavour).await;
    let lab = Lab::of(&[&server]);
    tell(&server, &TABLE).await;
    tell(&server, &["FLUSH BINARY LOGS", ROW, ROW]).await;

    let first = lab.archive().await;
    assert_eq!(first.segments, ["bin.000001:4", "bin.000002:4"]);
    assert_eq!((first.transactions, first.lag_seconds, first.gaps.len()), (4, 0, 0));
    assert_eq!(first.last_gtid, back(&ask(&server, position_query(flavour)).await, 0));
    let timeline = lab.timelines().await.remove(0);
    for (at, name) in ["bin.000001", "bin.000002"].into_iter().enumerate() {
        let log = std::fs::read(server.directory().join("data").join(name)).unwrap();
        assert!(lab.log(&timeline, at) == log, "{name}");
    }
    let before = lab.archived().await;

    // A server that has written nothing since gets no new log, and nothing is archived again.
    let second = lab.archive().await;
    assert_eq!((second.segments.len(), second.lag_seconds), (0, 0));
    assert!(second.covered_until >= first.covered_until);
    assert_eq!(ask(&server, "SHOW BINARY LOGS").await.lines().count(), 3);
    assert_eq!(lab.archived().await, before);
}

on_both!(a_timeline_goes_on_over_rotation_and_a_restart_of_the_server);
async fn a_timeline_goes_on_over_rotation_and_a_restart_of_the_server(flavour: Flavour) {
    let mut server = primary(flavour).await;
    let lab = Lab::of(&[&server]);
    tell(&server, &TABLE).await;
    lab.archive().await;
    tell(&server, &[ROW]).await;
    server.kill().await.unwrap();
    server.start_again().await.unwrap();
    tell(&server, &[ROW]).await;
    lab.archive().await;
    assert_eq!(shown(&lab).await, ["bin.000001:4 2", "bin.000002:4 1", "bin.000003:4 1", "--"]);
}

on_both!(repeating_names_are_another_timeline);
async fn repeating_names_are_another_timeline(flavour: Flavour) {
    let server = primary(flavour).await;
    let lab = Lab::of(&[&server]);
    tell(&server, &TABLE).await;
    lab.archive().await;
    tell(&server, &[reset(flavour), ROW]).await;
    lab.archive().await;
    tell(&server, &[ROW]).await;
    lab.archive().await;
    // The same name and the same GTIDs once more.
    tell(&server, &[reset(flavour), ROW, ROW]).await;
    let last = lab.archive().await;
    assert_eq!(last.segments, ["bin.000001:4"]);
    let mut found = shown(&lab).await;
    found.sort();
    assert_eq!(
        found,
        ["--", "--", "--", "bin.000001:4 1", "bin.000001:4 2", "bin.000001:4 2", "bin.000002:4 1"]
    );
}

on_both!(another_server_at_the_same_address_is_another_timeline_and_a_backup_is_asked_for);
async fn another_server_at_the_same_address_is_another_timeline_and_a_backup_is_asked_for(flavour: Flavour) {
    let (first, second) = tokio::join!(primary(flavour), primary(flavour));
    let mut lab = Lab::of(&[&first]);
    tell(&first, &TABLE).await;
    tell(&first, &[ROW]).await;
    let params = json!({ "target": "primary", "store": "primary" });
    let archive = async |lab: &Lab| {
        let test = lab.cx();
        let params = serde_json::from_value(params.clone()).unwrap();
        let outputs = super::ArchiveBinlogs.run(&params, &test.cx).await.unwrap();
        (outputs, test.reporter.warnings())
    };
    let (old, warnings) = archive(&lab).await;
    assert_eq!(warnings, Vec::<String>::new(), "nothing was archived before");
    let before = lab.archived().await;

    // A failover: the same address, the same names of logs, another server.
    tell(&second, &TABLE).await;
    lab.settings.targets.get_mut(&TargetName::from("primary")).unwrap().port = second.login().port;
    let (new, warnings) = archive(&lab).await;

    assert_eq!(new.segments, old.segments);
    assert_ne!(new.prefix, old.prefix);
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    let ends = format!(
        "continue nothing in the archive, whose newest timeline is {}: they become another timeline, and points in time \
         in it can be reached only from a backup that is newer, or that the server was restored from, or with `server` from one of \
         the source that it followed before: make one now",
        old.prefix
    );
    assert!(warning.ends_with(&ends), "{warning}");
    assert_eq!(lab.timelines().await.len(), 2);
    let after = lab.archived().await;
    assert!(before.iter().all(|object| after.contains(object)), "the old timeline stays as it is");
    let (_, warnings) = archive(&lab).await;
    assert_eq!(warnings, Vec::<String>::new(), "it is told once");
}

on_both!(a_log_that_was_purged_first_is_missed_by_name);
async fn a_log_that_was_purged_first_is_missed_by_name(flavour: Flavour) {
    let server = primary(flavour).await;
    let lab = Lab::of(&[&server]);
    tell(&server, &TABLE).await;
    lab.archive().await;
    tell(&server, &[ROW, "FLUSH BINARY LOGS", ROW, "FLUSH BINARY LOGS", ROW]).await;
    tell(&server, &["PURGE BINARY LOGS TO 'bin.000003'"]).await;

    let outputs = lab.archive().await;

    assert_eq!(outputs.gaps, ["bin.000002 is missing: it was purged before it was archived"]);
    assert_eq!(shown(&lab).await, ["bin.000001:4 2", "!bin.000003:4 1", "bin.000004:4 1", "--"]);
    // What was archived before it was purged is no gap.
    tell(&server, &[ROW, "FLUSH BINARY LOGS", "PURGE BINARY LOGS TO 'bin.000005'"]).await;
    assert_eq!(lab.archive().await.gaps.len(), 0);
}

on_both!(following_archives_parts_of_the_log_that_is_written);
async fn following_archives_parts_of_the_log_that_is_written(flavour: Flavour) {
    let server = primary(flavour).await;
    let lab = Lab::of(&[&server]);
    tell(&server, &TABLE).await;
    let now = json!({ "follow": true, "stop_after": "0s" });
    assert_eq!(lab.try_archive(now.clone()).await.unwrap().segments, ["bin.000001:4"]);
    assert_eq!(lab.try_archive(now.clone()).await.unwrap().segments.len(), 0);
    tell(&server, &[ROW, ROW]).await;
    let outputs = lab.try_archive(now.clone()).await.unwrap();
    assert_eq!((outputs.segments.len(), outputs.transactions, outputs.lag_seconds), (1, 2, 0));
    assert_eq!(ask(&server, "SHOW BINARY LOGS").await.lines().count(), 1, "no new log was begun");
    tell(&server, &[ROW, "FLUSH BINARY LOGS", ROW]).await;
    lab.try_archive(now).await.unwrap();
    // The same archive goes on when it is made once.
    tell(&server, &[ROW]).await;
    lab.archive().await;

    let timeline = lab.timelines().await.remove(0);
    let transactions: Vec<u64> = timeline.segments.iter().map(|segment| segment.transactions).collect();
    assert_eq!(transactions, [2, 2, 1, 1, 1]);
    assert_eq!(rekindle_backup::binlog::chain::gaps(&timeline.segments), []);
    // Put together, the parts are the log.
    let mut whole = lab.log(&timeline, 0);
    for at in [1, 2] {
        let part = lab.log(&timeline, at);
        let head = 4 + u32::from_le_bytes(part[13..17].try_into().unwrap()) as usize;
        whole.extend(&part[head..]);
    }
    let log = std::fs::read(server.directory().join("data/bin.000001")).unwrap();
    // The first part was copied while the log was in use, which its head says.
    assert!(whole[22..] == log[22..]);
}

on_both!(an_archiver_that_died_at_any_write_leaves_nothing_half_made_and_nothing_twice);
async fn an_archiver_that_died_at_any_write_leaves_nothing_half_made_and_nothing_twice(flavour: Flavour) {
    use rekindle_engine::host::StoreErrorKind;
    use rekindle_engine::testing::Operation;
    let server = primary(flavour).await;
    tell(&server, &TABLE).await;
    tell(&server, &["FLUSH BINARY LOGS", ROW, "FLUSH BINARY LOGS", ROW]).await;
    let whole = Lab::of(&[&server]);
    whole.archive().await;
    let names = |archived: Vec<(String, Vec<u8>)>| -> Vec<String> {
        archived.into_iter().map(|(key, _)| key).collect()
    };
    let wanted = names(whole.archived().await);
    for write in 1..=7 {
        let lab = Lab::of(&[&server]);
        lab.store.fail(Operation::Put, write, StoreErrorKind::Unavailable);
        lab.try_archive(json!({})).await.unwrap_err();
        for timeline in lab.timelines().await {
            for (at, segment) in timeline.segments.iter().enumerate() {
                assert_eq!(lab.log(&timeline, at).len() as u64, segment.log_bytes, "write {write}");
            }
        }
        lab.archive().await;
        assert_eq!(names(lab.archived().await), wanted, "write {write}");
    }
}

on_both!(a_server_without_binary_logs_is_refused);
async fn a_server_without_binary_logs_is_refused(flavour: Flavour) {
    let options = ["--skip-log-bin"];
    let server = TempServer::start_of(flavour, "primary", &processes(), &options).await.unwrap();
    let lab = Lab::of(&[&server]);
    let error = lab.try_archive(json!({})).await.unwrap_err();
    insta::assert_snapshot!(error, @"`primary` writes no binary log, so there is nothing to archive");
    let params = json!({ "target": "primary", "store": "primary" });
    let found = lab.preflight(&super::ArchiveBinlogs, params).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::binlog::not_possible: `primary` writes no binary log, so there is nothing to archive (/target)
      help: start it with `log_bin` on
    ");
}
