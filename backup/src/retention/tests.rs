//! What stays and what goes, by example and by property.

mod series;
mod window;

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, proptest};
use rekindle_engine::values::DurationText;

use self::series::of_shop;
use super::{Candidate, Decision, KeepRules, Series, Standing, decide};
use crate::covers::Covers;
use crate::layout::BackupUri;
use crate::manifest::BackupKind;

const NOW: &str = "2026-11-22T15:00:00Z";

fn candidate(at: &str, standing: Standing) -> Candidate {
    let uri = BackupUri { store: "p".into(), cluster: "shop".into(), id: at.to_owned() };
    let series = standing.unread().is_none().then(|| whole(BackupKind::Logical));
    Candidate { uri, at: at.parse().unwrap(), series, standing, kept: None, base: None, used_by: None }
}

fn whole(kind: BackupKind) -> Series {
    Series { kind, covers: Covers::Everything }
}

fn unverified<'a>(times: impl IntoIterator<Item = &'a str>) -> Vec<Candidate> {
    times.into_iter().map(|at| candidate(at, Standing::Unverified)).collect()
}

fn n(count: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(count)
}

fn last(count: u32) -> KeepRules {
    KeepRules { keep_last: n(count), ..KeepRules::default() }
}

fn hours(count: u64) -> DurationText {
    DurationText(Duration::from_secs(count * 3600))
}

fn show(decisions: &[Decision]) -> String {
    let line = |one: &Decision| {
        format!("{} {}: {}\n", if one.keep { "keep" } else { "remove" }, one.uri.id, one.reason)
    };
    decisions.iter().map(line).collect()
}

fn decided(backups: &[Candidate], rules: &KeepRules) -> String {
    show(&decide(backups, rules, None, &[], NOW.parse().unwrap()))
}

