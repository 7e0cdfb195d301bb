//! What a promised window needs stays, and no more of it than that.

use jiff::{SignedDuration, Timestamp};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::super::{Candidate, Promise, Standing, Window, decide};
use super::{NOW, candidate, candidates, hours, increments, last, of_shop, rules, show, unverified, whole};
use crate::manifest::BackupKind;

fn window(days: u64) -> Window {
    Window { length: hours(24 * days), promise: Promise::BinaryLogs }
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Gives a backup for each day before the 22nd, the newest of 01:00 that day.
fn daily(days: u32) -> Vec<Candidate> {
    let newest: Timestamp = "2026-11-22T01:00:00Z".parse().unwrap();
    (0..days)
        .map(|day| {
            let at = newest - SignedDuration::from_hours(24 * i64::from(day));
            candidate(&at.to_string(), Standing::Verified)
        })
        .collect()
}

#[test]
fn the_backup_that_the_window_stands_on_stays_and_the_one_that_it_will_stand_on_next() {
    let decisions = decide(&daily(16), &last(2), None, &[window(4)], now());
    let kept: Vec<_> = decisions.into_iter().filter(|one| one.keep).collect();
    insta::assert_snapshot!(show(&kept), @r"
    keep 2026-11-22T01:00:00Z: the newest, the last verified, last 2
    keep 2026-11-21T01:00:00Z: last 2
    keep 2026-11-19T01:00:00Z: the next start of the 4d of binary logs
    keep 2026-11-18T01:00:00Z: the start of the 4d of binary logs
    ");
}

#[test]
fn while_all_backups_are_younger_than_the_window_the_oldest_stays() {
    let promised = Window { promise: Promise::Recovery, ..window(30) };
    insta::assert_snapshot!(show(&decide(&daily(3), &last(1), None, &[promised], now())), @r"
    keep 2026-11-22T01:00:00Z: the newest, the last verified, last 1
    remove 2026-11-21T01:00:00Z: no rule keeps it
    keep 2026-11-20T01:00:00Z: the next start of the recovery window of 30d
    ");
    assert_eq!(window(30).stands_on(&daily(3), now()), None);
}

#[test]
fn a_window_stands_on_no_backup_that_is_bad_and_on_a_proven_one_besides() {
    let backups = [
        candidate("2026-11-22T01:00:00Z", Standing::Verified),
        candidate("2026-11-18T03:00:00Z", Standing::Failed),
        candidate("2026-11-18T02:00:00Z", Standing::Damaged),
        candidate("2026-11-18T01:00:00Z", Standing::Unverified),
        candidate("2026-11-17T01:00:00Z", Standing::Verified),
        candidate("2026-11-16T01:00:00Z", Standing::Verified),
    ];
    insta::assert_snapshot!(show(&decide(&backups, &last(1), None, &[window(2)], now())), @r"
    keep 2026-11-22T01:00:00Z: the newest, the last verified, last 1, the next start of the 2d of binary logs
    remove 2026-11-18T03:00:00Z: no rule keeps it, and its verification failed
    keep 2026-11-18T02:00:00Z: its manifest can't be read: look at it, then remove it by hand
    keep 2026-11-18T01:00:00Z: the start of the 2d of binary logs
    keep 2026-11-17T01:00:00Z: the start of the 2d of binary logs
    remove 2026-11-16T01:00:00Z: no rule keeps it
    ");
    assert_eq!(window(2).stands_on(&backups, now()), Some("2026-11-17T01:00:00Z".parse().unwrap()));
}

#[test]
fn each_kind_that_is_in_use_has_its_own_start_and_one_that_is_not_keeps_nothing() {
    let mut backups = unverified([
        "2026-11-22T01:00:00Z",
        "2026-11-21T01:00:00Z",
        "2026-11-19T01:00:00Z",
        "2026-11-12T01:00:00Z",
    ]);
    backups[1].series = Some(whole(BackupKind::Physical));
    backups[2].series = Some(whole(BackupKind::Physical));
    let starts = |backups: &[Candidate]| window(2).stands_on(backups, now());
    assert_eq!(starts(&backups), Some(backups[3].at), "of the logical ones");
    backups[0].series = Some(whole(BackupKind::Physical));
    assert_eq!(starts(&backups), Some(backups[2].at), "no logical one is made any more");
    let old = &backups[3..];
    assert_eq!(starts(old), Some(old[0].at), "nothing is made any more");
}

#[test]
fn what_the_start_of_a_window_builds_on_stays() {
    let times = ["2026-11-16T01:00:00Z", "2026-11-17T01:00:00Z", "2026-11-21T01:00:00Z"];
    let backups = increments(unverified(times), &[1]);
    insta::assert_snapshot!(show(&decide(&backups, &last(1), None, &[window(2)], now())), @r"
    keep 2026-11-21T01:00:00Z: the newest, last 1, the next start of the 2d of binary logs
    keep 2026-11-17T01:00:00Z: the start of the 2d of binary logs
    keep 2026-11-16T01:00:00Z: the base of 2026-11-17T01:00:00Z
    ");
}

proptest! {
    #[test]
    fn the_newest_usable_backup_before_a_window_is_never_removed(
        backups in candidates(), rules in rules(), length in 1_u64..5000,
    ) {
        let window = Window { length: hours(length), promise: Promise::BinaryLogs };
        let start = window.start(now());
        let kept: Vec<_> =
            decide(&backups, &rules, None, &[window], now()).into_iter().filter(|one| one.keep).collect();
        let usable = |one: &&Candidate| {
            matches!(one.standing, Standing::Verified | Standing::Unverified) && one.series != Some(of_shop())
        };
        let newest = backups.iter().filter(usable).filter(|one| one.at <= start).map(|one| one.at).max();
        let in_use = |kind| backups.iter().filter(usable).any(|one| one.series == Some(whole(kind)) && one.at > start);
        if in_use(BackupKind::Logical) == in_use(BackupKind::Physical) && let Some(at) = newest {
            let is_kept = |one: &&Candidate| kept.iter().any(|kept| kept.uri == one.uri);
            prop_assert!(backups.iter().filter(usable).filter(is_kept).any(|one| one.at == at));
            prop_assert!(window.stands_on(&backups, now()).is_some_and(|from| from <= at));
        }
    }

    /// As a nightly backup does it: made, then pruned, day after day.
    #[test]
    fn a_window_is_reached_every_day_and_never_from_further_back_than_twice_its_length(
        rules in rules(), days in 2_u64..20, holes in proptest::collection::vec(proptest::bool::ANY, 60),
    ) {
        let window = window(days);
        let first: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let mut there: Vec<Candidate> = Vec::new();
        let mut oldest_ever = None;
        for (day, hole) in holes.into_iter().enumerate() {
            let today = first + SignedDuration::from_hours(24 * i64::try_from(day).unwrap());
            // At most every second night fails.
            if !(hole && day % 2 == 1) {
                there.push(candidate(&today.to_string(), Standing::Verified));
                oldest_ever.get_or_insert(today);
            }
            let later = today + SignedDuration::from_hours(1);
            let decisions = decide(&there, &rules, None, &[window], later);
            there.retain(|one| decisions.iter().any(|decision| decision.keep && decision.uri == one.uri));
            let start = window.start(later);
            let from = window.stands_on(&there, later);
            prop_assert_eq!(from.is_some(), oldest_ever.is_some_and(|oldest| oldest <= start));
            if let Some(from) = from {
                let most = SignedDuration::from_hours(24 * i64::try_from(2 * days + 1).unwrap());
                prop_assert!(later.duration_since(from) <= most, "{from} at {later}");
            }
        }
    }
}
