//! People's agreement in the driver.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use serde_json::json;

use super::approvals::guarded;
use super::rig::Rig;
use super::support::{step, step_in, with};
use crate::journal::{Event, Outcome, Runs};
use crate::plan::{Param, Section};
use crate::run::{Answer, Approvals, Awaited, Inbox, InboxApprovals, RunEnd, RunError, Verdict};
use crate::testing::Act;

fn verdict(step: &str, request: u64, by: &str, answer: Answer) -> Verdict {
    Verdict {
        step: step.into(),
        request,
        plan_hash: "aa".to_owned(),
        answer,
        by: by.to_owned(),
        why: "seen".to_owned(),
        from: "uid 1 on db-1".to_owned(),
    }
}

/// People at a terminal who say this, one after the other; then they go away.
#[derive(Default)]
struct People {
    says: Mutex<VecDeque<(&'static str, &'static str, Answer)>>,
    refused: Mutex<Vec<String>>,
    /// They stay when they have said everything.
    stay: bool,
}

impl People {
    fn who_say(says: &[(&'static str, &'static str, Answer)]) -> Arc<Self> {
        Arc::new(Self { says: Mutex::new(says.iter().copied().collect()), ..Self::default() })
    }
}

#[async_trait]
impl Approvals for People {
    fn attended(&self, _: &[Awaited]) -> bool {
        self.stay || !self.says.lock().unwrap().is_empty()
    }

    async fn next(&self, awaited: &[Awaited]) -> Option<Verdict> {
        let said = self.says.lock().unwrap().pop_front();
        match said {
            Some((step, by, answer)) => Some(verdict(step, awaited[0].request, by, answer)),
            None => std::future::pending().await,
        }
    }

    fn settled(&self, _: &Verdict, taken: Result<(), &str>) {
        self.refused.lock().unwrap().extend(taken.err().map(str::to_owned));
    }
}

/// Somebody who sat at the terminal, and leaves.
#[derive(Default)]
struct Leaving(Mutex<bool>);

#[async_trait]
impl Approvals for Leaving {
    fn attended(&self, _: &[Awaited]) -> bool {
        !*self.0.lock().unwrap()
    }

    async fn next(&self, _: &[Awaited]) -> Option<Verdict> {
        *self.0.lock().unwrap() = true;
        None
    }

    fn settled(&self, _: &Verdict, _: Result<(), &str>) {}
}

fn finished(end: Result<RunEnd, RunError>) -> Outcome {
    match end {
        Ok(RunEnd::Finished { outcome, .. }) => outcome,
        other => panic!("the run did not finish: {other:?}"),
    }
}

fn awaited(end: Result<RunEnd, RunError>) -> Vec<Awaited> {
    match end {
        Ok(RunEnd::Waiting { awaited }) => awaited,
        other => panic!("the run does not wait: {other:?}"),
    }
}

#[tokio::test]
async fn without_anybody_the_run_is_let_go_of_when_nothing_else_can_go_on() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 2, None), step("free", &[]), step("b", &["a"])]);
    let waits = awaited(rig.execute().await);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a asks 2: fake.write {}
    free started 1
    free succeeded {}
    run waits for a
    ");
    assert_eq!((waits[0].words().as_str(), waits[0].missing()), ("a (0 of 2)", 2));

    rig.next_process(None);
    let waits = awaited(rig.answer(vec![verdict("a", 2, "kim", Answer::Approve)]).await);
    assert_eq!(waits[0].approved_by, ["kim"]);
    rig.next_process(None);
    assert_eq!(finished(rig.answer(vec![verdict("a", 2, "ana", Answer::Approve)]).await), Outcome::Succeeded);
    assert_eq!(rig.write.order(), ["free", "a", "b"]);
}

#[tokio::test]
async fn a_run_is_let_go_of_when_the_person_at_the_terminal_leaves() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 1, None)]);
    rig.approvals = Arc::new(Leaving::default());
    assert_eq!(awaited(rig.execute().await)[0].words(), "a (0 of 1)");
    assert_eq!(rig.write.runs(), 0);
}