#[test]
fn the_newest_so_many_stay() {
    let backups = unverified(["2026-11-20T01:00:00Z", "2026-11-22T01:00:00Z", "2026-11-21T01:00:00Z"]);
    insta::assert_snapshot!(decided(&backups, &last(2)), @r"
    keep 2026-11-22T01:00:00Z: the newest, last 2
    keep 2026-11-21T01:00:00Z: last 2
    remove 2026-11-20T01:00:00Z: no rule keeps it
    ");
}

/// Makes the `at`-th an increment to the one before it.
fn increments(mut backups: Vec<Candidate>, at: &[usize]) -> Vec<Candidate> {
    for at in at {
        backups[*at].base = Some(backups[at - 1].uri.id.clone());
    }
    backups
}

#[test]
fn what_a_kept_increment_builds_on_stays_with_all_that_it_builds_on() {
    let times = [
        "2026-11-17T01:00:00Z",
        "2026-11-18T01:00:00Z",
        "2026-11-19T01:00:00Z",
        "2026-11-20T01:00:00Z",
        "2026-11-21T01:00:00Z",
    ];
    let backups = increments(unverified(times), &[2, 3, 4]);
    insta::assert_snapshot!(decided(&backups, &last(1)), @r"
    keep 2026-11-21T01:00:00Z: the newest, last 1
    keep 2026-11-20T01:00:00Z: the base of 2026-11-21T01:00:00Z
    keep 2026-11-19T01:00:00Z: the base of 2026-11-20T01:00:00Z
    keep 2026-11-18T01:00:00Z: the base of 2026-11-19T01:00:00Z
    remove 2026-11-17T01:00:00Z: no rule keeps it
    ");
}

#[test]
fn a_marked_increment_keeps_its_base_and_one_that_goes_does_not() {
    let times =
        ["2026-11-18T01:00:00Z", "2026-11-19T01:00:00Z", "2026-11-20T01:00:00Z", "2026-11-21T01:00:00Z"];
    let mut backups = increments(unverified(times), &[1, 2]);
    backups[1].kept = Some("audit".to_owned());
    insta::assert_snapshot!(decided(&backups, &last(1)), @r"
    keep 2026-11-21T01:00:00Z: the newest, last 1
    remove 2026-11-20T01:00:00Z: no rule keeps it
    keep 2026-11-19T01:00:00Z: marked: audit
    keep 2026-11-18T01:00:00Z: the base of 2026-11-19T01:00:00Z
    ");
}

#[test]
fn what_a_run_works_with_stays_with_all_that_it_builds_on() {
    let times =
        ["2026-11-18T01:00:00Z", "2026-11-19T01:00:00Z", "2026-11-20T01:00:00Z", "2026-11-21T01:00:00Z"];
    let mut backups = increments(unverified(times), &[1]);
    backups[1].used_by = Some("20261121T235959Z-beef".into());
    insta::assert_snapshot!(decided(&backups, &last(1)), @r"
    keep 2026-11-21T01:00:00Z: the newest, last 1
    remove 2026-11-20T01:00:00Z: no rule keeps it
    keep 2026-11-19T01:00:00Z: in use by run 20261121T235959Z-beef
    keep 2026-11-18T01:00:00Z: the base of 2026-11-19T01:00:00Z
    ");
}

#[test]
fn what_is_young_enough_stays_to_the_second() {
    let backups = unverified(["2026-11-22T14:59:00Z", "2026-11-22T13:00:00Z", "2026-11-22T12:59:59Z"]);
    let rules = KeepRules { keep_within: Some(hours(2)), ..KeepRules::default() };
    insta::assert_snapshot!(decided(&backups, &rules), @r"
    keep 2026-11-22T14:59:00Z: the newest, within 2h
    keep 2026-11-22T13:00:00Z: within 2h
    remove 2026-11-22T12:59:59Z: no rule keeps it
    ");
}

#[test]
fn calendar_rules_keep_the_newest_of_each_period_that_has_one() {
    let backups = unverified([
        "2026-11-22T14:30:00Z",
        "2026-11-22T14:10:00Z",
        "2026-11-22T09:00:00Z",
        "2026-11-21T23:00:00Z",
        "2026-11-15T23:00:00Z",
        "2026-10-31T00:00:00Z",
        "2025-12-31T00:00:00Z",
        "2024-01-01T00:00:00Z",
    ]);
    let rules = KeepRules {
        keep_hourly: n(2),
        keep_daily: n(2),
        keep_weekly: n(2),
        keep_monthly: n(2),
        keep_yearly: n(2),
        ..KeepRules::default()
    };
    insta::assert_snapshot!(decided(&backups, &rules), @r"
    keep 2026-11-22T14:30:00Z: the newest, hourly 2026-11-22T14, daily 2026-11-22, weekly 2026-W47, monthly 2026-11, yearly 2026
    remove 2026-11-22T14:10:00Z: no rule keeps it
    keep 2026-11-22T09:00:00Z: hourly 2026-11-22T09
    keep 2026-11-21T23:00:00Z: daily 2026-11-21
    keep 2026-11-15T23:00:00Z: weekly 2026-W46
    keep 2026-10-31T00:00:00Z: monthly 2026-10
    keep 2025-12-31T00:00:00Z: yearly 2025
    remove 2024-01-01T00:00:00Z: no rule keeps it
    ");
}

#[test]
fn weeks_are_those_of_iso_8601_across_the_turn_of_the_year() {
    let backups = unverified(["2027-01-03T00:00:00Z", "2026-12-28T00:00:00Z", "2026-12-27T00:00:00Z"]);
    let rules = KeepRules { keep_weekly: n(9), ..KeepRules::default() };
    insta::assert_snapshot!(decided(&backups, &rules), @r"
    keep 2027-01-03T00:00:00Z: the newest, weekly 2026-W53
    remove 2026-12-28T00:00:00Z: no rule keeps it
    keep 2026-12-27T00:00:00Z: weekly 2026-W52
    ");
}

#[test]
fn the_last_verified_and_marked_ones_stay_whatever_the_rules_say() {
    let mut backups = vec![
        candidate("2026-11-22T01:00:00Z", Standing::Unverified),
        candidate("2026-11-21T01:00:00Z", Standing::Verified),
        candidate("2026-11-20T01:00:00Z", Standing::Verified),
        candidate("2026-11-19T01:00:00Z", Standing::Unverified),
    ];
    backups[3].kept = Some("the auditors want it".to_owned());
    insta::assert_snapshot!(decided(&backups, &last(1)), @r"
    keep 2026-11-22T01:00:00Z: the newest, last 1
    keep 2026-11-21T01:00:00Z: the last verified
    remove 2026-11-20T01:00:00Z: no rule keeps it
    keep 2026-11-19T01:00:00Z: marked: the auditors want it
    ");
}

#[test]
fn a_bad_backup_takes_no_good_ones_place() {
    let backups = [
        candidate("2026-11-22T03:00:00Z", Standing::Failed),
        candidate("2026-11-22T02:00:00Z", Standing::Damaged),
        candidate("2026-11-22T01:00:00Z", Standing::Verified),
        candidate("2026-11-21T01:00:00Z", Standing::Unverified),
        candidate("2026-11-20T03:00:00Z", Standing::Failed),
        candidate("2026-11-20T01:00:00Z", Standing::Unverified),
    ];
    insta::assert_snapshot!(decided(&backups, &last(2)), @r"
    keep 2026-11-22T03:00:00Z: the newest, last 2
    keep 2026-11-22T02:00:00Z: its manifest can't be read: look at it, then remove it by hand
    keep 2026-11-22T01:00:00Z: the last verified, last 2
    keep 2026-11-21T01:00:00Z: last 2
    remove 2026-11-20T03:00:00Z: no rule keeps it, and its verification failed
    remove 2026-11-20T01:00:00Z: no rule keeps it
    ");
}

#[test]
fn no_backups_give_no_decisions() {
    assert_eq!(decided(&[], &last(1)), "");
}

#[test]
fn rules_are_checked_as_they_are_read() {
    let read = |text: &str| serde_json::from_str::<KeepRules>(text);
    assert!(read("{}").unwrap().is_empty());
    let rules = read(r#"{"keep_last": 7, "keep_within": "1d12h"}"#).unwrap();
    assert_eq!(rules.to_string(), "last 7, within 1d12h");
    for wrong in
        [r#"{"keep_last": 0}"#, r#"{"keep_last": -1}"#, r#"{"keep_within": 7}"#, r#"{"keep_lats": 7}"#]
    {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let standing = prop_oneof![
        Just(Standing::Verified),
        Just(Standing::Unverified),
        Just(Standing::Failed),
        Just(Standing::Damaged),
        Just(Standing::Archived)
    ];
    // Three years by the hour, some in the future of `NOW`, so that periods meet and repeat.
    let one = (-26_000_i64..200, standing, any::<bool>());
    proptest::collection::vec(one, 0..40).prop_map(|all| {
        let now: Timestamp = NOW.parse().unwrap();
        let with_id = all.into_iter().enumerate();
        with_id
            .map(|(number, (hours, standing, marked))| {
                let at = Timestamp::from_second(now.as_second() + hours * 3600).unwrap();
                let uri = BackupUri { store: "p".into(), cluster: "c".into(), id: format!("{number:03}") };
                let kept = (marked && number % 5 == 0).then(String::new);
                let series = match number % 4 {
                    0 => whole(BackupKind::Physical),
                    1 => of_shop(),
                    _ => whole(BackupKind::Logical),
                };
                let series = standing.unread().is_none().then_some(series);
                Candidate { uri, at, series, standing, kept, base: None, used_by: None }
            })
            .collect()
    })
}

fn rules() -> impl Strategy<Value = KeepRules> {
    let count = || proptest::option::of(1_u32..5);
    let counts = (count(), count(), count(), count(), count(), count());
    (counts, proptest::option::of(1_u64..5000)).prop_map(|((a, b, c, d, e, f), age)| KeepRules {
        keep_last: a.and_then(n),
        keep_hourly: b.and_then(n),
        keep_daily: c.and_then(n),
        keep_weekly: d.and_then(n),
        keep_monthly: e.and_then(n),
        keep_yearly: f.and_then(n),
        keep_within: age.map(hours),
    })
}

fn kept(backups: &[Candidate], rules: &KeepRules) -> Vec<BackupUri> {
    let decisions = decide(backups, rules, None, &[], NOW.parse().unwrap());
    assert_eq!(decisions.len(), backups.len());
    decisions.into_iter().filter(|one| one.keep).map(|one| one.uri).collect()
}

proptest! {
    #[test]
    fn the_newest_the_last_verified_and_the_marked_are_never_removed(
        backups in candidates(), rules in rules(),
    ) {
        let kept = kept(&backups, &rules);
        for kind in [BackupKind::Logical, BackupKind::Physical] {
            for verified in [false, true] {
                let is_one = |one: &&Candidate| {
                    one.series == Some(whole(kind)) && (!verified || one.standing == Standing::Verified)
                };
                let Some(at) = backups.iter().filter(is_one).map(|one| one.at).max() else { continue };
                prop_assert!(backups.iter().filter(is_one).any(|one| one.at == at && kept.contains(&one.uri)));
            }
        }
        for one in backups.iter().filter(|one| one.kept.is_some() || one.standing.unread().is_some()) {
            prop_assert!(kept.contains(&one.uri));
        }
    }

    #[test]
    fn as_many_good_backups_of_each_series_stay_as_the_rule_says(
        backups in candidates(), count in 1_u32..10,
    ) {
        let kept = kept(&backups, &last(count));
        for series in [whole(BackupKind::Logical), whole(BackupKind::Physical), of_shop()] {
            let good = |one: &&Candidate| {
                one.series.as_ref() == Some(&series)
                    && matches!(one.standing, Standing::Verified | Standing::Unverified)
            };
            let there = backups.iter().filter(good).count();
            let left = backups.iter().filter(good).filter(|one| kept.contains(&one.uri)).count();
            prop_assert!(left >= there.min(count as usize));
        }
    }

    #[test]
    fn pruning_again_at_once_removes_nothing_more(backups in candidates(), rules in rules()) {
        let first = kept(&backups, &rules);
        let left: Vec<_> = backups.into_iter().filter(|one| first.contains(&one.uri)).collect();
        prop_assert!(kept(&left, &rules).len() == left.len());
    }

    #[test]
    fn a_further_rule_removes_nothing_more(backups in candidates(), rules in rules(), count in 1_u32..10) {
        let with = KeepRules { keep_last: rules.keep_last.max(n(count)), ..rules.clone() };
        let kept_with = kept(&backups, &with);
        prop_assert!(kept(&backups, &rules).iter().all(|uri| kept_with.contains(uri)));
    }
}
