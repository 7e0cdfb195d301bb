//! People's agreement in the state machine.

use jiff::SignedDuration;

use super::state::cancel;
use super::support::{Ledger, duration, retry, runner, start, step, step_in, succeeded, with};
use crate::journal::{Event, Outcome};
use crate::plan::{ApprovalRule, PlanStep, Section};
use crate::run::{Answer, Command, StepStatus, Verdict};
use crate::runbook::OnCrash;
use crate::step::StepError;

pub(super) fn guarded(made: PlanStep, needed: u32, timeout: Option<&str>) -> PlanStep {
    with(made, |step| step.approval = Some(ApprovalRule { needed, timeout: timeout.map(duration) }))
}

fn asked(step: &str, needed: u32) -> Event {
    let what = format!("{step} now");
    Event::ApprovalRequested { step: step.into(), needed, what, expires_at: None }
}

fn approved(step: &str, by: &str) -> Event {
    approved_for("aa", step, by)
}

fn approved_for(plan_hash: &str, step: &str, by: &str) -> Event {
    Event::StepApproved {
        step: step.into(),
        plan_hash: plan_hash.to_owned(),
        by: by.to_owned(),
        why: String::new(),
        from: "uid 1 on db-1".to_owned(),
    }
}

fn rejected(step: &str, why: &str) -> Event {
    Event::StepRejected {
        step: step.into(),
        plan_hash: "aa".to_owned(),
        by: "kim".to_owned(),
        why: why.to_owned(),
        from: String::new(),
    }
}

fn ask(step: &str, needed: u32) -> Command {
    Command::AskApproval { step: step.into(), needed, timeout: None }
}

fn waits() -> Vec<Command> {
    vec![Command::AwaitApproval { until: None }]
}

/// A run whose first step, `a`, waits for two people, and is needed by `b`.
fn waiting() -> Ledger {
    let mut run = Ledger::new(vec![guarded(step("a", &[]), 2, None), step("b", &["a"])]);
    run.apply(asked("a", 2));
    run
}