#[tokio::test]
async fn a_waiting_run_that_is_resumed_waits_again() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 1, None)]);
    awaited(rig.execute().await);
    rig.next_process(None);
    // Its process may well live: it has let go of the run.
    awaited(rig.resume_beside(Vec::new(), |_| true).await);
    assert_eq!(rig.write.runs(), 0);
}

#[tokio::test]
async fn an_answer_that_can_not_be_taken_leaves_nothing_in_the_journal() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 2, None)]);
    awaited(rig.execute().await);
    rig.next_process(None);
    awaited(rig.answer(vec![verdict("a", 2, "kim", Answer::Approve)]).await);
    let mut other = verdict("a", 2, "ana", Answer::Approve);
    other.plan_hash = "bb".to_owned();
    for wrong in [other, verdict("a", 2, "kim", Answer::Approve), verdict("b", 2, "ana", Answer::Approve)] {
        rig.next_process(None);
        let before = rig.events();
        let error = rig.answer(vec![wrong]).await.unwrap_err();
        assert!(matches!(error, RunError::NotAwaited { .. }), "{error}");
        assert_eq!(rig.events(), before);
    }
}

#[tokio::test]
async fn people_at_the_terminal_answer_while_other_steps_run() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 2, None), step("free", &[])]);
    rig.write.script("free", [Act::Wait(Duration::from_mins(1))]);
    let people = People::who_say(&[
        ("a", "kim", Answer::Approve),
        ("a", "kim", Answer::Approve),
        ("a", "ana", Answer::Approve),
    ]);
    rig.approvals = people.clone();
    assert_eq!(finished(rig.execute().await), Outcome::Succeeded);
    assert_eq!(*people.refused.lock().unwrap(), ["kim has approved step `a` already"]);
    let approvals = |event: &Event| matches!(event, Event::StepApproved { .. });
    assert_eq!(rig.events().into_iter().filter(approvals).count(), 2);
}

#[tokio::test]
async fn a_rejection_runs_what_follows_a_failure() {
    let mut rig = Rig::new(vec![
        guarded(step("a", &[]), 1, None),
        step("b", &["a"]),
        step_in(Section::OnFailure, "page", None),
        step_in(Section::Finally, "tidy", None),
    ]);
    rig.approvals = People::who_say(&[("a", "kim", Answer::Reject)]);
    assert_eq!(finished(rig.execute().await), Outcome::Failed);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a asks 1: fake.write {}
    a rejected by kim
    b blocked by a
    page started 1
    page succeeded {}
    tidy started 1
    tidy succeeded {}
    run Failed
    ");
    assert_eq!(rig.write.order(), ["page", "tidy"]);
}

#[tokio::test]
async fn a_driver_that_stays_notices_the_end_of_the_time() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 1, Some("4h"))]);
    rig.approvals = Arc::new(People { stay: true, ..People::default() });
    assert_eq!(finished(rig.execute().await), Outcome::Failed);
    insta::assert_snapshot!(rig.story(), @"
    run started by 1
    a asks 1: fake.write {}
    a not approved in time
    run Failed
    ");
}

#[tokio::test]
async fn whoever_drives_the_run_next_records_that_the_time_is_over() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 1, Some("4h"))]);
    awaited(rig.execute().await);
    rig.next_process(None);
    rig.fakes.clock.advance(Duration::from_hours(4));
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Failed);
    assert!(rig.story().contains("a not approved in time"), "{}", rig.story());
}

