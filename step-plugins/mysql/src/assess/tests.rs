//! What is proposed for what is seen: by made-up sights, and by a real server.

use rekindle_backup::catalogue;
use rekindle_backup::layout::{BackupUri, MANIFEST};
use rekindle_backup::manifest::{BackupKind, Flavour, Manifest, ObjectRole};
use rekindle_backup::sealed;
use rekindle_backup::verdict::{Level, Verdict};
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::step::Step as _;
use rekindle_engine::testing::{FakeWorld, context};
use serde_json::json;

use super::judge::{Seen, achievable_rpo, judge};
use super::logs::{self, weigh};
use super::look::newest_of_each_kind;
use super::*;
use crate::assert::tests::{filled, publish};
use crate::binlogs::testing::{Lab, tell};
use crate::check_tables::tests::mar;
use crate::replay_binlogs::Reach;
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, processes, server_of, world_of};

fn server(target: &str, role: Role) -> ServerState {
    ServerState {
        target: target.into(),
        role,
        up: true,
        problem: None,
        version: Some("10.11.6-MariaDB".to_owned()),
        read_only: Some(role == Role::Replica),
        restoring: None,
        gtid: Some("0-1-42".to_owned()),
        replication: None,
    }
}

fn replica(target: &str, seconds_behind: Option<u64>, problem: Option<&str>) -> ServerState {
    let problem = problem.map(str::to_owned);
    let state = ReplicationState { source: "db-1:3306".to_owned(), seconds_behind, problem };
    ServerState { replication: Some(state), ..server(target, Role::Replica) }
}

fn down(state: ServerState) -> ServerState {
    ServerState { up: false, problem: Some("it can't be reached".to_owned()), replication: None, ..state }
}

fn backup(id: &str, kind: BackupKind, age_seconds: u64) -> NewestBackup {
    let now: jiff::Timestamp = "2026-11-22T16:00:00Z".parse().unwrap();
    NewestBackup {
        uri: format!("backup://primary/shop/{id}").parse().unwrap(),
        kind,
        recovery_point: now - std::time::Duration::from_secs(age_seconds),
        age_seconds,
    }
}

fn seen(servers: Vec<ServerState>) -> Seen {
    let verified = vec![backup("b1", BackupKind::Logical, 3600)];
    Seen { servers, lost: Vec::new(), verified, replayable: None, environment: "prod".to_owned() }
}

fn told(seen: &Seen) -> String {
    let judgement = judge(seen);
    format!("{:?}: {}\n{}", judgement.strategy, judgement.why, judgement.next.join("\n"))
}

#[test]
fn a_sound_cluster_needs_nothing_but_a_verified_backup() {
    let mut seen = seen(vec![server("primary", Role::Primary), replica("replica-0", Some(0), None)]);
    insta::assert_snapshot!(told(&seen), @"Nothing: every server is up, and every replica has caught up");
    seen.verified.clear();
    insta::assert_snapshot!(judge(&seen).next.join("\n"), @"there is no verified backup: make one with `rekindle run backup -e prod`");
}

