use std::time::Duration;

use serde_json::json;

use super::support::{
    Ledger, at, bookkeeping, duration, failed, probe, retry, start, started, step, step_in, succeeded, with,
};
use crate::journal::{Event, Outcome, Record, Resolution, StepFinding};
use crate::plan::Section;
use crate::run::{Command, RunState, StepStatus};
use crate::runbook::OnCrash;
use crate::step::{Effect, StepError};

pub(super) fn probed(step: &str, finding: StepFinding) -> Event {
    Event::StepProbed { step: step.into(), finding }
}

pub(super) fn cancel() -> Event {
    Event::CancelRequested { by: "SIGINT".to_owned() }
}

pub(super) fn destroying(id: &str) -> crate::plan::PlanStep {
    with(step(id, &[]), |step| {
        step.effect = Effect::Destroy;
        step.on_crash = OnCrash::Probe;
        step.retry = Some(retry(3));
    })
}

#[test]
fn steps_start_when_what_they_need_has_ended() {
    let mut run = Ledger::new(vec![step("c", &["a", "b"]), step("a", &[]), step("b", &[])]);
    assert_eq!(run.next(), [start("a", 1), start("b", 1)]);
    run.succeed("a");
    assert_eq!(run.next(), [start("b", 1)]);
    run.succeed("b");
    assert_eq!(run.next(), [start("c", 1)]);
    run.succeed("c");
    assert_eq!(run.next(), [Command::Finish { outcome: Outcome::Succeeded }]);
}

#[test]
fn no_more_than_jobs_steps_start_at_once() {
    let run = Ledger::new((0..5).map(|n| step(&format!("s{n}"), &[])).collect());
    assert_eq!(run.state.next(run.now, 2), [start("s0", 1), start("s1", 1)]);
    assert_eq!(run.state.next(run.now, 0), [start("s0", 1)]);
}

#[test]
fn max_parallel_bounds_the_instances_of_one_step() {
    let instance = |n: usize| with(step(&format!("r[{n}]"), &[]), |step| step.max_parallel = Some(1));
    let mut run = Ledger::new(vec![instance(0), instance(1), step("other", &[])]);
    assert_eq!(run.next(), [start("r[0]", 1), start("other", 1)]);
    run.start("r[0]");
    assert_eq!(run.next(), [start("other", 1)]);
}

#[test]
fn a_failure_blocks_all_that_follow_it_and_names_the_culprit() {
    let mut run = Ledger::new(vec![step("c", &["b"]), step("b", &["a"]), step("a", &[]), step("free", &[])]);
    run.fail("a");
    assert_eq!(run.settle(), [start("free", 1)]);
    assert_eq!(run.status("c"), StepStatus::Blocked { by: "a".into() });
    run.succeed("free");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
    insta::assert_snapshot!(run.words(), @"c blocked, b blocked, a failed, free succeeded");
}

#[test]
fn what_needs_a_skipped_step_waits_for_what_that_waits_for() {
    let middle = || with(step("b", &["a"]), |step| step.skipped = true);
    let mut run = Ledger::new(vec![step("a", &[]), middle(), step("c", &["b"])]);
    assert_eq!(run.settle(), [start("a", 1)]);
    run.succeed("a");
    assert_eq!(run.settle(), [start("c", 1)]);
    assert_eq!(run.status("b"), StepStatus::Skipped);

    let mut run = Ledger::new(vec![step("a", &[]), middle(), step("c", &["b"])]);
    run.fail("a");
    run.settle();
    insta::assert_snapshot!(run.words(), @"a failed, b blocked, c blocked");
}

#[test]
fn a_skipped_step_does_not_block() {
    let mut run = Ledger::new(vec![with(step("a", &[]), |step| step.skipped = true), step("b", &["a"])]);
    assert_eq!(run.settle(), [start("b", 1)]);
    run.apply(Event::StepSkipped { step: "b".into() });
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn continue_on_error_turns_a_failure_into_a_warning() {
    let mut run =
        Ledger::new(vec![with(step("a", &[]), |step| step.continue_on_error = true), step("b", &["a"])]);
    run.fail("a");
    assert_eq!(run.settle(), [start("b", 1)]);
    run.succeed("b");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::SucceededWithWarnings));
    assert_eq!(run.state.first_failure(), None);
}

