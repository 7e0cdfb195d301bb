//! Sets of GTIDs, gaps, and logs that a real server wrote.

use super::*;
use crate::manifest::Flavour;

fn mysql(text: &str) -> GtidSet {
    GtidSet::read(Flavour::Mysql, text).unwrap()
}

fn mariadb(text: &str) -> GtidSet {
    GtidSet::read(Flavour::Mariadb, text).unwrap()
}

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

#[test]
fn a_set_takes_in_another_of_its_flavour() {
    let both = |flavour, one: &str, other: &str| {
        let mut set = GtidSet::read(flavour, one).unwrap();
        set.add_all(&GtidSet::read(flavour, other).unwrap());
        set.to_string()
    };
    let source = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    let mysql = both(Flavour::Mysql, &format!("{source}:5-6"), &format!("{source}:1-4:9"));
    assert_eq!(mysql, format!("{source}:1-6:9"));
    assert_eq!(both(Flavour::Mariadb, "0-1-7,1-1-3", "0-2-9,1-1-2,2-1-1"), "0-2-9,1-1-3,2-1-1");
}

#[test]
fn sets_of_mysql_grow_together_and_read_back_as_written() {
    let mut set = mysql(&format!("{UUID}:1-3:7,\n{}:TAG:2", UUID.to_uppercase()));
    assert_eq!(set.to_string(), format!("{UUID}:1-3:7,{UUID}:tag:2"));
    for number in [5, 4, 6] {
        set.add(&Gtid::Mysql { source: UUID.to_owned(), number });
    }
    assert_eq!(set.to_string(), format!("{UUID}:1-7,{UUID}:tag:2"));
    assert_eq!(mysql(&set.to_string()), set);
    assert_eq!(mysql(&format!("{UUID}:1-7:tag:2")), set);
    assert!(set.covers(&mysql(&format!("{UUID}:2-3:7"))));
    assert!(!set.covers(&mysql(&format!("{UUID}:7-8"))));
    assert!(set.contains(&Gtid::read(&format!("{UUID}:tag:2")).unwrap()));
    assert!(!set.contains(&Gtid::read(&format!("{UUID}:other:2")).unwrap()));
}

#[test]
fn positions_of_mariadb_hold_everything_before_them_in_each_domain() {
    let set = mariadb("0-1-5,1-7-100");
    assert!(set.contains(&Gtid::read("0-2-4").unwrap()));
    assert!(!set.contains(&Gtid::read("0-1-6").unwrap()) && !set.contains(&Gtid::read("2-1-1").unwrap()));
    assert!(set.covers(&mariadb("0-1-5")) && !set.covers(&mariadb("0-2-5")));
    assert_eq!(set.to_string(), "0-1-5,1-7-100");
}

#[test]
fn what_is_no_gtid_is_not_read() {
    for text in ["", "0-1", "0-1-2-3", "a-b-c", "x:1", &format!("{UUID}:0"), &format!("{UUID}:1:2:3")] {
        assert_eq!(Gtid::read(text), None, "{text}");
    }
    for text in [format!("{UUID}:5-4"), format!("{UUID}:0-4"), "0-1-5".to_owned(), format!("{UUID}:1:9x:1")] {
        assert_eq!(GtidSet::read(Flavour::Mysql, &text), None, "{text}");
    }
    assert_eq!(GtidSet::read(Flavour::Mariadb, &format!("{UUID}:1-5")), None);
}

#[test]
fn a_server_can_not_choose_where_a_log_is_stored() {
    assert_eq!(log_number("mysql-bin.000012"), Some(12));
    for name in ["../bin.000001", "bin", "bin.", ".bin.1", "a/b.1", "bin.1x", "bin.-1", "b\u{0}n.1"] {
        assert_eq!(log_number(name), None, "{name}");
    }
}

