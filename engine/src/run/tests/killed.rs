//! The driver killed at every boundary of its journal, then resumed.

use serde_json::json;

use super::rig::Rig;
use super::support::{retry, step, step_in, with, words};
use crate::journal::{Event, Outcome};
use crate::plan::{PlanStep, Section};
use crate::run::{RunEnd, RunState};
use crate::runbook::OnCrash;
use crate::step::{Effect, StepError};
use crate::testing::Act;

fn probing(id: &str, needs: &[&str]) -> PlanStep {
    with(step(id, needs), |step| step.on_crash = OnCrash::Probe)
}

fn destroying(id: &str, needs: &[&str]) -> PlanStep {
    with(probing(id, needs), |step| {
        step.kind = "fake.destroy".to_owned();
        step.effect = Effect::Destroy;
        step.retry = Some(retry(3));
    })
}

/// What the recovery runbook looks like: a chain of reads, writes and destroys with branches and an end.
fn recovery() -> Rig {
    let rig = Rig::new(vec![
        step("wait-ready", &[]),
        destroying("restore", &["wait-ready"]),
        with(destroying("reset-replication[0]", &["restore"]), |step| step.max_parallel = Some(1)),
        with(destroying("reset-replication[1]", &["restore"]), |step| step.max_parallel = Some(1)),
        probing("verify", &["reset-replication[0]", "reset-replication[1]"]),
        with(step("warm", &["restore"]), |step| step.continue_on_error = true),
        with(step("never", &["restore"]), |step| step.skipped = true),
        step_in(Section::OnFailure, "page", None),
        with(step_in(Section::Finally, "report", None), |step| step.on_crash = OnCrash::Probe),
    ]);
    rig.destroy.script("restore", [Act::Outputs(json!({"tables": 9}))]);
    rig.destroy.script("reset-replication[0]", [Act::transient("lost")]);
    rig.destroy.script("reset-replication[1]", [Act::FailAfterEffect(StepError::transient("lost"))]);
    rig.write.script("wait-ready", [Act::Checkpoint(json!(1))]);
    rig.write.script("verify", [Act::Warn("a table without a key".to_owned())]);
    // A crash can cut an attempt, so there is more of this than one run uses up.
    rig.write.script("warm", (0..9).map(|_| Act::permanent("no such cache")));
    rig
}

fn failing() -> Rig {
    let rig = Rig::new(vec![
        with(step("a", &[]), |step| step.retry = Some(retry(2))),
        probing("b", &["a"]),
        probing("free", &[]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::OnFailure, "log", Some("page")),
        with(step_in(Section::Finally, "tidy", None), |step| step.on_crash = OnCrash::Probe),
    ]);
    rig.write.script("a", (0..9).map(|_| Act::transient("never up")));
    rig
}

fn succeeded(events: &[Event], id: &str) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::StepSucceeded { step, .. } if step.as_str() == id))
        .count()
}

/// No start of a step after its success: in the whole run, or in a round for the steps that belong to one.
fn assert_nothing_succeeded_runs_again(rig: &Rig) {
    let events = rig.events();
    for step in &rig.plan.steps {
        let spans: Vec<&[Event]> = match step.section {
            Section::Main => vec![&events],
            Section::OnFailure | Section::Finally => {
                events.split_inclusive(|event| matches!(event, Event::RunFinished { .. })).collect()
            }
        };
        for span in spans {
            let (id, story) = (&step.id, rig.story());
            assert!(succeeded(span, id.as_str()) <= 1, "{id} succeeded twice:\n{story}");
            let success = span
                .iter()
                .position(|event| matches!(event, Event::StepSucceeded { step, .. } if step == id));
            let last_start =
                span.iter().rposition(|event| matches!(event, Event::StepStarted { step, .. } if step == id));
            if let (Some(success), Some(last_start)) = (success, last_start) {
                assert!(last_start < success, "{id} ran again:\n{story}");
            }
        }
    }
}

fn summary(state: &RunState) -> String {
    format!("{:?}: {}", state.outcome(), words(state))
}

