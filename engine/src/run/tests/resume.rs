use serde_json::json;

use super::rig::{Rig, decision};
use super::support::{step, step_in, with};
use crate::journal::{Event, Outcome, Resolution};
use crate::plan::{PlanStep, Section};
use crate::run::{RunEnd, RunError};
use crate::runbook::OnCrash;
use crate::step::{Effect, Probe};
use crate::testing::{Act, ScriptedStep};

fn asking(id: &str, needs: &[&str], on_crash: OnCrash) -> PlanStep {
    with(step(id, needs), |step| step.on_crash = on_crash)
}

fn finished(end: Result<RunEnd, RunError>) -> Outcome {
    match end {
        Ok(RunEnd::Finished { outcome, .. }) => outcome,
        other => panic!("the run did not finish: {other:?}"),
    }
}

/// A run that died with `a` in flight.
async fn cut_off(on_crash: OnCrash, act: Act) -> Rig {
    let mut rig = Rig::new(vec![asking("a", &[], on_crash), step("b", &["a"])]).dying_after(2);
    rig.write.script("a", [act]);
    rig.execute().await.unwrap_err();
    assert_eq!(rig.story(), "run started by 1\na started 1");
    rig.next_process(None);
    rig
}

#[tokio::test]
async fn resume_probes_a_step_that_was_started_and_had_its_effect() {
    let rig = cut_off(OnCrash::Probe, Act::Outputs(json!({"uri": "x"}))).await;
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Succeeded);
    assert_eq!(rig.write.runs_of("a"), 1);
    insta::assert_snapshot!(rig.story(), @r#"
    run started by 1
    a started 1
    run resumed by 2
    a probed Complete
    a succeeded {"uri":"x"}
    b started 1
    b succeeded {}
    run Succeeded
    "#);
}

#[tokio::test]
async fn resume_runs_a_step_that_was_started_and_had_no_effect() {
    let rig = cut_off(OnCrash::Probe, Act::transient("cut off")).await;
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Succeeded);
    assert_eq!(rig.write.runs_of("a"), 2);
}

#[tokio::test]
async fn a_probe_that_fails_pauses_like_one_that_does_not_know() {
    let mut rig = cut_off(OnCrash::Probe, Act::Succeed).await;
    rig.write = ScriptedStep::new("fake.write", Effect::Write)
        .probes(Probe::Unknown { why: "the server is gone".to_owned() });
    let end = rig.resume(Vec::new()).await.unwrap();
    let RunEnd::Paused { questions } = end else { panic!("{end:?}") };
    insta::assert_snapshot!(questions[0].question, @"step `a` was under way when it was cut off, and its effect can't be told: the server is gone");
    assert_eq!(rig.write.runs(), 0);
}

#[tokio::test]
async fn a_decision_is_recorded_and_followed() {
    for (resolution, runs_of_a, outcome) in [
        (Resolution::Done, 1, Outcome::Succeeded),
        (Resolution::Rerun, 2, Outcome::Succeeded),
        (Resolution::Fail, 1, Outcome::Failed),
    ] {
        let mut rig = cut_off(OnCrash::Ask, Act::Succeed).await;
        assert!(matches!(rig.resume(Vec::new()).await, Ok(RunEnd::Paused { .. })));
        rig.next_process(None);
        assert_eq!(finished(rig.resume(vec![decision("a", resolution)]).await), outcome);
        assert_eq!(rig.write.runs_of("a"), runs_of_a, "{resolution:?}");
        assert!(rig.story().contains(&format!("a {resolution:?} says kim")), "{}", rig.story());
    }
}