#[test]
fn the_key_of_a_segment_tells_its_place() {
    let timeline = TimelineKey {
        cluster: "shop".to_owned(),
        server: "mariadb-0-1".to_owned(),
        timeline: "20261122T150000Z-bin.000001".to_owned(),
    };
    let place = SegmentKey { number: 12, from: 4, log: "my.bin.000012".to_owned() };
    let key = timeline.key(&place.entry()).unwrap();
    assert_eq!(
        key.as_str(),
        "binlogs/shop/mariadb-0-1/20261122T150000Z-bin.000001/my.bin.000012.000000000004.json"
    );
    assert_eq!(SegmentKey::read(&key), Some((timeline.clone(), place.clone())));
    for name in [place.object(99), "covered.json".to_owned(), "bin.x.000000000004.json".to_owned()] {
        assert_eq!(SegmentKey::read(&timeline.key(&name).unwrap()), None, "{name}");
    }
}

fn segment(log: u64, from: u64, to: u64, ends_log: bool, after: Option<&str>) -> Segment {
    serde_json::from_value(serde_json::json!({
        "format": 1, "cluster": "shop", "timeline": "t",
        "server": { "flavour": "mariadb", "version": "10.11", "server_id": 1 },
        "log": format!("bin.{log:06}"), "number": log, "from": from, "to": to, "ends_log": ends_log,
        "log_created_at": "2026-11-22T15:00:00Z", "last_event": { "position": to - 1, "sha256": "" },
        "transactions": 1, "covered_until": "2026-11-22T15:00:00Z", "object": "o", "size_bytes": 1,
        "sha256": "", "log_bytes": 1, "after": after, "archived_at": "2026-11-22T15:00:00Z",
        "tool": { "name": "mariadb-binlog", "version": "" }
    }))
    .unwrap()
}

#[tokio::test]
async fn of_timelines_that_began_in_one_second_the_one_that_was_archived_first_is_the_older() {
    let store = rekindle_engine::testing::MemoryStore::new("memory:a");
    for (timeline, archived_at) in [("t-b", "2026-11-22T15:00:01.1Z"), ("t-a", "2026-11-22T15:00:01.2Z")] {
        let key = TimelineKey {
            cluster: "shop".to_owned(),
            server: "mariadb-0-1".to_owned(),
            timeline: timeline.to_owned(),
        };
        let segment = Segment {
            timeline: timeline.to_owned(),
            archived_at: archived_at.parse().unwrap(),
            ..segment(1, 4, 900, true, None)
        };
        archive::store_segment(&store, &key, &segment).await.unwrap();
    }
    let timelines = archive::load(&store, "shop").await.unwrap();
    let names: Vec<&str> = timelines.iter().map(|timeline| timeline.key.timeline.as_str()).collect();
    assert_eq!(names, ["t-b", "t-a"]);
}

#[test]
fn what_is_missing_is_told_by_name() {
    let gap = |first: Segment, second: Segment| {
        chain::gap_between(&first, &second).map_or_else(|| "none".to_owned(), |gap| gap.to_string())
    };
    let whole = || segment(11, 4, 900, true, None);
    assert_eq!(gap(whole(), segment(12, 4, 900, true, Some("bin.000011:4"))), "none");
    insta::assert_snapshot!(gap(whole(), segment(13, 4, 900, true, None)), @"bin.000012 is missing: it was purged before it was archived");
    insta::assert_snapshot!(gap(whole(), segment(15, 4, 900, true, None)), @"bin.000012 to bin.000014 are missing: they were purged before they were archived");
    let part = || segment(11, 4, 500, false, None);
    insta::assert_snapshot!(gap(part(), segment(12, 4, 900, true, None)), @"bin.000011 from position 500 on is missing: it was purged before it was archived");
    insta::assert_snapshot!(gap(part(), segment(13, 4, 900, true, None)), @"bin.000011 from position 500 on and bin.000012 are missing: they were purged before they were archived");
    insta::assert_snapshot!(gap(part(), segment(11, 700, 900, true, None)), @"bin.000011 from position 500 to 700 is missing: it was purged before it was archived");
}