async fn same_end_wherever_it_is_killed(make: fn() -> Rig, outcome: Outcome) {
    let whole = make();
    let end = whole.execute().await.unwrap();
    assert!(matches!(end, RunEnd::Finished { outcome: found, .. } if found == outcome), "{end:?}");
    let expected = summary(&whole.state());
    let length = whole.events().len();
    for boundary in 0..length {
        let mut rig = make().dying_after(boundary);
        rig.execute().await.unwrap_err();
        assert_eq!(rig.events().len(), boundary);
        rig.next_process(None);
        rig.resume(Vec::new()).await.unwrap();
        assert_eq!(summary(&rig.state()), expected, "killed after {boundary} records:\n{}", rig.story());
        assert_nothing_succeeded_runs_again(&rig);
    }
}

#[tokio::test]
async fn a_recovery_killed_at_any_boundary_ends_in_the_same_state() {
    same_end_wherever_it_is_killed(recovery, Outcome::SucceededWithWarnings).await;
}

#[tokio::test]
async fn a_failing_run_killed_at_any_boundary_ends_in_the_same_state() {
    same_end_wherever_it_is_killed(failing, Outcome::Failed).await;
}

#[tokio::test]
async fn a_recovery_killed_again_and_again_still_ends_in_the_same_state() {
    let whole = recovery();
    whole.execute().await.unwrap();
    let mut rig = recovery().dying_after(0);
    let mut length = 0;
    while rig.state().outcome().is_none() {
        // As few as a process needs to get anywhere: its own first, a start, a checkpoint or warning, an end.
        length = rig.events().len().max(length) + 4;
        rig.next_process(Some(length));
        let _ = rig.resume(Vec::new()).await;
        assert!(length < 500, "the run never ends:\n{}", rig.story());
    }
    assert_eq!(summary(&rig.state()), summary(&whole.state()), "{}", rig.story());
    assert_nothing_succeeded_runs_again(&rig);
}

#[tokio::test]
async fn steps_leave_their_effect_once_wherever_the_run_is_killed() {
    let length = {
        let rig = recovery();
        rig.execute().await.unwrap();
        rig.events().len()
    };
    for boundary in 0..length {
        let mut rig = recovery().dying_after(boundary);
        rig.execute().await.unwrap_err();
        let done_before = rig.destroy.effects();
        let runs_before: Vec<_> = done_before.iter().map(|step| rig.destroy.runs_of(step)).collect();
        rig.next_process(None);
        rig.resume(Vec::new()).await.unwrap();
        // A destroy step that had its effect is found by its probe, not run again.
        let runs_after: Vec<_> = done_before.iter().map(|step| rig.destroy.runs_of(step)).collect();
        assert_eq!(runs_after, runs_before, "killed after {boundary} records: {done_before:?}");
    }
}

/// The operator's word reaches the run at every boundary, once or twice; then somebody resumes it.
async fn goes_on_wherever_it_is_cancelled(words: usize) {
    let whole = recovery();
    whole.execute().await.unwrap();
    for boundary in 1..whole.events().len() as u64 {
        let mut rig = recovery();
        let cancellation = rig.cancellation.clone();
        rig.on_record(move |record| {
            if record.seq == boundary {
                (0..words).for_each(|_| cancellation.request("SIGINT"));
            }
        });
        let end = rig.execute().await.unwrap();
        rig.on_record(|_| {});
        let resumable = matches!(end, RunEnd::Finished { outcome: Outcome::Cancelled, .. });
        if resumable {
            rig.next_process(None);
            rig.resume(Vec::new()).await.unwrap();
        }
        assert_eq!(
            summary(&rig.state()),
            summary(&whole.state()),
            "cancelled at {boundary}:\n{}",
            rig.story()
        );
        assert_eq!(succeeded(&rig.events(), "restore"), 1, "{}", rig.story());
    }
}

#[tokio::test]
async fn a_recovery_cancelled_at_any_boundary_can_be_resumed_to_its_end() {
    goes_on_wherever_it_is_cancelled(1).await;
}

#[tokio::test]
async fn a_recovery_stopped_at_once_at_any_boundary_can_be_resumed_to_its_end() {
    goes_on_wherever_it_is_cancelled(2).await;
}