pub(super) fn with_sections() -> Ledger {
    Ledger::new(vec![
        step("a", &[]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::Finally, "tidy", None),
        step_in(Section::Finally, "report", Some("tidy")),
    ])
}

#[test]
fn on_failure_is_not_called_for_after_success() {
    let mut run = with_sections();
    run.succeed("a");
    for id in ["tidy", "report"] {
        assert_eq!(run.settle(), [start(id, 1)]);
        run.succeed(id);
    }
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Succeeded));
    assert_eq!(run.status("page"), StepStatus::Pending);
}

#[test]
fn on_failure_then_finally_run_after_a_failure_and_never_hide_it() {
    let mut run = with_sections();
    run.fail("a");
    for id in ["page", "tidy", "report"] {
        assert_eq!(run.settle(), [start(id, 1)]);
        run.fail(id);
    }
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
    assert_eq!(run.state.first_failure().map(|(step, _)| step.as_str()), Some("a"));
}

#[test]
fn a_failed_finally_after_success_is_a_warning_and_the_next_one_still_runs() {
    let mut run = with_sections();
    run.succeed("a");
    run.fail("tidy");
    assert_eq!(run.settle(), [start("report", 1)]);
    run.succeed("report");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::SucceededWithWarnings));
}

#[test]
fn a_cancelled_run_starts_nothing_but_finally() {
    let mut run = Ledger::new(vec![
        step("a", &[]),
        step("b", &["a"]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::Finally, "tidy", None),
    ]);
    run.start("a");
    run.apply(cancel());
    assert_eq!(run.settle(), []);
    run.apply(Event::StepCancelled { step: "a".into() });
    assert_eq!(run.settle(), [start("tidy", 1)]);
    run.succeed("tidy");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Cancelled));
    insta::assert_snapshot!(run.words(), @"a cancelled, b cancelled, page pending, tidy succeeded");
}

