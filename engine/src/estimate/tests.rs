//! What earlier runs tell, and what they don't.

use std::sync::Arc;

use super::fixture::{estimates, records};
use super::{Estimates, History, earlier, estimate};
use crate::id::StepId;
use crate::journal::{Event, Journal as _, Runs};
use crate::plan::{Plan, fixture};
use crate::report::duration;
use crate::step::{Effect, StepError};
use crate::testing::FakeClock;

/// A plan of steps without needs.
fn plan_of(ids: &[&str]) -> Plan {
    fixture::plan(ids.iter().map(|id| fixture::step(id, "run", Effect::Write, "")).collect())
}

fn learned(plan: &Plan, runs: &[&[(&str, i64)]]) -> Estimates {
    let mut history = History::default();
    for took in runs {
        history.learn(plan, &records(plan, took));
    }
    estimate(plan, &history)
}

fn seconds(estimates: &Estimates, step: &str) -> Option<u64> {
    estimates.steps.get(&StepId::from(step)).map(|estimate| estimate.typical_ms / 1000)
}

fn path(estimates: &Estimates) -> String {
    let path = estimates.longest_path.as_ref().unwrap();
    let ids: Vec<_> = path.steps.iter().map(StepId::as_str).collect();
    format!("{}: {}", duration(path.typical_ms), ids.join(" "))
}

#[test]
fn an_estimate_is_the_median_and_says_what_it_is_from() {
    let estimates = learned(&plan_of(&["a", "b"]), &[&[("a", 10), ("b", 1)], &[("a", 90)], &[("a", 20)]]);
    let found = estimates.steps[&StepId::from("a")];
    assert_eq!((found.typical_ms, found.attempts, found.runs), (20_000, 3, 3));
    assert_eq!(estimates.runs, 3);
    let two = learned(&plan_of(&["a"]), &[&[("a", 10)], &[("a", 21)]]);
    assert_eq!(two.steps[&StepId::from("a")].typical_ms, 15_500);
}

#[test]
fn only_the_newest_twenty_attempts_count() {
    let mut runs: Vec<&[(&str, i64)]> = vec![&[("a", 10)]; 20];
    runs.extend(vec![&[("a", 999)][..]; 30]);
    let found = learned(&plan_of(&["a"]), &runs).steps[&StepId::from("a")];
    assert_eq!((found.typical_ms, found.attempts, found.runs), (10_000, 20, 20));
}

#[test]
fn instances_share_an_estimate_also_those_that_are_new() {
    let estimates = learned(&plan_of(&["r[0]", "r[1]", "r[2]"]), &[&[("r[0]", 10), ("r[1]", 20)]]);
    assert_eq!(seconds(&estimates, "r[2]"), Some(15));
    let found = estimates.steps[&StepId::from("r[0]")];
    assert_eq!((found.attempts, found.runs), (2, 1));
}

#[test]
fn a_step_that_is_of_another_kind_now_has_never_run() {
    let before = plan_of(&["a"]);
    let mut history = History::default();
    history.learn(&before, &records(&before, &[("a", 10)]));
    let mut now = before;
    now.steps[0].kind = "http".to_owned();
    assert_eq!(estimate(&now, &history).never_run, [StepId::from("a")]);
}

#[test]
fn attempts_that_failed_do_not_count() {
    let plan = plan_of(&["a"]);
    let mut records = records(&plan, &[("a", 10)]);
    let error = StepError::permanent("no");
    records[2].event = Event::StepFailed { step: "a".into(), error, retry_at: None };
    let mut history = History::default();
    history.learn(&plan, &records);
    assert_eq!(estimate(&plan, &history).steps.len(), 0);
}

#[test]
fn the_longest_path_follows_needs_and_not_the_order_of_the_runbook() {
    let mut plan = plan_of(&["a", "b", "c", "d"]);
    plan.steps[3].needs = vec![fixture::needs("a"), fixture::needs("c")];
    plan.steps[1].needs = vec![fixture::needs("a")];
    let took: &[_] = &[("a", 10), ("b", 30), ("c", 15), ("d", 20)];
    assert_eq!(path(&learned(&plan, &[took])), "40.0s: a b");
    plan.steps[1].skipped = true;
    assert_eq!(path(&learned(&plan, &[took])), "35.0s: c d");
}

#[test]
fn what_a_skipped_step_waits_for_is_on_the_path() {
    let mut plan = plan_of(&["a", "b", "c"]);
    plan.steps[1].needs = vec![fixture::needs("a")];
    plan.steps[1].skipped = true;
    plan.steps[2].needs = vec![fixture::needs("b")];
    assert_eq!(path(&learned(&plan, &[&[("a", 10), ("b", 99), ("c", 5)]])), "15.0s: a b c");
}

#[test]
fn instances_that_wait_for_each_other_are_on_the_path_together() {
    let mut plan = plan_of(&["r[0]", "r[1]", "r[2]", "r[3]", "r[4]"]);
    let took: &[&[_]] = &[&[("r[0]", 10)]];
    assert_eq!(path(&learned(&plan, took)), "10.0s: r[0]");
    for step in &mut plan.steps {
        step.max_parallel = Some(2);
    }
    assert_eq!(path(&learned(&plan, took)), "30.0s: r[0] r[2] r[4]");
}

#[test]
fn the_objective_is_compared_when_something_is_recovered() {
    let mut plan = fixture::recovery();
    let estimates = estimates(&plan);
    assert_eq!(
        path(&estimates),
        "8m 35s: provision wait-ready restore reset-replication[0] reset-replication[1]"
    );
    assert_eq!((estimates.rto_ms, estimates.rto_missed_by_ms()), (Some(3_600_000), None));
    assert_eq!((estimates.never_run.as_slice(), estimates.steps_in_all), (&[StepId::from("verify")][..], 6));

    plan.settings.objectives.as_mut().unwrap().rto = Some(fixture::duration("5m"));
    assert_eq!(super::fixture::estimates(&plan).rto_missed_by_ms(), Some(215_000));
    plan.pinned.clear();
    assert_eq!(super::fixture::estimates(&plan).rto_ms, None);
}

#[tokio::test]
async fn only_runs_of_the_same_runbook_and_environment_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let runs = Runs::new(folder.path());
    let plan = plan_of(&["a"]);
    let mut elsewhere = plan.clone();
    elsewhere.settings.name = "staging".to_owned();
    elsewhere.hash = elsewhere.compute_hash();
    for (plan, took) in [(&plan, 10), (&elsewhere, 70), (&plan, 20)] {
        let clock = Arc::new(FakeClock::manual());
        let run = runs.create(plan, clock.as_ref()).unwrap();
        let events: Vec<Event> =
            records(plan, &[("a", took)]).into_iter().map(|record| record.event).collect();
        let journal = run.journal(Arc::clone(&clock) as _).unwrap();
        for event in events {
            journal.append(&[event]).await.unwrap();
            clock.advance(std::time::Duration::from_secs(1));
        }
    }
    // A run that never began, and one that is damaged, are passed over.
    runs.create(&plan, &FakeClock::manual()).unwrap();
    let damaged = runs.create(&plan, &FakeClock::manual()).unwrap();
    std::fs::write(damaged.journal_path(), "nonsense\n").unwrap();
    let estimates = estimate(&plan, &earlier(&runs, &plan));
    assert_eq!((estimates.runs, seconds(&estimates, "a")), (2, Some(1)));
}

#[test]
fn without_a_state_directory_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let history = earlier(&Runs::new(folder.path().join("none")), &plan_of(&["a"]));
    assert_eq!(history.runs(), 0);
}
