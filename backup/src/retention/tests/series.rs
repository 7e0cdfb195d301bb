//! Each series is counted by itself, and only one that has as much takes another's place.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::{Candidate, KeepRules, Only, Promise, Series, Standing, Window, decide};
use super::{NOW, candidate, decided, hours, last, show, whole};
use crate::covers::{Covers, Held};
use crate::manifest::BackupKind;

/// The logical backups of one database.
pub(super) fn of_shop() -> Series {
    Series {
        kind: BackupKind::Logical,
        covers: Covers::Part(BTreeMap::from([("shop".to_owned(), Held::Whole)])),
    }
}

fn of(series: Series, at: &str, standing: Standing) -> Candidate {
    Candidate { series: Some(series), ..candidate(at, standing) }
}

fn physical(at: &str) -> Candidate {
    of(whole(BackupKind::Physical), at, Standing::Verified)
}

#[test]
fn a_week_of_daily_physical_backups_pushes_out_no_logical_one() {
    let mut backups: Vec<_> = (12..22).map(|day| physical(&format!("2026-11-{day}T03:00:00Z"))).collect();
    for at in ["2026-11-01T01:00:00Z", "2026-11-08T01:00:00Z", "2026-10-25T01:00:00Z"] {
        backups.push(candidate(at, Standing::Verified));
    }
    insta::assert_snapshot!(decided(&backups, &last(2)), @r"
    keep 2026-11-21T03:00:00Z: the newest (physical), the last verified (physical), last 2 (physical)
    keep 2026-11-20T03:00:00Z: last 2 (physical)
    remove 2026-11-19T03:00:00Z: no rule keeps it
    remove 2026-11-18T03:00:00Z: no rule keeps it
    remove 2026-11-17T03:00:00Z: no rule keeps it
    remove 2026-11-16T03:00:00Z: no rule keeps it
    remove 2026-11-15T03:00:00Z: no rule keeps it
    remove 2026-11-14T03:00:00Z: no rule keeps it
    remove 2026-11-13T03:00:00Z: no rule keeps it
    remove 2026-11-12T03:00:00Z: no rule keeps it
    keep 2026-11-08T01:00:00Z: the newest (logical), the last verified (logical), last 2 (logical)
    keep 2026-11-01T01:00:00Z: last 2 (logical)
    remove 2026-10-25T01:00:00Z: no rule keeps it
    ");
}

#[test]
fn newer_backups_of_one_database_cost_no_backup_of_everything() {
    let mut backups: Vec<_> = (10..15)
        .map(|hour| of(of_shop(), &format!("2026-11-22T{hour}:00:00Z"), Standing::Verified))
        .collect();
    backups.push(candidate("2026-11-20T01:00:00Z", Standing::Unverified));
    backups.push(candidate("2026-11-19T01:00:00Z", Standing::Verified));
    insta::assert_snapshot!(decided(&backups, &last(1)), @r"
    keep 2026-11-22T14:00:00Z: the newest (only shop), the last verified (only shop), last 1 (only shop)
    remove 2026-11-22T13:00:00Z: no rule keeps it
    remove 2026-11-22T12:00:00Z: no rule keeps it
    remove 2026-11-22T11:00:00Z: no rule keeps it
    remove 2026-11-22T10:00:00Z: no rule keeps it
    keep 2026-11-20T01:00:00Z: the newest (logical), last 1 (logical)
    keep 2026-11-19T01:00:00Z: the last verified (logical)
    ");
}

#[test]
fn the_newest_of_one_database_stays_until_a_newer_verified_one_of_everything_has_it_too() {
    let rules = KeepRules { keep_within: Some(hours(1)), ..KeepRules::default() };
    let after = |series: Series, standing| {
        let old = of(of_shop(), "2026-11-10T01:00:00Z", Standing::Verified);
        let decisions = decide(
            &[old, of(series, "2026-11-11T01:00:00Z", standing)],
            &rules,
            None,
            &[],
            NOW.parse().unwrap(),
        );
        decisions[1].keep
    };
    assert!(!after(whole(BackupKind::Logical), Standing::Verified));
    assert!(after(whole(BackupKind::Logical), Standing::Unverified), "nobody knows whether that is good");
    assert!(after(whole(BackupKind::Logical), Standing::Failed));
    assert!(after(whole(BackupKind::Physical), Standing::Verified), "one database is not taken out of that");
}

#[test]
fn rules_that_are_for_some_backups_leave_all_others_alone() {
    let backups = [
        of(of_shop(), "2026-11-22T03:00:00Z", Standing::Verified),
        of(of_shop(), "2026-11-22T02:00:00Z", Standing::Verified),
        physical("2026-11-21T03:00:00Z"),
        physical("2026-11-20T03:00:00Z"),
        candidate("2026-11-21T01:00:00Z", Standing::Verified),
        candidate("2026-11-20T01:00:00Z", Standing::Verified),
    ];
    let told = |only: Only| show(&decide(&backups, &last(1), Some(&only), &[], NOW.parse().unwrap()));
    let shop = Only { kind: BackupKind::Logical, databases: vec!["shop".to_owned()], tables: Vec::new() };
    insta::assert_snapshot!(told(shop), @r"
    keep 2026-11-22T03:00:00Z: the newest (only shop), the last verified (only shop), last 1 (only shop)
    remove 2026-11-22T02:00:00Z: no rule keeps it
    keep 2026-11-21T03:00:00Z: the newest (physical), the last verified (physical)
    keep 2026-11-21T01:00:00Z: the newest (logical), the last verified (logical)
    keep 2026-11-20T03:00:00Z: the rules are for logical backups of shop
    keep 2026-11-20T01:00:00Z: the rules are for logical backups of shop
    ");
    let everything = Only { kind: BackupKind::Physical, databases: Vec::new(), tables: Vec::new() };
    insta::assert_snapshot!(told(everything), @r"
    keep 2026-11-22T03:00:00Z: the newest (only shop), the last verified (only shop)
    keep 2026-11-22T02:00:00Z: the rules are for physical backups of everything
    keep 2026-11-21T03:00:00Z: the newest (physical), the last verified (physical), last 1 (physical)
    keep 2026-11-21T01:00:00Z: the newest (logical), the last verified (logical)
    remove 2026-11-20T03:00:00Z: no rule keeps it
    keep 2026-11-20T01:00:00Z: the rules are for physical backups of everything
    ");
}

#[test]
fn a_window_stands_on_no_backup_of_one_database() {
    let now: Timestamp = NOW.parse().unwrap();
    let backups = [
        candidate("2026-11-22T01:00:00Z", Standing::Verified),
        of(of_shop(), "2026-11-20T01:00:00Z", Standing::Verified),
        candidate("2026-11-19T01:00:00Z", Standing::Verified),
    ];
    let window = Window { length: hours(24), promise: Promise::BinaryLogs };
    assert_eq!(window.stands_on(&backups, now), Some(backups[2].at));
    let decisions = decide(&backups, &last(1), None, &[window], now);
    assert!(decisions.iter().all(|decision| decision.keep));
    assert!(decisions[2].reason.contains("the start of the 1d of binary logs"), "{decisions:?}");
    // While nothing but parts is there, there is no start at all.
    let old = now.checked_sub(SignedDuration::from_hours(48)).unwrap();
    let parts = [of(of_shop(), &old.to_string(), Standing::Verified)];
    assert_eq!(window.stands_on(&parts, now), None);
}
