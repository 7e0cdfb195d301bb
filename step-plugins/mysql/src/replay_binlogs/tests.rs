//! Replays onto real servers.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{ErrorClass, Probe};
use serde_json::json;

use crate::binlogs::testing::{Lab, ask, back, tell};
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, position_query, processes};

mod after_a_restore;
mod clock;
mod load_data;
mod objects;
mod statements;
mod tags;
mod without_gtids;
mod xa;

async fn servers(flavour: Flavour) -> (TempServer, TempServer) {
    let processes = processes();
    // Their time zones differ from the runner's and from each other's.
    let (berlin, seoul) = (["--default-time-zone=+01:00"], ["--default-time-zone=+09:00"]);
    let (primary, fresh) = tokio::join!(
        TempServer::start_of(flavour, "primary", &processes, &berlin),
        TempServer::start_of(flavour, "fresh", &processes, &seoul)
    );
    (primary.unwrap(), fresh.unwrap())
}

const TABLE: [&str; 3] = [
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(50), at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) \
     ENGINE=InnoDB",
    "INSERT INTO shop.t (id, v) VALUES (1, 'in the backup')",
];

fn row(id: u32) -> String {
    format!("INSERT INTO shop.t (id, v) VALUES ({id}, 'it''s \\\\ {id} 🌍')")
}

/// A row that is written at a time of our choosing.
async fn row_at(server: &TempServer, id: u32, time: &str) {
    let seconds = time.parse::<jiff::Timestamp>().unwrap().as_second();
    tell(server, &[&format!("SET TIMESTAMP = {seconds}"), &row(id)]).await;
}

async fn ids(server: &TempServer) -> String {
    ask(server, "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.t").await
}

/// Gives what a replay leaves as it was, and at the end the position.
async fn state(server: &TempServer) -> String {
    let state = ask(server, "SELECT @@read_only, @@event_scheduler, @@max_allowed_packet").await;
    format!("{state}|{}", position(server).await)
}

async fn position(server: &TempServer) -> String {
    ask(server, position_query(server.flavour())).await
}

/// A backup with row 1, then rows 2 and 3 in a log, 4 in the next, and 5 in a third, around the hour that Berlin
/// has twice on the last Sunday of October.
async fn shop(flavour: Flavour) -> (Lab, TempServer, TempServer) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    row_at(&primary, 2, "2027-10-31T00:29:59Z").await;
    row_at(&primary, 3, "2027-10-31T00:30:00Z").await;
    tell(&primary, &["FLUSH BINARY LOGS"]).await;
    row_at(&primary, 4, "2027-10-31T01:29:59Z").await;
    tell(&primary, &["FLUSH BINARY LOGS"]).await;
    row_at(&primary, 5, "2027-10-31T01:30:00Z").await;
    lab.archive().await;
    lab.restore("b1").await;
    (lab, primary, fresh)
}

on_both!(a_replay_to_a_time_lands_exactly_before_it_and_a_second_one_changes_nothing);
async fn a_replay_to_a_time_lands_exactly_before_it_and_a_second_one_changes_nothing(flavour: Flavour) {
    let (lab, primary, fresh) = shop(flavour).await;
    let before = state(&fresh).await;
    // Half past two in Berlin, the second time.
    let until = json!({ "until": { "time": "2027-10-31T02:30:00+01:00" } });

    let preview = lab.preview(until.clone()).await;
    let done = lab.replay(until.clone()).await.unwrap();

    assert_eq!(ids(&fresh).await, "1,2,3,4");
    assert_eq!(done.transactions, 3);
    assert_eq!(done.last_kept.as_ref().unwrap().at.to_string(), "2027-10-31T01:29:59Z");
    assert_eq!(done.first_lost.as_ref().unwrap().at.to_string(), "2027-10-31T01:30:00Z");
    let data = "SELECT id, v, UNIX_TIMESTAMP(at) FROM shop.t WHERE id < 5 ORDER BY id";
    assert_eq!(ask(&fresh, data).await, ask(&primary, data).await);
    assert!(preview.problems.is_empty(), "{:?}", preview.problems);
    let notes = preview.notes.join("\n");
    let (kept, lost) = (done.last_kept.as_ref().unwrap(), done.first_lost.as_ref().unwrap());
    assert!(notes.contains(&format!("last kept: {kept}\nfirst lost: {lost}")), "{notes}");
    assert!(notes.contains("logs: bin.000001, bin.000002, bin.000003"), "{notes}");
    // Everything but the position is as before.
    let (after, gtid) = (state(&fresh).await, done.gtid.clone());
    assert_eq!(after, format!("{}|{gtid}", before.rsplit_once('|').unwrap().0));

    assert_eq!(lab.probe(until.clone()).await, Probe::Complete(done.clone()));
    assert_eq!(lab.replay(until).await.unwrap(), done);
    assert_eq!((ids(&fresh).await, state(&fresh).await), ("1,2,3,4".to_owned(), after));

    // Further, from where it stands.
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2,3,4,5");
    assert_eq!(position(&fresh).await, position(&primary).await);
}