#[test]
fn a_cancellation_that_stopped_nothing_leaves_the_outcome() {
    let mut run = with_sections();
    run.succeed("a");
    run.apply(cancel());
    run.succeed("tidy");
    run.succeed("report");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_retry_waits_for_its_time_and_ends_with_its_budget() {
    let mut run = Ledger::new(vec![with(step("a", &[]), |step| step.retry = Some(retry(3)))]);
    let error = StepError::transient("lost");
    for attempt in 1..=2 {
        run.start("a");
        let due = run.state.retry_at(&"a".into(), &error, run.now).unwrap();
        run.apply(failed("a", error.clone(), Some(due)));
        assert_eq!(run.next(), [Command::Wait { until: due }]);
        run.now = due;
        assert_eq!(run.next(), [start("a", attempt + 1)]);
    }
    run.start("a");
    assert_eq!(run.state.retry_at(&"a".into(), &error, run.now), None);
    assert!(run.try_apply(failed("a", error, Some(at(99)))).is_err());
}

#[test]
fn permanent_errors_are_never_retried() {
    let mut run = Ledger::new(vec![with(step("a", &[]), |step| step.retry = Some(retry(3)))]);
    run.start("a");
    for error in [StepError::permanent("wrong password"), StepError::cancelled()] {
        assert_eq!(run.state.retry_at(&"a".into(), &error, run.now), None);
        assert!(run.try_apply(failed("a", error, Some(at(9)))).is_err());
    }
}

#[test]
fn no_retry_is_due_after_the_deadline() {
    let mut run = Ledger::new(vec![with(step("a", &[]), |step| {
        step.retry = Some(retry(9));
        step.deadline = Some(duration("10s"));
        step.timeout = Some(duration("8s"));
    })]);
    let (id, error) = ("a".into(), StepError::transient("lost"));
    assert_eq!(run.state.time_limit(&id, run.now), Some(Duration::from_secs(8)));
    run.start("a");
    assert!(run.state.retry_at(&id, &error, at(5)).is_some());
    assert_eq!(run.state.time_limit(&id, at(7)), Some(Duration::from_secs(3)));
    assert_eq!(run.state.retry_at(&id, &error, at(9)), None);
}

#[test]
fn time_in_which_nobody_drove_the_run_does_not_count_against_a_deadline() {
    let mut run = Ledger::new(vec![with(step("a", &[]), |step| step.deadline = Some(duration("10s")))]);
    run.start("a");
    run.now = at(3600);
    run.resume();
    assert_eq!(run.state.time_limit(&"a".into(), run.now), Some(Duration::from_secs(10)));
}

#[test]
fn a_destroy_step_is_retried_only_after_a_probe_said_absent() {
    let mut run = Ledger::new(vec![destroying("a")]);
    run.start("a");
    run.apply(failed("a", StepError::transient("lost"), Some(at(5))));
    run.now = at(5);
    assert_eq!(run.next(), [probe("a")]);
    assert!(run.try_apply(Event::StepStarted { step: "a".into(), attempt: 2 }).is_err());
    run.apply(probed("a", StepFinding::Absent));
    assert_eq!(run.next(), [start("a", 2)]);
}

#[test]
fn a_destroy_step_of_which_a_part_is_there_is_not_retried() {
    let mut run = Ledger::new(vec![destroying("a")]);
    run.start("a");
    run.apply(failed("a", StepError::transient("lost"), Some(at(5))));
    run.now = at(5);
    run.apply(probed("a", StepFinding::Partial { found: "2 tables".to_owned() }));
    assert!(run.try_apply(failed("a", StepError::transient("lost"), Some(at(9)))).is_err());
    run.apply(failed("a", StepError::permanent("not tried again"), None));
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
}

#[test]
fn events_out_of_turn_are_refused_and_change_nothing() {
    let plan = super::support::plan(vec![step("a", &[]), step("b", &["a"])]);
    let mut before = RunState::new(&plan);
    let record = |event| Record { seq: 1, at: at(0), event };
    assert!(before.apply(&record(Event::StepStarted { step: "a".into(), attempt: 1 })).is_err());
    assert!(
        before.apply(&record(Event::RunResumed { runner: super::support::runner(1), fence: None })).is_err()
    );
    let mut other = plan.clone();
    other.hash = "other".to_owned();
    assert!(before.apply(&record(started(&other))).is_err());

    let mut run = Ledger::new(plan.steps);
    let untouched = run.state.clone();
    for event in [
        started(&other),
        Event::StepStarted { step: "b".into(), attempt: 1 },
        Event::StepStarted { step: "a".into(), attempt: 2 },
        Event::StepStarted { step: "nobody".into(), attempt: 1 },
        succeeded("a", json!({})),
        failed("a", StepError::permanent("x"), None),
        Event::StepCheckpoint { step: "a".into(), value: json!(1) },
        Event::StepBlocked { step: "b".into(), by: "a".into() },
        Event::StepCancelled { step: "a".into() },
        Event::StepSkipped { step: "b".into() },
        probed("a", StepFinding::Absent),
        Event::RunPaused { step: "a".into(), question: String::new() },
        Event::RunFinished { outcome: Outcome::Succeeded },
        Event::StepResolved {
            step: "a".into(),
            resolution: Resolution::Done,
            by: String::new(),
            why: String::new(),
        },
    ] {
        assert!(run.try_apply(event.clone()).is_err(), "{event:?}");
        assert_eq!(run.state, untouched, "{event:?}");
    }
    run.fail("a");
    for command in run.next() {
        run.apply(bookkeeping(&command).unwrap());
    }
    run.settle();
    assert!(run.try_apply(cancel()).is_err());
}