#[tokio::test]
async fn all_questions_are_asked_at_once() {
    let mut rig =
        Rig::new(vec![asking("a", &[], OnCrash::Ask), asking("b", &[], OnCrash::Ask)]).dying_after(3);
    rig.execute().await.unwrap_err();
    rig.next_process(None);
    let end = rig.resume(Vec::new()).await.unwrap();
    let RunEnd::Paused { questions } = end else { panic!("{end:?}") };
    assert_eq!(questions.iter().map(|question| question.step.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn a_wrong_decision_is_refused_and_nothing_is_written() {
    let rig = cut_off(OnCrash::Ask, Act::Succeed).await;
    for step in ["b", "nobody"] {
        let before = rig.events();
        let error = rig.resume(vec![decision(step, Resolution::Done)]).await.unwrap_err();
        assert!(matches!(error, RunError::NothingToDecide { .. }), "{error}");
        assert_eq!(rig.events(), before);
    }
}

#[tokio::test]
async fn a_run_whose_process_still_lives_is_left_alone() {
    let rig = cut_off(OnCrash::Rerun, Act::Succeed).await;
    let error = rig.resume_beside(Vec::new(), |runner| runner.pid == 1).await.unwrap_err();
    insta::assert_snapshot!(error, @"the run 20261122T150000Z-0001 is still driven by pid 1 on host db-1");
    assert_eq!(rig.events().len(), 2);
}

#[tokio::test]
async fn a_run_that_succeeded_is_not_resumed() {
    let mut rig = Rig::new(vec![step("a", &[])]);
    rig.execute().await.unwrap();
    rig.next_process(None);
    let error = rig.resume(Vec::new()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the run 20261122T150000Z-0001 has finished already: succeeded");
}

#[tokio::test]
async fn a_run_without_any_event_is_started() {
    let rig = Rig::new(vec![step("a", &[])]);
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Succeeded);
}

#[tokio::test]
async fn a_journal_of_another_plan_is_refused() {
    let mut rig = cut_off(OnCrash::Rerun, Act::Succeed).await;
    std::sync::Arc::make_mut(&mut rig.plan).hash = "other".to_owned();
    let error = rig.resume(Vec::new()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the journal can't be that of this plan: record 1 can't follow the ones before it: it belongs to another plan");
}

#[tokio::test]
async fn resuming_a_failed_run_repeats_what_failed_and_what_it_blocked() {
    let mut rig = Rig::new(vec![
        step("done", &[]),
        step("a", &["done"]),
        step("b", &["a"]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::Finally, "tidy", None),
    ]);
    rig.write.script("a", [Act::permanent("wrong password")]);
    assert_eq!(finished(rig.execute().await), Outcome::Failed);
    rig.next_process(None);
    // Its process may well live: a run that has ended is nobody's.
    assert_eq!(finished(rig.resume_beside(Vec::new(), |_| true).await), Outcome::Succeeded);
    assert_eq!(rig.write.order(), ["done", "a", "page", "tidy", "a", "b", "tidy"]);
}

#[tokio::test]
async fn resuming_a_cancelled_run_goes_on_with_it() {
    let mut rig = Rig::new(vec![asking("a", &[], OnCrash::Probe), step("b", &["a"])]);
    rig.write.script("a", [Act::HangUntilCancelled]);
    let cancellation = rig.cancellation.clone();
    rig.on_record(move |record| {
        if matches!(record.event, Event::StepStarted { .. }) {
            cancellation.request("SIGINT");
        }
    });
    assert_eq!(finished(rig.execute().await), Outcome::Cancelled);
    rig.next_process(None);
    rig.on_record(|_| {});
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Succeeded);
    assert_eq!((rig.write.probed(), rig.write.runs_of("a")), (vec!["a".to_owned()], 2));
}

#[tokio::test]
async fn a_checkpoint_outlives_a_crash() {
    let mut rig = Rig::new(vec![step("a", &[])]).dying_after(3);
    rig.write.script("a", [Act::Checkpoint(json!({"done": 3}))]);
    rig.execute().await.unwrap_err();
    rig.next_process(None);
    assert_eq!(rig.state().checkpoint(&"a".into()), Some(&json!({"done": 3})));
}

/// A run that died while it was failing: `page` was under way.
async fn cut_off_while_failing() -> Rig {
    let mut rig = Rig::new(vec![
        step("a", &[]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::Finally, "tidy", None),
    ])
    .dying_after(4);
    rig.write.script("a", [Act::permanent("wrong password")]);
    rig.execute().await.unwrap_err();
    assert!(rig.story().ends_with("page started 1"), "{}", rig.story());
    rig.next_process(None);
    rig
}

#[tokio::test]
async fn one_resume_is_enough_for_a_run_that_was_cut_off_while_it_was_failing() {
    let rig = cut_off_while_failing().await;
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Succeeded);
    // The rest of the cleaning up comes first, then what had failed.
    assert_eq!(rig.write.order(), ["a", "page", "page", "tidy", "a", "tidy"]);
}

#[tokio::test]
async fn what_fails_again_after_a_crash_while_failing_is_not_tried_for_ever() {
    let rig = cut_off_while_failing().await;
    rig.write.script("a", [Act::permanent("still wrong"), Act::permanent("never reached")]);
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Failed);
    assert_eq!(rig.write.runs_of("a"), 2);
}

#[tokio::test]
async fn a_failing_run_that_is_cancelled_is_not_tried_again() {
    let rig = cut_off_while_failing().await;
    rig.cancellation.request("kim");
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Failed);
    assert_eq!(rig.write.runs_of("a"), 1);
}