on_both!(a_replay_stops_at_a_gtid_before_one_and_at_a_position);
async fn a_replay_stops_at_a_gtid_before_one_and_at_a_position(flavour: Flavour) {
    let (lab, primary, fresh) = shop(flavour).await;
    let last = position(&primary).await;
    let gtid = |before: u64| back(&last, before);
    let segment = lab.timelines().await.remove(0).segments.remove(1);
    let fourth = lab.replay(json!({ "until": { "gtid": gtid(1) } })).await.unwrap().last_kept.unwrap();

    for (until, wanted) in [
        (json!({ "gtid": gtid(1) }), "1,2,3,4"),
        (json!({ "before_gtid": gtid(1) }), "1,2,3"),
        (json!({ "gtid": gtid(0) }), "1,2,3,4,5"),
        (json!({ "log": "bin.000002", "position": 4 }), "1,2,3"),
        (json!({ "log": "bin.000002", "position": segment.to }), "1,2,3,4"),
        // In the middle of the transaction that has row 4.
        (json!({ "log": "bin.000002", "position": fourth.end - 1 }), "1,2,3"),
    ] {
        lab.restore("b1").await;
        lab.replay(json!({ "until": until })).await.unwrap();
        assert_eq!(ids(&fresh).await, wanted, "{until}");
    }
    lab.restore("b1").await;
    let done = lab.replay(json!({ "until": { "end": true }, "skip": [gtid(2)] })).await.unwrap();
    assert_eq!((ids(&fresh).await.as_str(), done.transactions), ("1,2,4,5", 3));
}

on_both!(a_goal_that_can_not_be_reached_leaves_the_server_as_it_was);
async fn a_goal_that_can_not_be_reached_leaves_the_server_as_it_was(flavour: Flavour) {
    let (lab, _primary, fresh) = shop(flavour).await;
    let before = state(&fresh).await;
    let refused = async |until: serde_json::Value| {
        let error = lab.replay(json!({ "until": until })).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Permanent, "{error}");
        let found = lab.preview(json!({ "until": until })).await;
        assert_eq!(found.problems[0].code, "rekindle::binlog::unreachable");
        assert_eq!(found.problems[0].message, error.message);
        error.message
    };
    let late = refused(json!({ "time": "2027-11-01T00:00:00Z" })).await;
    assert!(
        late.starts_with("2027-11-01T00:00:00Z is not in the archive: it ends with bin.000003 at "),
        "{late}"
    );
    let early = refused(json!({ "time": "2026-01-01T00:00:00Z" })).await;
    assert!(early.starts_with("2026-01-01T00:00:00Z is before the backup, whose data are of "), "{early}");
    let never = match flavour {
        Flavour::Mariadb => "0-77-4711",
        Flavour::Mysql => "3e11fa47-71ca-11e1-9e33-c80aa9429562:4711",
    };
    let unknown = refused(json!({ "gtid": never })).await;
    assert!(
        unknown.starts_with(&format!("the end of transaction {never} is not in the archive")),
        "{unknown}"
    );
    assert!(refused(json!({ "log": "bin.000077", "position": 4 })).await.contains("is not in the archive"));
    let base = back(before.rsplit_once('|').unwrap().1, 0);
    let contained = refused(json!({ "before_gtid": base })).await;
    assert_eq!(contained, format!("the transaction {base} is in the backup already"));
    let log = lab.manifest("b1").await.consistent_point.binlog_file.unwrap();
    let passed = refused(json!({ "log": log, "position": 300 })).await;
    assert_eq!(passed, format!("the backup has what was written after position 300 of {log}"));

    assert_eq!((ids(&fresh).await.as_str(), state(&fresh).await), ("1", before));
}

