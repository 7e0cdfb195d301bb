use super::rig::{Rig, decision};
use super::support::{step, step_in, with};
use crate::journal::{Event, Outcome, Resolution};
use crate::plan::Section;
use crate::run::{RunEnd, RunError};
use crate::runbook::OnCrash;
use crate::testing::Act;

/// Says both words as soon as an event is durable.
fn stop_on(rig: &Rig, last: impl Fn(&Event) -> bool + Send + 'static) {
    let cancellation = rig.cancellation.clone();
    rig.on_record(move |record| {
        if last(&record.event) {
            cancellation.request("SIGINT");
            cancellation.request("SIGINT");
        }
    });
}

fn outcome(end: &Result<RunEnd, RunError>) -> Option<Outcome> {
    match end {
        Ok(RunEnd::Finished { outcome, .. }) => Some(*outcome),
        Ok(RunEnd::Paused { .. } | RunEnd::Waiting { .. }) | Err(_) => None,
    }
}

#[tokio::test]
async fn a_second_word_that_leaves_only_skipped_steps_of_finally_stopped_nothing() {
    let rig = Rig::new(vec![
        step("a", &[]),
        with(step_in(Section::Finally, "tidy", None), |step| step.skipped = true),
    ]);
    stop_on(&rig, |event| matches!(event, Event::StepSucceeded { .. }));
    let end = rig.execute().await;
    assert_eq!(outcome(&end), Some(Outcome::Succeeded), "{end:?}");
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a started 1
    a succeeded {}
    cancel by SIGINT
    tidy skipped
    run Succeeded
    ");
}

#[tokio::test]
async fn a_new_round_stopped_at_its_beginning_calls_off_its_steps_though_finally_is_in_doubt() {
    let mut rig = Rig::new(vec![
        step("a", &[]),
        step("b", &["a"]),
        with(step_in(Section::Finally, "tidy", None), |step| step.on_crash = OnCrash::Ask),
    ]);
    rig.write.script("a", [Act::permanent("it broke")]);
    // It dies when `tidy` has begun, and the next process is stopped before anybody was asked.
    rig = rig.dying_after(5);
    rig.execute().await.unwrap_err();
    for _ in 0..2 {
        rig.next_process(None);
        stop_on(&rig, |event| matches!(event, Event::RunResumed { .. }));
        rig.resume(Vec::new()).await.unwrap();
    }
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a started 1
    a failed: it broke
    b blocked by a
    tidy started 1
    run resumed by 2
    cancel by SIGINT
    run Failed
    run resumed by 2
    cancel by SIGINT
    a cancelled
    b cancelled
    run Cancelled
    ");
    rig.next_process(None);
    stop_on(&rig, |_| false);
    let end = rig.resume(vec![decision("tidy", Resolution::Rerun)]).await;
    assert_eq!(outcome(&end), Some(Outcome::Succeeded), "{end:?}");
}