#[test]
fn a_broken_replica_is_mended_alone() {
    let seen = seen(vec![
        server("primary", Role::Primary),
        down(replica("replica-0", None, None)),
        replica("replica-1", Some(40), Some("it is 40 s behind its source")),
        replica("replica-2", None, Some("replication has error 1062: Duplicate entry")),
        server("replica-3", Role::Replica),
    ]);
    insta::assert_snapshot!(told(&seen), @r"
    Component: the primary is up, but `replica-0`: it can't be reached; `replica-1`: it is 40 s behind its source; `replica-2`: replication has error 1062: Duplicate entry; `replica-3`: it follows nobody
    bring `replica-0` up again; if its data are gone, `rekindle run reseed-replica -e prod --set replica=replica-0`
    wait until `replica-1` has caught up, then `rekindle run assess -e prod` again
    load `replica-2` anew and let it follow: `rekindle run reseed-replica -e prod --set replica=replica-2`
    load `replica-3` anew and let it follow: `rekindle run reseed-replica -e prod --set replica=replica-3`
    ");
}

#[test]
fn a_dead_primary_with_a_living_replica_is_no_reason_to_overwrite_it() {
    let seen =
        seen(vec![down(server("primary", Role::Primary)), replica("replica-0", None, Some("no source"))]);
    insta::assert_snapshot!(told(&seen), @r"
    Component: the primary is down; alive: `replica-0`
    a replica has what no backup has: promote the one that is furthest (`replica-0` is at 0-1-42) before anything is loaded over it
    only if none may be promoted: `rekindle run disaster-recovery -e prod` brings back what was there at 2026-11-22T15:00:00Z
    ");
}

#[test]
fn a_dead_cluster_is_rebuilt_from_the_newest_verified_backup() {
    let mut seen = seen(vec![down(server("primary", Role::Primary)), down(replica("replica-0", None, None))]);
    insta::assert_snapshot!(told(&seen), @r"
    WholeCluster: no server is up
    make sure that the servers are really gone, and not only out of reach from here
    `rekindle run disaster-recovery -e prod` brings back what was there at 2026-11-22T15:00:00Z
    ");
    seen.verified.clear();
    assert!(judge(&seen).next[1].starts_with("there is no verified backup"), "{:?}", judge(&seen));
}

#[test]
fn lost_tables_on_a_living_primary_are_brought_back_from_a_backup() {
    let mut seen = seen(vec![server("primary", Role::Primary)]);
    seen.lost = (1..=5).map(|n| format!("table shop.t{n} is gone")).collect();
    insta::assert_snapshot!(told(&seen), @r"
    DataCorruption: `primary` is up, but table shop.t1 is gone; table shop.t2 is gone; table shop.t3 is gone; and 2 more
    make sure that it is not meant to be so: what was dropped on purpose is no loss
    one table, as it was at 2026-11-22T15:00:00Z: `rekindle run restore-table -e prod --set table=DATABASE.TABLE`, with `--set as=DATABASE.OTHER` beside one that is still there
    all of it: `rekindle run disaster-recovery -e prod --set overwrite_primary=true` brings back what was there at 2026-11-22T15:00:00Z
    ");
}

#[test]
fn replicas_of_a_server_that_is_replaced_are_replaced_with_it() {
    let mut seen = seen(vec![server("primary", Role::Primary), replica("replica-0", Some(0), None)]);
    seen.lost = vec!["table shop.t1 is gone".to_owned()];
    insta::assert_snapshot!(judge(&seen).next[2], @"all of it: `rekindle run disaster-recovery -e prod --set overwrite_primary=true --set 'replicas=[replica-0]' --set reseed_replicas=true` brings back what was there at 2026-11-22T15:00:00Z");
    seen.verified = vec![backup("p1", BackupKind::Physical, 60)];
    let next = judge(&seen).next;
    assert!(next[1].contains("no verified logical backup"), "{}", next[1]);
    let command = "restore-physical -e prod --set overwrite=true --set 'replicas=[replica-0]' --set overwrite_replicas=true`";
    assert!(next[2].contains(command), "{}", next[2]);
}

#[test]
fn each_kind_of_backup_is_brought_back_by_the_runbook_that_restores_it() {
    let mut seen = seen(vec![down(server("primary", Role::Primary))]);
    seen.verified = vec![backup("p1", BackupKind::Physical, 60), backup("b1", BackupKind::Logical, 3600)];
    insta::assert_snapshot!(judge(&seen).next[1], @"`rekindle run restore-physical -e prod` on the server's own machine brings back what was there at 2026-11-22T15:59:00Z; `rekindle run disaster-recovery -e prod` brings back what was there at 2026-11-22T15:00:00Z");
    assert_eq!(achievable_rpo(&seen).unwrap(), (60, "backup://primary/shop/p1".to_owned()));
    seen.verified.pop();
    insta::assert_snapshot!(judge(&seen).next[1], @"`rekindle run restore-physical -e prod` on the server's own machine brings back what was there at 2026-11-22T15:59:00Z");
    seen.servers = vec![server("primary", Role::Primary)];
    seen.lost = vec!["table shop.t1 is gone".to_owned()];
    assert!(judge(&seen).next[2].contains("`rekindle run restore-physical -e prod --set overwrite=true`"));
}

#[test]
fn archived_logs_bring_back_more_than_the_backup_alone() {
    let mut seen = seen(vec![down(server("primary", Role::Primary))]);
    let newest = backup("b1", BackupKind::Logical, 3600);
    let until = newest.recovery_point + std::time::Duration::from_secs(3570);
    let now = "2026-11-22T16:00:00Z".parse().unwrap();
    seen.replayable = weigh(Reach { until: Some(until), gap: None }, &newest, now).replayable;
    assert_eq!(
        achievable_rpo(&seen).unwrap(),
        (30, "backup://primary/shop/b1 and archived binary logs".to_owned())
    );
    insta::assert_snapshot!(judge(&seen).next[1], @"`rekindle run point-in-time-recovery -e prod --set end=true` brings back what was there at 2026-11-22T15:59:30Z; `rekindle run disaster-recovery -e prod` brings back what was there at 2026-11-22T15:00:00Z");
    seen.servers = vec![server("primary", Role::Primary)];
    seen.lost = vec!["table shop.t1 is gone".to_owned()];
    insta::assert_snapshot!(judge(&seen).next[1..].join("\n"), @r"
    one table, as it was before its loss: archive what was logged since (`rekindle run archive-binlogs -e prod`), then `rekindle run undo-drop -e prod --set database=DATABASE --set table=TABLE --set sandbox=TARGET`, with a target on this machine for a throw-away server
    all of it: `rekindle run point-in-time-recovery -e prod --set overwrite=true --set time=TIME` brings back what was there at that time, 2026-11-22T15:59:30Z at the latest (`rekindle run archive-binlogs -e prod` first: the server's own logs are replaced too); `rekindle run disaster-recovery -e prod --set overwrite_primary=true` brings back what was there at 2026-11-22T15:00:00Z
    ");
    seen.replayable.as_mut().unwrap().uri = "backup://offsite/shop/b1".parse().unwrap();
    assert!(judge(&seen).next[1].contains("undo-drop -e prod --set store=offsite --set database="));
    // Files are brought forward where the server is, and one table out of them is not.
    seen.replayable.as_mut().unwrap().kind = BackupKind::Physical;
    let next = judge(&seen).next;
    assert!(!next[1].contains("undo-drop"), "{}", next[1]);
    let command = "`rekindle run point-in-time-recovery -e prod --set store=offsite --set base=physical --set overwrite=true --set \
                   time=TIME` on the server's own machine brings back";
    assert!(next[2].contains(command), "{}", next[2]);
}

#[test]
fn a_gap_in_the_archived_logs_is_told_before_they_are_needed() {
    let newest = backup("b1", BackupKind::Logical, 3600);
    let now = "2026-11-22T16:00:00Z".parse().unwrap();
    let gap = || Some("bin.000002 is missing: it was purged before it was archived".to_owned());
    let later = newest.recovery_point + std::time::Duration::from_mins(1);
    let some = weigh(Reach { until: Some(later), gap: gap() }, &newest, now);
    assert_eq!(some.replayable.unwrap().age_seconds, 3540);
    insta::assert_snapshot!(some.warning.unwrap(), @"the archived binary logs bring backup://primary/shop/b1 to 2026-11-22T15:01:00Z only: bin.000002 is missing: it was purged before it was archived");
    for until in [None, Some(newest.recovery_point - std::time::Duration::from_secs(1))] {
        let none = weigh(Reach { until, gap: gap() }, &newest, now);
        assert_eq!(none.replayable, None);
        insta::allow_duplicates! {
            insta::assert_snapshot!(none.warning.unwrap(), @"the archived binary logs can't bring backup://primary/shop/b1 forward: bin.000002 is missing: it was purged before it was archived");
        }
    }
}

#[test]
fn a_replica_is_not_loaded_from_a_dump_that_is_not_there() {
    let mut seen = seen(vec![server("primary", Role::Primary), server("replica-0", Role::Replica)]);
    seen.verified = vec![backup("p1", BackupKind::Physical, 60)];
    insta::assert_snapshot!(judge(&seen).next.join("\n"), @"load `replica-0` anew and let it follow: `rekindle run backup -e prod`, as no logical backup is verified, then `rekindle run reseed-replica -e prod --set replica=replica-0`");
}

#[test]
fn the_newest_of_each_kind_counts_the_newest_first() {
    let (logical, physical) = (BackupKind::Logical, BackupKind::Physical);
    let all = [("b1", logical, 900), ("p1", physical, 800), ("p2", physical, 60), ("b2", logical, 300)];
    let newest = newest_of_each_kind(all.map(|(id, kind, age)| backup(id, kind, age)).to_vec());
    let ids: Vec<&str> = newest.iter().map(|one| one.uri.id.as_str()).collect();
    assert_eq!(ids, ["p2", "b2"]);
}

#[test]
fn a_restore_that_stopped_half_way_is_gone_on_with() {
    let half = ServerState {
        restoring: Some("loading of backup://primary/shop/b1 by run r1".to_owned()),
        ..server("primary", Role::Primary)
    };
    insta::assert_snapshot!(told(&seen(vec![half])), @r"
    Component: `primary` is in the middle of a restore: loading of backup://primary/shop/b1 by run r1
    go on with it: `rekindle resume latest -e prod`
    ");
}

#[test]
fn what_would_be_lost_is_told_by_the_nearest_that_has_it() {
    let primary = || server("primary", Role::Primary);
    let rpo = |servers| achievable_rpo(&seen(servers)).map(|(seconds, by)| format!("{seconds} {by}"));
    let lagging = replica("replica-0", Some(5), Some("it is 5 s behind its source"));
    let cut_off = replica("replica-1", None, Some("it is not connected to its source"));
    assert_eq!(rpo(vec![primary(), lagging]).unwrap(), "5 replica replica-0");
    assert_eq!(rpo(vec![primary(), cut_off]).unwrap(), "3600 backup://primary/shop/b1");
    let mut nothing = seen(vec![primary()]);
    nothing.verified.clear();
    assert_eq!(achievable_rpo(&nothing), None);
}

/// Publishes another backup, so many seconds after `other`, with what `change` makes of its manifest.
async fn publish_after(
    world: &FakeWorld,
    other: &BackupUri,
    seconds: u64,
    change: impl FnOnce(&mut Manifest),
) -> BackupUri {
    let store = world.stores.store("memory:main");
    let mut manifest = catalogue::load_manifest(&*store, other).await.unwrap();
    manifest.id = format!("after-{seconds}");
    manifest.started_at += std::time::Duration::from_secs(seconds);
    manifest.finished_at += std::time::Duration::from_secs(seconds);
    change(&mut manifest);
    let uri = BackupUri { id: manifest.id.clone(), ..other.clone() };
    store.insert(&uri.key(MANIFEST).unwrap(), sealed::seal(&manifest).unwrap());
    uri
}

on_both!(a_dropped_table_and_a_replica_that_is_gone_are_seen_on_real_servers);
async fn a_dropped_table_and_a_replica_that_is_gone_are_seen_on_real_servers(flavour: Flavour) {
    let (server, mut open) = filled(flavour, "primary").await;
    let (world, mut settings) = world_of(&[("primary", server.login())]);
    settings.stores.insert("main".into(), StoreConfig::at("memory:main"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gone = settings.targets.values().next().unwrap().clone();
    gone.port = listener.local_addr().unwrap().port();
    drop(listener);
    settings.targets.insert("replica-0".into(), gone);
    let inventory = crate::inventory::read(&mut open.session).await.unwrap();
    let uri = publish(&world, &mut open, inventory).await;
    let verdict = Verdict {
        level: Level::Content,
        ok: true,
        at: world.world.clock.now(),
        by_run: "r".into(),
        problems: Vec::new(),
        drill: None,
    };
    let store = world.stores.store("memory:main");
    // What a hot copy of the server's files says: names, and no rows.
    let names = crate::inventory::read_names(&mut open.session).await.unwrap();
    let copied = publish_after(&world, &uri, 1, |manifest| {
        manifest.kind = BackupKind::Physical;
        manifest.inventory = names;
    })
    .await;
    // Which brings no server back, however new it is.
    let part =
        publish_after(&world, &uri, 2, |manifest| manifest.objects[0].role = ObjectRole::Databases).await;
    for proven in [&uri, &copied, &part] {
        catalogue::store_verdict(&*store, proven, &verdict).await.unwrap();
    }
    open.session.run("lose", "DROP TABLE shop.empty").await.unwrap();
    let test = context(&world).settings(settings).build();
    let params = json!({
        "primary": "primary", "replicas": ["replica-0"], "stores": ["main", "broken"], "check_tables": true
    });

    let outputs = Assess.run(&serde_json::from_value(params).unwrap(), &test.cx).await.unwrap();

    assert_eq!(outputs.strategy, Strategy::DataCorruption);
    assert_eq!(outputs.lost.len(), 1, "{outputs:?}");
    assert!(outputs.lost[0].starts_with("table shop.empty is in the backup of "), "{outputs:?}");
    assert!(!outputs.servers[1].up && outputs.servers[1].problem.is_some(), "{outputs:?}");
    let verified: Vec<_> = outputs.verified.iter().map(|one| (&one.uri, one.kind)).collect();
    assert_eq!(verified, [(&copied, BackupKind::Physical), (&uri, BackupKind::Logical)]);
    assert_eq!(outputs.newest_verified.unwrap().uri, copied);
    assert_eq!(outputs.unknown.len(), 1);
}

on_both!(a_table_that_the_server_finds_damaged_is_data_corruption);
async fn a_table_that_the_server_finds_damaged_is_data_corruption(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    mar(&server).await;
    let (world, settings) = world_of(&[("primary", server.login())]);
    let test = context(&world).settings(settings).build();
    let assess = async |check: bool| {
        let params = json!({ "primary": "primary", "stores": [], "check_tables": check });
        Assess.run(&serde_json::from_value(params).unwrap(), &test.cx).await.unwrap()
    };

    let (asked, unasked) = (assess(true).await, assess(false).await);

    assert_eq!(asked.strategy, Strategy::DataCorruption);
    let is_named = |text: &String| text.starts_with("table marred.keys is damaged: ");
    assert!(!asked.lost.is_empty() && asked.lost.iter().all(is_named), "{asked:?}");
    assert_eq!((unasked.strategy, unasked.lost.len()), (Strategy::Nothing, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_archived_logs_bring_a_backup_is_what_a_replay_would_say() {
    let primary = TempServer::start("primary", &processes()).await.unwrap();
    let lab = Lab::of(&[&primary]);
    tell(&primary, &["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]).await;
    lab.back_up("b1").await;
    let cx = lab.cx();
    let uri: BackupUri = crate::binlogs::testing::uri("b1").parse().unwrap();
    let recovery_point = catalogue::load_manifest(&*lab.store, &uri).await.unwrap().recovery_point();
    let verified = [NewestBackup { uri, kind: BackupKind::Logical, recovery_point, age_seconds: 0 }];
    assert_eq!(logs::look(&*lab.store, &verified, &cx.cx).await, logs::Logs::default());
    tell(&primary, &["INSERT INTO shop.t VALUES (1)"]).await;
    lab.archive().await;

    let found = logs::look(&*lab.store, &verified, &cx.cx).await;

    assert_eq!(found.warning, None);
    let until = found.replayable.unwrap().until;
    assert_eq!(Some(until), lab.timelines().await[0].covered_until());
    let of_files = verified.clone().map(|one| NewestBackup { kind: BackupKind::Physical, ..one });
    let both = [&of_files[..], &verified].concat();
    for (known, kind) in [(&of_files[..], BackupKind::Physical), (&both, BackupKind::Logical)] {
        let found = logs::look(&*lab.store, known, &cx.cx).await.replayable.unwrap();
        assert_eq!((found.until, found.kind), (until, kind));
    }
    // What is purged before it is archived ends what can be reached.
    let purged = ["FLUSH BINARY LOGS", "INSERT INTO shop.t VALUES (2)", "FLUSH BINARY LOGS"];
    tell(&primary, &purged).await;
    tell(&primary, &["PURGE BINARY LOGS TO 'bin.000004'", "INSERT INTO shop.t VALUES (3)"]).await;
    lab.archive().await;
    let found = logs::look(&*lab.store, &verified, &cx.cx).await;
    let warning = found.warning.unwrap();
    assert!(warning.starts_with("the archived binary logs bring backup://primary/shop/b1 to "), "{warning}");
    assert!(warning.contains(" only: bin.00000"), "{warning}");
    assert!(found.replayable.unwrap().until >= until);
}