on_both!(a_log_that_is_missing_in_the_middle_is_refused_by_name_unless_it_is_given_up);
async fn a_log_that_is_missing_in_the_middle_is_refused_by_name_unless_it_is_given_up(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    lab.archive().await;
    let (two, three, four) = (row(2), row(3), row(4));
    tell(&primary, &[&two, "FLUSH BINARY LOGS", &three, "FLUSH BINARY LOGS", &four]).await;
    tell(&primary, &["PURGE BINARY LOGS TO 'bin.000003'"]).await;
    lab.archive().await;
    lab.restore("b1").await;
    let before = state(&fresh).await;

    let error = lab.replay(json!({ "until": { "end": true } })).await.unwrap_err();

    insta::assert_snapshot!(error, @"bin.000002 is missing: it was purged before it was archived");
    assert_eq!(state(&fresh).await, before);
    let found = lab.preview(json!({ "until": { "end": true } })).await;
    let told = "gap: bin.000002 is missing: it was purged before it was archived";
    assert!(found.notes.iter().any(|note| note == told), "{:?}", found.notes);
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::binlog::gap: bin.000002 is missing: it was purged before it was archived (/until)
      help: the target server was not touched; restore a backup that is newer than what is missing, or set `allow_gaps: true` to lose what was in it
    ");
    lab.replay(json!({ "until": { "end": true }, "allow_gaps": true })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,3,4");
}

on_both!(a_server_that_has_more_than_the_backup_is_refused);
async fn a_server_that_has_more_than_the_backup_is_refused(flavour: Flavour) {
    let (lab, primary, fresh) = shop(flavour).await;
    let written = row(99);
    tell(&fresh, &[&written]).await;
    let before = state(&fresh).await;
    let error = lab.replay(json!({ "until": { "end": true } })).await.unwrap_err();
    assert!(error.message.contains("it has transactions that the backup has not"), "{error}");
    assert_eq!(state(&fresh).await, before);
    let Probe::Partial { .. } = lab.probe(json!({ "until": { "end": true } })).await else {
        panic!("not seen")
    };

    // The server that wrote the logs has them all.
    let onto_itself = json!({ "target": "primary", "until": { "time": "2027-10-31T01:30:00Z" } });
    let error = lab.replay(onto_itself).await.unwrap_err();
    assert!(error.message.ends_with("it has the transactions that are to be replayed already"), "{error}");
    assert_eq!(ids(&primary).await, "1,2,3,4,5");
}

on_both!(a_damaged_log_is_found_before_the_server_is_touched);
async fn a_damaged_log_is_found_before_the_server_is_touched(flavour: Flavour) {
    let (lab, _primary, fresh) = shop(flavour).await;
    let before = state(&fresh).await;
    let timeline = lab.timelines().await.remove(0);
    let key = Lab::key(&timeline, &timeline.segments[1].object);
    lab.store
        .flip_byte(&key, timeline.segments[1].size_bytes.try_into().map(|size: usize| size / 2).unwrap());
    let error = lab.replay(json!({ "until": { "end": true } })).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("is damaged: "), "{error}");
    assert_eq!((ids(&fresh).await.as_str(), state(&fresh).await), ("1", before));
}

