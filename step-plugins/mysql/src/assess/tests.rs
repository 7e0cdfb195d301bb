//! What is proposed for what is seen: by made-up sights, and by a real server.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::step::Step as _;
use rekindle_engine::testing::context;
use serde_json::json;

use super::judge::{Seen, achievable_rpo, judge};
use super::*;
use crate::assert::tests::{filled, publish};
use crate::testing::world_of;

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

fn seen(servers: Vec<ServerState>) -> Seen {
    let newest = NewestBackup {
        uri: "backup://primary/shop/b1".parse().unwrap(),
        recovery_point: "2026-11-22T15:00:00Z".parse().unwrap(),
        age_seconds: 3600,
    };
    Seen { servers, lost: Vec::new(), newest_verified: Some(newest), environment: "prod".to_owned() }
}

fn told(seen: &Seen) -> String {
    let judgement = judge(seen);
    format!("{:?}: {}\n{}", judgement.strategy, judgement.why, judgement.next.join("\n"))
}

#[test]
fn a_sound_cluster_needs_nothing_but_a_verified_backup() {
    let mut seen = seen(vec![server("primary", Role::Primary), replica("replica-0", Some(0), None)]);
    insta::assert_snapshot!(told(&seen), @"Nothing: every server is up, and every replica has caught up");
    seen.newest_verified = None;
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
    seen.newest_verified = None;
    assert!(judge(&seen).next[1].starts_with("there is no verified backup"), "{:?}", judge(&seen));
}

#[test]
fn lost_tables_on_a_living_primary_are_brought_back_from_a_backup() {
    let mut seen = seen(vec![server("primary", Role::Primary)]);
    seen.lost = (1..=5).map(|n| format!("table shop.t{n} is gone")).collect();
    insta::assert_snapshot!(told(&seen), @r"
    DataCorruption: `primary` is up, but table shop.t1 is gone; table shop.t2 is gone; table shop.t3 is gone; and 2 more
    make sure that it is not meant to be so: what was dropped on purpose is no loss
    one table: `rekindle run restore-table -e prod`
    all of it, as of the moment before: `rekindle run point-in-time-recovery -e prod`; without archived binary logs `rekindle run disaster-recovery -e prod --set overwrite_primary=true` brings back the newest verified backup
    ");
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
    nothing.newest_verified = None;
    assert_eq!(achievable_rpo(&nothing), None);
}

#[tokio::test]
async fn a_dropped_table_and_a_replica_that_is_gone_are_seen_on_real_servers() {
    let (server, mut open) = filled(Flavour::Mariadb, "primary").await;
    let (world, mut settings) = world_of(&[("primary", server.login())]);
    settings.stores.insert("main".into(), StoreConfig::at("memory:main"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gone = settings.targets.values().next().unwrap().clone();
    gone.port = listener.local_addr().unwrap().port();
    drop(listener);
    settings.targets.insert("replica-0".into(), gone);
    let inventory = crate::inventory::read(&mut open.session).await.unwrap();
    let uri = publish(&world, &mut open, inventory).await;
    let verdict = rekindle_backup::verdict::Verdict {
        level: rekindle_backup::verdict::Level::Content,
        ok: true,
        at: world.world.clock.now(),
        by_run: "r".into(),
        problems: Vec::new(),
        drill: None,
    };
    let store = world.stores.store("memory:main");
    rekindle_backup::catalogue::store_verdict(&*store, &uri, &verdict).await.unwrap();
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
    assert_eq!(outputs.newest_verified.unwrap().uri, uri);
    assert_eq!(outputs.unknown.len(), 1);
}