fn error_of(run: &Ledger, step: &str) -> String {
    match run.status(step) {
        StepStatus::Failed { error } => error.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_asks_once_when_it_could_start_and_waits() {
    let mut run = Ledger::new(vec![step("first", &[]), guarded(step("a", &["first"]), 2, None)]);
    assert_eq!(run.next(), [start("first", 1)]);
    let early = run.try_apply(asked("a", 2)).unwrap_err();
    insta::assert_snapshot!(early, @"record 2 can't follow the ones before it: step `a` is pending and can't ask for approval now");
    run.succeed("first");
    assert_eq!(run.next(), [ask("a", 2)]);
    run.apply(asked("a", 2));
    assert_eq!(run.next(), waits());
    assert!(run.try_apply(asked("a", 2)).is_err());
}

#[test]
fn nothing_starts_a_step_that_too_few_have_approved() {
    let mut run = waiting();
    assert!(run.try_apply(Event::StepStarted { step: "a".into(), attempt: 1 }).is_err());
    run.apply(approved("a", "kim"));
    let error = run.try_apply(Event::StepStarted { step: "a".into(), attempt: 1 }).unwrap_err();
    insta::assert_snapshot!(error, @"record 4 can't follow the ones before it: step `a` is waiting for approval and can't start now");
    let mut unasked = Ledger::new(vec![guarded(step("a", &[]), 1, None)]);
    let error = unasked.try_apply(Event::StepStarted { step: "a".into(), attempt: 1 }).unwrap_err();
    insta::assert_snapshot!(error, @"record 2 can't follow the ones before it: step `a` has not been approved");
}

#[test]
fn each_person_counts_once() {
    let mut run = waiting();
    run.apply(approved("a", "kim"));
    run.apply(approved("a", "kim"));
    assert_eq!(run.state.awaited()[0].words(), "a (1 of 2)");
    assert_eq!(run.next(), waits());
    run.apply(approved("a", "ana"));
    assert_eq!(run.next(), [start("a", 1)]);
    assert!(run.try_apply(approved("a", "ben")).is_err());
}

#[test]
fn an_approval_of_another_plan_does_not_count() {
    let mut run = waiting();
    run.apply(approved("a", "kim"));
    let error = run.try_apply(approved_for("bb", "a", "ana")).unwrap_err();
    insta::assert_snapshot!(error, @"record 4 can't follow the ones before it: the answer on step `a` is to another plan");
    assert_eq!(run.state.awaited()[0].approved_by, ["kim"]);
    assert_eq!(run.next(), waits());
}

#[test]
fn one_rejection_fails_the_step_and_blocks_what_needs_it() {
    let mut run = waiting();
    run.apply(approved("a", "ana"));
    run.apply(rejected("a", "not tonight"));
    insta::assert_snapshot!(error_of(&run, "a"), @"rejected by kim: not tonight");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
    insta::assert_snapshot!(run.words(), @"a failed, b blocked");
}

#[test]
fn the_end_of_the_time_fails_the_step() {
    let mut run = Ledger::new(vec![guarded(step("a", &[]), 1, Some("4h"))]);
    let over = run.now + SignedDuration::from_hours(4);
    let expires_at = Some(over);
    let (step, needed, what) = ("a".into(), 1, String::new());
    run.apply(Event::ApprovalRequested { step, needed, what, expires_at });
    assert_eq!(run.next(), [Command::AwaitApproval { until: expires_at }]);
    run.now = over;
    assert_eq!(run.next(), [Command::ExpireApproval { step: "a".into() }]);
    run.settle();
    insta::assert_snapshot!(error_of(&run, "a"), @"not approved within 4h");
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
}

#[test]
fn other_branches_go_on_while_one_waits() {
    let mut run = Ledger::new(vec![
        guarded(step("a", &[]), 1, None),
        with(step("free", &[]), |step| step.retry = Some(retry(2))),
        step("after", &["free"]),
    ]);
    assert_eq!(run.next(), [ask("a", 1), start("free", 1)]);
    run.apply(asked("a", 1));
    run.start("free");
    assert_eq!(run.next(), []);
    let due = run.now + SignedDuration::from_secs(1);
    let error = StepError::transient("lost");
    run.apply(Event::StepFailed { step: "free".into(), error, retry_at: Some(due) });
    assert_eq!(run.next(), [Command::Wait { until: due }]);
    run.now = due;
    run.succeed("free");
    run.succeed("after");
    assert_eq!(run.next(), waits());
}

#[test]
fn a_step_that_asks_takes_no_job_from_the_others() {
    let run = Ledger::new(vec![guarded(step("a", &[]), 1, None), step("b", &[])]);
    assert_eq!(run.state.next(run.now, 1), [ask("a", 1), start("b", 1)]);
}

#[test]
fn retries_and_crashes_need_no_second_approval() {
    let on_crash = |step: &mut PlanStep| (step.on_crash, step.retry) = (OnCrash::Rerun, Some(retry(3)));
    let mut run = Ledger::new(vec![guarded(with(step("a", &[]), on_crash), 1, None)]);
    run.apply(asked("a", 1));
    run.apply(approved("a", "kim"));
    run.start("a");
    let error = StepError::transient("lost");
    run.apply(Event::StepFailed { step: "a".into(), error, retry_at: Some(run.now) });
    run.start("a");
    run.resume();
    assert_eq!(run.next(), [start("a", 3)]);
    run.fail("a");
    run.settle();
    run.resume();
    assert_eq!(run.next(), [start("a", 4)]);
}

#[test]
fn approvals_outlive_the_process_that_waited() {
    let mut run = waiting();
    run.apply(approved("a", "kim"));
    run.apply(Event::RunWaiting { steps: vec!["a".into()] });
    assert!(run.next().is_empty());
    let error = run.try_apply(approved("a", "ana")).unwrap_err();
    insta::assert_snapshot!(error, @"record 5 can't follow the ones before it: nobody drives the run: it waits for approval");
    run.resume();
    assert_eq!(run.next(), waits());
    run.apply(approved("a", "ana"));
    assert_eq!(run.next(), [start("a", 1)]);
}

#[test]
fn what_was_rejected_is_asked_anew_in_the_next_round() {
    let mut run = waiting();
    run.apply(approved("a", "kim"));
    run.apply(rejected("a", ""));
    run.settle();
    run.resume();
    assert_eq!(run.next(), [ask("a", 2)]);
    run.apply(asked("a", 2));
    assert!(run.state.awaited()[0].approved_by.is_empty());
}

#[test]
fn waiting_counts_against_no_deadline() {
    let limits = |step: &mut PlanStep| {
        (step.timeout, step.deadline) = (Some(duration("1m")), Some(duration("2m")));
    };
    let mut run = Ledger::new(vec![guarded(with(step("a", &[]), limits), 1, None)]);
    run.apply(asked("a", 1));
    run.now += SignedDuration::from_hours(9);
    run.apply(approved("a", "kim"));
    run.start("a");
    let limit = run.state.time_limit(&"a".into(), run.now);
    assert_eq!(limit, Some(std::time::Duration::from_mins(1)));
}

#[test]
fn a_cancelled_run_waits_for_nobody() {
    let mut run = Ledger::new(vec![
        guarded(step("a", &[]), 1, None),
        guarded(step_in(Section::OnFailure, "undo", None), 1, None),
        guarded(step_in(Section::Finally, "wipe", None), 1, None),
        step_in(Section::Finally, "tidy", Some("wipe")),
    ]);
    run.apply(asked("a", 1));
    run.apply(Event::RunWaiting { steps: vec!["a".into()] });
    run.resume();
    run.apply(cancel());
    assert_eq!(run.settle(), [start("tidy", 1)]);
    run.succeed("tidy");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Cancelled));
    insta::assert_snapshot!(run.words(), @"a cancelled, undo pending, wipe cancelled, tidy succeeded");
}

