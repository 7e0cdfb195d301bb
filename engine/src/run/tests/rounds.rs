use serde_json::json;

use super::state::{cancel, destroying, probed, with_sections};
use super::support::{Ledger, probe, retry, start, step, step_in, succeeded, with};
use crate::journal::{Event, Outcome, Resolution, StepFinding};
use crate::plan::Section;
use crate::run::Command;
use crate::runbook::OnCrash;
use crate::step::StepError;

fn crashed(on_crash: OnCrash) -> Ledger {
    let mut run = Ledger::new(vec![
        with(step("a", &[]), |step| {
            step.on_crash = on_crash;
            step.retry = Some(retry(2));
        }),
        step("b", &["a"]),
        step("free", &[]),
    ]);
    run.start("a");
    run.resume();
    run
}

#[test]
fn a_step_that_may_rerun_starts_again_without_using_up_its_budget() {
    let mut run = crashed(OnCrash::Rerun);
    assert_eq!(run.next(), [start("a", 2), start("free", 1)]);
    run.start("a");
    assert!(run.state.retry_at(&"a".into(), &StepError::transient("lost"), run.now).is_some());
}

#[test]
fn a_step_in_doubt_is_probed_before_anything_starts() {
    let mut run = crashed(OnCrash::Probe);
    assert_eq!(run.next(), [probe("a")]);
    run.apply(probed("a", StepFinding::Absent));
    assert_eq!(run.next(), [start("a", 2), start("free", 1)]);
}

#[test]
fn a_step_whose_effect_is_there_succeeds_without_running() {
    let mut run = crashed(OnCrash::Probe);
    assert!(run.try_apply(succeeded("a", json!({}))).is_err());
    run.apply(probed("a", StepFinding::Complete));
    run.apply(succeeded("a", json!({"uri": "x"})));
    assert_eq!(run.state.outputs()[&"a".into()], json!({"uri": "x"}));
    assert_eq!(run.next(), [start("b", 1), start("free", 1)]);
}

#[test]
fn a_partial_effect_pauses_with_a_question() {
    let mut run = crashed(OnCrash::Probe);
    run.apply(probed("a", StepFinding::Partial { found: "2 of 9 tables".to_owned() }));
    let commands = run.next();
    let [Command::Pause { question, .. }] = commands.as_slice() else { panic!("{commands:?}") };
    insta::assert_snapshot!(question, @"step `a` was under way when it was cut off, and a part of its effect is there: 2 of 9 tables");
    run.apply(Event::RunPaused { step: "a".into(), question: question.clone() });
    assert_eq!(run.next(), []);
    // After a pause the world may have changed: it is looked at again.
    run.resume();
    assert_eq!(run.next(), [probe("a")]);
}

#[test]
fn a_person_decides_what_a_probe_can_not() {
    for (resolution, expected) in [
        (Resolution::Done, "a succeeded, b pending, free pending"),
        (Resolution::Rerun, "a pending, b pending, free pending"),
        (Resolution::Fail, "a failed, b blocked, free pending"),
    ] {
        let mut run = crashed(OnCrash::Ask);
        assert!(matches!(run.next().as_slice(), [Command::Pause { .. }]));
        run.apply(Event::StepResolved {
            step: "a".into(),
            resolution,
            by: "kim".to_owned(),
            why: String::new(),
        });
        run.settle();
        assert_eq!(run.words(), expected);
    }
}