#[test]
fn logs_that_a_kept_backup_needs_are_never_unneeded() {
    let at = |segment: Segment, time: &str| Segment { covered_until: time.parse().unwrap(), ..segment };
    let timeline = |name: &str, segments: Vec<Segment>| archive::Timeline {
        key: TimelineKey { cluster: "shop".into(), server: "s".into(), timeline: name.into() },
        segments,
        covered: None,
    };
    let old = [at(segment(1, 4, 9, true, None), "2026-11-20T10:00:00Z")];
    let new = [
        at(segment(1, 4, 9, true, None), "2026-11-22T10:00:00Z"),
        at(segment(2, 4, 9, true, None), "2026-11-22T11:00:00Z"),
        at(segment(3, 4, 9, true, None), "2026-11-22T12:00:00Z"),
    ];
    let timelines = [timeline("a", old.to_vec()), timeline("b", new.to_vec())];
    let gone = |from: &str| -> Vec<String> {
        let unneeded = prune::unneeded(&timelines, from.parse().unwrap());
        unneeded.iter().map(|one| format!("{} {}", one.timeline.timeline, one.segment.log)).collect()
    };
    assert_eq!(gone("2026-11-20T09:00:00Z"), Vec::<String>::new());
    assert_eq!(gone("2026-11-22T11:00:00Z"), ["a bin.000001", "b bin.000001"]);
    // The clocks may differ.
    assert_eq!(gone("2026-11-22T11:05:00Z"), ["a bin.000001", "b bin.000001"]);
    assert_eq!(gone("2026-12-01T00:00:00Z"), ["a bin.000001", "b bin.000001", "b bin.000002"]);
}

/// What `mariadbd` 10.11.19 wrote: a database, a table, a row.
const LOG: &[u8] = include_bytes!("testdata/mariadb-10.11.binlog");

fn read(log: &[u8]) -> Result<Vec<String>, BinlogError> {
    let mut events = Events::new(log)?;
    let (mut transactions, mut tables) = (Transactions::default(), Tables::default());
    let mut seen = Vec::new();
    let tell = |one: &Transaction| {
        let gtid = one.gtid.as_ref().map_or_else(String::new, ToString::to_string);
        format!("{gtid} {}..{} {} bytes", one.start, one.end, one.size_bytes)
    };
    while let Some(event) = events.next_event()? {
        let (_, over) = transactions.take(&event);
        seen.extend(over.as_ref().map(tell));
        seen.extend(Query::of(&event).map(|query| format!("[{}] {}", query.database, query.sql)));
        seen.extend(
            tables.take(&event).map(|change| format!("{} {}.{}", change.verb, change.database, change.table)),
        );
    }
    if let Some((last, is_complete)) = transactions.end() {
        seen.push(format!("{} complete: {is_complete}", tell(&last)));
    }
    Ok(seen)
}

#[test]
fn a_log_of_mariadb_is_read_into_transactions() {
    insta::assert_snapshot!(read(LOG).unwrap().join("\n"), @r"
    [shop] create database shop
    0-7-1 322..451 129 bytes
    [] create table shop.t(id int primary key, v varchar(20))
    0-7-2 451..619 168 bytes
    [] insert into shop.t values(1,'a')
    INSERT shop.t
    0-7-3 619..834 215 bytes
    ");
}

#[test]
fn every_changed_byte_of_an_event_is_found() {
    for at in 4..LOG.len() {
        // Whether a log is in use is the one thing that the server changes afterwards.
        if at == 4 + 17 {
            continue;
        }
        let mut damaged = LOG.to_vec();
        damaged[at] ^= 0x41;
        assert!(read(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn a_log_that_was_cut_is_told_from_one_that_ends() {
    let ends: Vec<usize> = {
        let mut events = Events::new(LOG).unwrap();
        let mut ends = vec![4];
        while events.next_event().unwrap().is_some() {
            ends.push(usize::try_from(events.offset()).unwrap());
        }
        ends
    };
    for cut in 0..LOG.len() {
        let is_cut = matches!(read(&LOG[..cut]), Err(BinlogError::Cut { .. } | BinlogError::NoLog));
        assert_eq!(is_cut, !ends.contains(&cut), "cut at {cut}");
    }
}