#[test]
fn in_a_cancelled_run_nothing_follows_a_cleaning_up_that_nobody_approved() {
    let mut follows = step("follows", &["wipe"]);
    follows.section = Section::Finally;
    let wipe = guarded(step_in(Section::Finally, "wipe", None), 1, None);
    let mut run = Ledger::new(vec![step("a", &[]), wipe, follows]);
    run.apply(cancel());
    run.settle();
    insta::assert_snapshot!(run.words(), @"a cancelled, wipe cancelled, follows blocked");
}

#[test]
fn cleaning_up_that_needs_approval_waits_for_it_after_a_failure() {
    let wipe = guarded(step_in(Section::Finally, "wipe", None), 1, None);
    let mut run = Ledger::new(vec![step("a", &[]), wipe]);
    run.fail("a");
    assert_eq!(run.settle(), [ask("wipe", 1)]);
    run.apply(asked("wipe", 1));
    assert_eq!(run.next(), waits());
    run.apply(approved("wipe", "kim"));
    run.succeed("wipe");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Failed));
}

#[test]
fn an_answer_is_refused_before_it_is_written_down() {
    let mut run = Ledger::new(vec![guarded(step("a", &[]), 2, Some("1h")), step("b", &[])]);
    let over = run.now + SignedDuration::from_hours(1);
    let expires_at = Some(over);
    let (id, needed, what) = ("a".into(), 2, String::new());
    run.apply(Event::ApprovalRequested { step: id, needed, what, expires_at });
    run.apply(approved("a", "kim"));
    let verdict = |step: &str, change: fn(&mut Verdict)| {
        let mut verdict = Verdict {
            step: step.into(),
            request: 2,
            plan_hash: "aa".to_owned(),
            answer: Answer::Approve,
            by: "ana".to_owned(),
            why: String::new(),
            from: String::new(),
        };
        change(&mut verdict);
        verdict
    };
    let refused = [
        verdict("c", |_| {}),
        verdict("b", |_| {}),
        verdict("a", |verdict| verdict.plan_hash.push('0')),
        verdict("a", |verdict| verdict.request = 1),
        verdict("a", |verdict| verdict.by = "kim".to_owned()),
    ]
    .map(|verdict| run.state.refusal(&verdict, run.now).unwrap());
    insta::assert_snapshot!(refused.join("\n"), @"
    the plan has no step `c`
    step `b` is pending, it does not wait for approval
    the answer is to another plan
    the answer is to an earlier question on step `a`
    kim has approved step `a` already
    ");
    let right = verdict("a", |_| {});
    assert_eq!(run.state.refusal(&right, run.now), None);
    insta::assert_snapshot!(run.state.refusal(&right, over).unwrap(), @"the time to approve step `a` was over at 2026-11-22T16:00:00Z");
    // Who has approved may think better of it.
    let regret = verdict("a", |verdict| (verdict.by, verdict.answer) = ("kim".to_owned(), Answer::Reject));
    assert_eq!(run.state.refusal(&regret, run.now), None);
}

#[test]
fn a_run_that_succeeded_after_approval_ends_as_any_other() {
    let mut run = waiting();
    run.apply(approved("a", "kim"));
    run.apply(approved("a", "ana"));
    run.start("a");
    run.apply(succeeded("a", serde_json::json!({})));
    run.succeed("b");
    run.settle();
    assert_eq!(run.state.outcome(), Some(Outcome::Succeeded));
    assert!(run.try_apply(Event::RunResumed { runner: runner(9), fence: None }).is_err());
}