on_both!(a_replay_that_was_interrupted_goes_on_from_the_last_transaction);
async fn a_replay_that_was_interrupted_goes_on_from_the_last_transaction(flavour: Flavour) {
    let (mut lab, _primary, mut fresh) = shop(flavour).await;
    let until = json!({ "until": { "end": true } });
    interrupted(&lab, &fresh, &until["until"]).await;
    assert_eq!(lab.probe(until.clone()).await, Probe::Absent);
    fresh.kill().await.unwrap();
    fresh.start_again().await.unwrap();
    lab = Lab { settings: lab.settings.clone(), ..lab };

    lab.replay(until).await.unwrap();

    assert_eq!(ids(&fresh).await, "1,2,3,4,5");
    assert_eq!(ask(&fresh, "SELECT @@read_only").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_logs_were_never_archived_is_told() {
    let primary = TempServer::start("primary", &processes()).await.unwrap();
    let lab = Lab::of(&[&primary]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    let params = json!({ "target": "primary", "server": "mariadb-0-1", "until": { "end": true } });
    let found = lab.preview(params).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::binlog::unreachable: no binary logs of `mariadb-0-1` are archived (/until)
      help: archive them: `rekindle run archive-binlogs`
    ");
}

/// Begins a replay that waits at its first row for a lock that `fresh` holds, and ends it there.
async fn interrupted(lab: &Lab, fresh: &TempServer, until: &serde_json::Value) {
    let mut holding = fresh.login().connect().await.unwrap();
    holding.session.run("begin", "BEGIN").await.unwrap();
    holding.session.run("hold it", "SELECT * FROM shop.t WHERE id > 1 FOR UPDATE").await.unwrap();
    let test = lab.cx();
    let cancel = test.cancel.clone();
    let params = json!({ "target": "fresh", "backup": "backup://primary/shop/b1", "until": until });
    let running = tokio::spawn(async move {
        use rekindle_engine::step::Step as _;
        super::ReplayBinlogs.run(&serde_json::from_value(params).unwrap(), &test.cx).await
    });
    let waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
    let state = "SELECT @@read_only, @@event_scheduler";
    // MySQL waits for locks of its own too, while the marker's table is made: the replay is fenced when it waits.
    while ask(fresh, waiting).await == "0" || ask(fresh, state).await != "1|OFF" {
        assert!(!running.is_finished());
        // The server keeps what this table said for as long as it is asked more often than every 100 ms.
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    cancel.cancel();
    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
}

on_both!(a_restore_and_a_replay_after_one_that_was_given_up_leave_the_server_as_it_was_at_first);
async fn a_restore_and_a_replay_after_one_that_was_given_up_leave_the_server_as_it_was_at_first(
    flavour: Flavour,
) {
    let (lab, _primary, fresh) = shop(flavour).await;
    tell(&fresh, &["SET GLOBAL event_scheduler = ON"]).await;
    let settings = "SELECT @@read_only, @@event_scheduler, @@GLOBAL.max_allowed_packet";
    let before = ask(&fresh, settings).await;
    interrupted(&lab, &fresh, &json!({ "end": true })).await;
    assert_ne!(ask(&fresh, settings).await, before);

    lab.restore("b1").await;
    assert_eq!(ask(&fresh, settings).await, before);

    interrupted(&lab, &fresh, &json!({ "end": true })).await;
    lab.restore("b1").await;
    lab.replay(json!({ "until": { "time": "2027-10-31T02:30:00+01:00" } })).await.unwrap();
    assert_eq!((ask(&fresh, settings).await, ids(&fresh).await), (before, "1,2,3,4".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_all_writes_is_replayed_onto_and_refuses_them_again() {
    let (lab, _primary, fresh) = shop(Flavour::Mysql).await;
    tell(&fresh, &["SET GLOBAL super_read_only = ON"]).await;

    lab.replay(json!({ "until": { "end": true } })).await.unwrap();

    assert_eq!(ids(&fresh).await, "1,2,3,4,5");
    assert_eq!(ask(&fresh, "SELECT @@read_only, @@super_read_only").await, "1|1");
}
