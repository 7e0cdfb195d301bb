use std::time::Duration;

use indexmap::IndexMap;
use serde_json::json;

use super::rig::Rig;
use super::support::{duration, retry, step, step_in, with};
use crate::host::Secret;
use crate::journal::{Event, Outcome};
use crate::plan::{Param, PlanStep, Section};
use crate::run::{RunEnd, RunError};
use crate::step::{Effect, Probe, StepError};
use crate::testing::{Act, ScriptedStep};

fn destroying(id: &str) -> PlanStep {
    with(step(id, &[]), |step| {
        step.kind = "fake.destroy".to_owned();
        step.effect = Effect::Destroy;
        step.retry = Some(retry(3));
    })
}

fn outcome(end: &Result<RunEnd, RunError>) -> Outcome {
    match end {
        Ok(RunEnd::Finished { outcome, .. }) => *outcome,
        other => panic!("the run did not finish: {other:?}"),
    }
}

#[tokio::test]
async fn a_run_writes_down_every_start_before_and_every_end_after() {
    let rig = Rig::new(vec![step("a", &[]), step("b", &["a"])]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a started 1
    a succeeded {}
    b started 1
    b succeeded {}
    run Succeeded
    ");
    assert_eq!(*rig.seen.records.lock().unwrap(), rig.journal.records());
}

#[tokio::test]
async fn outputs_reach_the_parameters_and_the_condition_of_later_steps() {
    let rig = Rig::new(vec![
        step("find-it", &[]),
        with(step("use", &["find-it"]), |step| {
            let uri = Param::Template("{{ steps.find_it.outputs.uri }}/x".to_owned());
            step.params = Param::Map(IndexMap::from([("uri".to_owned(), uri)]));
        }),
        with(step("not", &["find-it"]), |step| {
            step.when = Some("steps.find_it.outputs.uri == 'other'".to_owned());
        }),
    ]);
    rig.write.script("find-it", [Act::Outputs(json!({"uri": "file:/b"}))]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    assert_eq!(rig.write.params_of("use"), [json!({"uri": "file:/b/x"})]);
    assert!(rig.story().contains("not skipped"), "{}", rig.story());
}

#[tokio::test]
async fn a_template_that_fails_fails_its_step_for_good() {
    let rig = Rig::new(vec![
        with(step("find", &[]), |step| step.continue_on_error = true),
        with(step("use", &["find"]), |step| {
            step.retry = Some(retry(5));
            step.params = Param::Template("{{ steps.find.outputs.uri }}".to_owned());
        }),
    ]);
    rig.write.script("find", [Act::permanent("nothing there")]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    find started 1
    find failed: nothing there
    use started 1
    use failed: failed to render its parameters: `steps.find.outputs.uri` is undefined
    run Failed
    ");
    assert_eq!(rig.write.runs_of("use"), 0);
}

#[tokio::test]
async fn on_failure_sees_the_failure() {
    let mut page = step_in(Section::OnFailure, "page", None);
    page.params = Param::Map(IndexMap::from([(
        "text".to_owned(),
        Param::Template("{{ failure.step }}: {{ failure.message }}".to_owned()),
    )]));
    let rig = Rig::new(vec![step("a", &[]), page]);
    rig.write.script("a", [Act::permanent("no room")]);
    let end = rig.execute().await.unwrap();
    let error = StepError::permanent("no room");
    assert_eq!(end, RunEnd::Finished { outcome: Outcome::Failed, failure: Some(("a".into(), error)) });
    assert_eq!(rig.write.params_of("page"), [json!({"text": "a: no room"})]);
}

#[tokio::test]
async fn steps_run_side_by_side_up_to_the_limit() {
    let mut rig = Rig::new((0..6).map(|n| step(&format!("s{n}"), &[])).collect());
    rig.jobs = 3;
    rig.write.script_any((0..6).map(|_| Act::Wait(Duration::from_secs(5))));
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    assert_eq!(rig.write.most_running(), 3);
}

#[tokio::test]
async fn transient_errors_are_retried_after_their_delay() {
    let rig = Rig::new(vec![with(step("a", &[]), |step| step.retry = Some(retry(3)))]);
    rig.write.script("a", [Act::transient("lost"), Act::transient("lost again")]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a started 1
    a failed for now: lost
    a started 2
    a failed for now: lost again
    a started 3
    a succeeded {}
    run Succeeded
    ");
}

#[tokio::test]
async fn permanent_errors_end_a_step_at_once() {
    let rig = Rig::new(vec![with(step("a", &[]), |step| step.retry = Some(retry(3)))]);
    rig.write.script("a", [Act::permanent("wrong password")]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
    assert_eq!(rig.write.runs(), 1);
}

#[tokio::test]
async fn a_destroy_step_is_probed_before_it_is_tried_again() {
    let rig = Rig::new(vec![destroying("a")]);
    rig.destroy.script("a", [Act::transient("lost")]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    assert_eq!((rig.destroy.probed().len(), rig.destroy.runs()), (1, 2));
}

#[tokio::test]
async fn a_destroy_step_that_had_its_effect_after_all_is_not_run_again() {
    let rig = Rig::new(vec![destroying("a")]);
    rig.destroy.script("a", [Act::FailAfterEffect(StepError::transient("lost"))]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    assert_eq!(rig.destroy.runs(), 1);
}

#[tokio::test]
async fn a_destroy_step_that_did_half_is_not_tried_again() {
    let mut rig = Rig::new(vec![destroying("a")]);
    rig.destroy = ScriptedStep::new("fake.destroy", Effect::Destroy)
        .probes(Probe::Partial { found: "2 of 9 tables".to_owned() });
    rig.destroy.script("a", [Act::transient("lost")]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
    insta::assert_snapshot!(rig.story(), @r#"
    run started by 1
    a started 1
    a failed for now: lost
    a probed Partial { found: "2 of 9 tables" }
    a failed: lost; it can't be tried again, because it destroys and a part of its effect is there: 2 of 9 tables
    run Failed
    "#);
}

#[tokio::test]
async fn a_step_out_of_time_is_asked_to_stop_and_tried_again() {
    let rig = Rig::new(vec![with(step("a", &[]), |step| {
        step.timeout = Some(duration("2h"));
        step.retry = Some(retry(2));
    })]);
    rig.write.script("a", [Act::HangUntilCancelled]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    assert!(rig.story().contains("a failed for now: not done within 2h"), "{}", rig.story());
}

#[tokio::test]
async fn a_deadline_bounds_all_attempts() {
    let rig = Rig::new(vec![with(step("a", &[]), |step| {
        step.timeout = Some(duration("2h"));
        step.deadline = Some(duration("3h"));
        step.retry = Some(retry(99));
    })]);
    rig.write.script_any((0..99).map(|_| Act::HangUntilCancelled));
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
    assert_eq!(rig.write.runs(), 2);
}

#[tokio::test]
async fn a_step_deaf_to_the_end_of_its_time_is_aborted() {
    let rig = Rig::new(vec![with(step("a", &[]), |step| step.timeout = Some(duration("2h")))]);
    rig.write.script("a", [Act::Hang]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
}

#[tokio::test]
async fn a_panic_is_a_failure_of_the_step_alone() {
    let rig = Rig::new(vec![with(step("a", &[]), |step| step.retry = Some(retry(3))), step("b", &[])]);
    rig.write.script("a", [Act::Panic]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
    assert!(
        rig.story().contains("a failed: the step kind panicked: the script says panic"),
        "{}",
        rig.story()
    );
    assert!(rig.story().contains("b succeeded"), "{}", rig.story());
}

#[tokio::test]
async fn a_step_that_says_it_was_cancelled_when_nobody_did_has_failed() {
    let rig = Rig::new(vec![step("a", &[])]);
    rig.write.script("a", [Act::Fail(StepError::cancelled())]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
}

#[tokio::test]
async fn warnings_and_checkpoints_are_in_the_journal_before_the_end_of_their_step() {
    let rig = Rig::new(vec![step("a", &[]), step("b", &["a"])]);
    rig.write.script("a", [Act::Warn("a MyISAM table".to_owned())]);
    rig.write.script("b", [Act::Checkpoint(json!({"done": 3}))]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
    insta::assert_snapshot!(rig.story(), @r#"
    run started by 1
    a started 1
    a warned: a MyISAM table
    a succeeded {}
    b started 1
    b checkpoint {"done":3}
    b succeeded {}
    run Succeeded
    "#);
}

#[tokio::test]
async fn no_secret_reaches_the_journal() {
    let canary = "ca'na\"ry$1";
    let rig = Rig::new(vec![
        step("outputs", &[]),
        step("fails", &["outputs"]),
        step("warns", &["outputs"]),
        step("checkpoints", &["outputs"]),
    ]);
    rig.fakes.world.masker.learn(&Secret::new(canary));
    rig.write.script("outputs", [Act::Outputs(json!({"dsn": format!("u:{canary}@h")}))]);
    rig.write.script("fails", [Act::Fail(StepError::permanent(canary).help(canary))]);
    rig.write.script("warns", [Act::Warn(canary.to_owned())]);
    rig.write.script("checkpoints", [Act::Checkpoint(json!([canary]))]);
    assert_eq!(outcome(&rig.execute().await), Outcome::Failed);
    let text = serde_json::to_string(&rig.journal.records()).unwrap();
    assert_eq!(text.matches("***").count(), 5, "{text}");
    assert!(!text.contains("na\\\"ry"), "{text}");
}

#[tokio::test]
async fn the_first_word_lets_running_steps_stop_and_finally_run() {
    let rig = Rig::new(vec![
        step("a", &[]),
        step("b", &["a"]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::Finally, "tidy", None),
    ]);
    rig.write.script("a", [Act::HangUntilCancelled]);
    let cancellation = rig.cancellation.clone();
    rig.on_record(move |record| {
        if matches!(record.event, Event::StepStarted { .. }) && !cancellation.graceful().is_cancelled() {
            cancellation.request("SIGINT");
        }
    });
    assert_eq!(outcome(&rig.execute().await), Outcome::Cancelled);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a started 1
    cancel by SIGINT
    b cancelled
    a cancelled
    tidy started 1
    tidy succeeded {}
    run Cancelled
    ");
}

#[tokio::test]
async fn a_step_deaf_to_the_first_word_is_aborted_after_the_grace() {
    let rig = Rig::new(vec![step("a", &[]), step_in(Section::Finally, "tidy", None)]);
    rig.write.script("a", [Act::Hang]);
    rig.cancellation.request("SIGTERM");
    let cancelled_before_the_start = rig.execute().await;
    assert_eq!(outcome(&cancelled_before_the_start), Outcome::Cancelled);
    assert_eq!(rig.write.order(), ["tidy"]);

    let rig = Rig::new(vec![step("a", &[]), step_in(Section::Finally, "tidy", None)]);
    rig.write.script("a", [Act::Hang]);
    let cancellation = rig.cancellation.clone();
    rig.on_record(move |record| {
        if matches!(record.event, Event::StepStarted { .. }) && !cancellation.graceful().is_cancelled() {
            cancellation.request("SIGTERM");
        }
    });
    assert_eq!(outcome(&rig.execute().await), Outcome::Cancelled);
    assert!(rig.story().contains("a warned: while it was being stopped: it did not stop"), "{}", rig.story());
    assert!(rig.fakes.clock.slept().contains(&Duration::from_secs(10)));
}

#[tokio::test]
async fn a_step_that_succeeds_in_spite_of_the_word_has_succeeded() {
    let rig = Rig::new(vec![step("a", &[])]);
    let cancellation = rig.cancellation.clone();
    rig.on_record(move |record| {
        if matches!(record.event, Event::StepStarted { .. }) {
            cancellation.request("SIGINT");
        }
    });
    assert_eq!(outcome(&rig.execute().await), Outcome::Succeeded);
}

#[tokio::test]
async fn the_second_word_stops_everything_at_once() {
    let rig = Rig::new(vec![step("a", &[]), step("b", &["a"]), step_in(Section::Finally, "tidy", None)]);
    rig.write.script("a", [Act::Hang]);
    let cancellation = rig.cancellation.clone();
    rig.on_record(move |record| {
        if matches!(record.event, Event::StepStarted { .. } | Event::CancelRequested { .. }) {
            cancellation.request("SIGINT");
        }
    });
    assert_eq!(outcome(&rig.execute().await), Outcome::Cancelled);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a started 1
    cancel by SIGINT
    b cancelled
    a cancelled
    run Cancelled
    ");
    assert!(!rig.fakes.clock.slept().contains(&Duration::from_secs(10)), "the grace was waited for");
}

#[tokio::test]
async fn the_second_word_reaches_finally_too() {
    let rig = Rig::new(vec![step_in(Section::Finally, "tidy", None)]);
    rig.write.script("tidy", [Act::Hang]);
    let cancellation = rig.cancellation.clone();
    rig.on_record(move |record| {
        if matches!(record.event, Event::StepStarted { .. } | Event::CancelRequested { .. }) {
            cancellation.request("SIGINT");
        }
    });
    assert_eq!(outcome(&rig.execute().await), Outcome::Cancelled);
}

#[tokio::test]
async fn a_journal_that_can_not_be_written_stops_the_run() {
    let rig = Rig::new(vec![step("a", &[]), step("b", &[]), step("c", &["a"])]).dying_after(3);
    rig.write.script("b", [Act::Hang]);
    let error = rig.execute().await.unwrap_err();
    assert!(matches!(error, RunError::Journal(_)), "{error}");
    assert_eq!(rig.write.runs_of("c"), 0);
    assert!(rig.write.most_running() <= 2);
}

#[tokio::test]
async fn needs_in_a_circle_end_the_run_instead_of_hanging_it() {
    let rig = Rig::new(vec![step("a", &["b"]), step("b", &["a"]), step("c", &[])]);
    let error = rig.execute().await.unwrap_err();
    insta::assert_snapshot!(error, @"the run is stuck: these steps wait for each other: a, b");
}

#[tokio::test]
async fn plans_that_can_not_run_are_refused_before_anything_is_written() {
    let unknown = Rig::new(vec![with(step("a", &[]), |step| step.kind = "mysql.dmup".to_owned())]);
    assert!(matches!(unknown.execute().await, Err(RunError::UnknownKind { .. })));
    assert!(unknown.events().is_empty());

    let mut unpinned = Rig::new(vec![step("a", &[])]);
    std::sync::Arc::get_mut(&mut unpinned.plan).unwrap().unpinned.push(step("find", &[]));
    assert!(matches!(unpinned.execute().await, Err(RunError::NotPlanned { .. })));
    assert!(unpinned.events().is_empty());
}

#[tokio::test]
async fn a_run_can_be_started_only_once() {
    let rig = Rig::new(vec![step("a", &[])]);
    rig.execute().await.unwrap();
    assert!(matches!(rig.execute().await, Err(RunError::AlreadyStarted(_))));
}