#[test]
fn a_failed_run_that_is_resumed_repeats_only_what_did_not_succeed() {
    let mut run = Ledger::new(vec![
        step("done", &[]),
        with(step("a", &["done"]), |step| step.retry = Some(retry(1))),
        step("b", &["a"]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::Finally, "tidy", None),
    ]);
    run.succeed("done");
    run.fail("a");
    run.settle();
    run.succeed("page");
    run.succeed("tidy");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
    run.resume();
    assert_eq!(run.state.outcome(), None);
    assert_eq!(run.next(), [start("a", 2)]);
    run.succeed("a");
    run.succeed("b");
    assert_eq!(run.settle(), [start("tidy", 2)]);
    run.succeed("tidy");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_destroy_step_that_failed_is_looked_at_before_a_new_round_repeats_it() {
    let mut run = Ledger::new(vec![destroying("a")]);
    run.fail("a");
    run.settle();
    run.resume();
    assert_eq!(run.next(), [probe("a")]);
}

#[test]
fn a_step_that_was_stopped_half_way_is_in_doubt_in_the_next_round() {
    let mut run =
        Ledger::new(vec![with(step("a", &[]), |step| step.on_crash = OnCrash::Ask), step("b", &["a"])]);
    run.start("a");
    run.apply(cancel());
    run.apply(Event::StepCancelled { step: "a".into() });
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Cancelled));
    run.resume();
    assert!(!run.state.cancel_requested());
    insta::assert_snapshot!(run.words(), @"a in doubt, b pending");
}

#[test]
fn a_run_that_succeeded_can_not_be_resumed() {
    let mut run = Ledger::new(vec![step("a", &[])]);
    run.succeed("a");
    run.settle();
    let error =
        run.try_apply(Event::RunResumed { runner: super::support::runner(2), fence: None }).unwrap_err();
    insta::assert_snapshot!(error, @"record 5 can't follow the ones before it: the run has succeeded already");
}

#[test]
fn a_crash_in_a_failed_round_goes_on_in_it() {
    let mut run = with_sections();
    run.fail("a");
    run.start("page");
    run.resume();
    assert_eq!(run.status("a").word(), "failed");
    assert_eq!(run.next(), [start("page", 2)]);
}

/// A round that failed, and was stopped while a step of `finally` was in doubt that only a person can decide on.
fn failed_then_stopped_in_finally() -> Ledger {
    let mut run = Ledger::new(vec![
        step("a", &[]),
        step("b", &["a"]),
        step_in(Section::OnFailure, "page", None),
        with(step_in(Section::Finally, "tidy", None), |step| step.on_crash = OnCrash::Ask),
    ]);
    run.fail("a");
    run.settle();
    run.succeed("page");
    run.start("tidy");
    run.resume();
    run.apply(cancel());
    run.stop_at_once();
    run
}

#[test]
fn a_run_that_is_stopped_after_it_failed_has_failed() {
    let run = failed_then_stopped_in_finally();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
    assert_eq!(run.state.first_failure().map(|(step, _)| step.as_str()), Some("a"));
    insta::assert_snapshot!(run.words(), @"a failed, b blocked, page succeeded, tidy in doubt");
}

#[test]
fn a_new_round_that_is_stopped_before_it_repeats_a_failure_is_cancelled_and_so_are_its_steps() {
    let mut run = failed_then_stopped_in_finally();
    run.resume();
    insta::assert_snapshot!(run.words(), @"a pending, b pending, page pending, tidy in doubt");
    run.apply(cancel());
    run.stop_at_once();
    assert_eq!(run.state.outcome(), Some(Outcome::Cancelled));
    assert_eq!(run.state.first_failure(), None);
    insta::assert_snapshot!(run.words(), @"a cancelled, b cancelled, page pending, tidy in doubt");
}

#[test]
fn what_is_called_off_does_not_wait_for_a_decision_on_a_step_of_finally() {
    let mut run = failed_then_stopped_in_finally();
    run.resume();
    assert!(matches!(run.next().as_slice(), [Command::Pause { .. }]));
    run.apply(cancel());
    // The decision is still needed: `finally` runs after a first word.
    assert!(matches!(run.settle().as_slice(), [Command::Pause { .. }]));
    insta::assert_snapshot!(run.words(), @"a cancelled, b cancelled, page pending, tidy in doubt");
}

#[test]
fn a_failure_is_told_again_by_the_round_that_repeats_it_though_that_is_stopped_too() {
    let mut run = failed_then_stopped_in_finally();
    run.resume();
    let (step, resolution) = ("tidy".into(), Resolution::Rerun);
    run.apply(Event::StepResolved { step, resolution, by: "kim".to_owned(), why: String::new() });
    run.fail("a");
    run.apply(cancel());
    run.stop_at_once();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
    assert_eq!(run.state.first_failure().map(|(step, _)| step.as_str()), Some("a"));
}