#[tokio::test]
async fn nobody_is_asked_about_what_will_not_run() {
    let mut skipped = guarded(step("skipped", &["find"]), 1, None);
    skipped.when = Some("steps.find.outputs.uri == 'other'".to_owned());
    let mut broken = guarded(step("broken", &["find"]), 1, None);
    broken.params = Param::Template("{{ steps.find.outputs.nothing }}".to_owned());
    let rig = Rig::new(vec![step("find", &[]), skipped, broken]);
    rig.write.script("find", [Act::Outputs(json!({"uri": "file:/b"}))]);
    assert_eq!(finished(rig.execute().await), Outcome::Failed);
    insta::assert_snapshot!(rig.story(), @r#"
    run started by 1
    find started 1
    find succeeded {"uri":"file:/b"}
    skipped skipped
    broken failed: failed to render its parameters: `steps.find.outputs.nothing` is undefined
    run Failed
    "#);
}

#[tokio::test]
async fn people_are_told_what_the_step_will_do_with_what_is_known_by_then() {
    let restore = with(guarded(step("restore", &["find"]), 1, None), |step| {
        let uri = Param::Template("{{ steps.find.outputs.uri }}".to_owned());
        step.params = Param::Map(IndexMap::from([("from".to_owned(), uri)]));
    });
    let rig = Rig::new(vec![step("find", &[]), restore]);
    rig.write.script("find", [Act::Outputs(json!({"uri": "file:/b"}))]);
    let waits = awaited(rig.execute().await);
    insta::assert_snapshot!(waits[0].what, @r#"fake.write {"from":"file:/b"}"#);
}

#[tokio::test]
async fn cancelling_a_waiting_run_ends_it() {
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 1, None), step_in(Section::Finally, "tidy", None)]);
    awaited(rig.execute().await);
    rig.next_process(None);
    rig.cancellation.request("rekindle cancel");
    assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Cancelled);
    assert_eq!(rig.write.order(), ["tidy"]);
}

#[tokio::test]
async fn a_waiting_run_killed_at_every_boundary_asks_once_and_starts_only_when_approved() {
    let steps = || vec![guarded(step("a", &[]), 2, None), step("b", &["a"])];
    for boundary in 1..7 {
        let mut rig = Rig::new(steps());
        rig.approvals = People::who_say(&[("a", "kim", Answer::Approve), ("a", "ana", Answer::Approve)]);
        rig.next_process(Some(boundary));
        rig.execute().await.unwrap_err();
        rig.next_process(None);
        rig.approvals = People::who_say(&[("a", "kim", Answer::Approve), ("a", "ana", Answer::Approve)]);
        assert_eq!(finished(rig.resume(Vec::new()).await), Outcome::Succeeded, "{boundary}");
        let count = |wanted: fn(&Event) -> bool| rig.events().iter().filter(|event| wanted(event)).count();
        assert_eq!(count(|event| matches!(event, Event::ApprovalRequested { .. })), 1, "{boundary}");
        assert_eq!(count(|event| matches!(event, Event::StepApproved { .. })), 2, "{boundary}");
    }
}

#[tokio::test]
async fn answers_from_other_processes_come_through_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(vec![guarded(step("a", &[]), 1, None), step("free", &[])]);
    let directory = Runs::new(folder.path()).create(&rig.plan, rig.fakes.clock.as_ref()).unwrap();
    let inbox = Inbox::of(&directory);
    rig.approvals = Arc::new(InboxApprovals::new(inbox.clone(), rig.fakes.world.clock.clone()));
    rig.write.script("free", [Act::WaitForRelease]);
    let (outside, write) = (inbox.clone(), rig.write.clone());
    rig.on_record(move |record| match &record.event {
        Event::ApprovalRequested { .. } => {
            outside.put(&verdict("a", record.seq - 1, "old", Answer::Reject)).unwrap();
            let left = directory.approvals_path().join(format!("{}.json", std::process::id()));
            std::fs::rename(left, directory.approvals_path().join("0.json")).unwrap();
            std::fs::write(directory.approvals_path().join("1.json"), "no answer").unwrap();
            outside.put(&verdict("a", record.seq, "kim", Answer::Approve)).unwrap();
        }
        Event::StepSucceeded { .. } | Event::StepStarted { .. } => write.release(),
        _ => {}
    });
    assert_eq!(finished(rig.execute().await), Outcome::Succeeded);
    let approvers: Vec<_> = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::StepApproved { by, .. } => Some(by),
            _ => None,
        })
        .collect();
    assert_eq!(approvers, ["kim"]);
}
