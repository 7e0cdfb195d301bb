//! What a report says of runs that went well, badly, or died on the way.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Report, StepStatus, Verdict, markdown, report, text};
use crate::journal::{Event, JOURNAL_FORMAT, Outcome, Record, Resolution, RunnerIdentity, StepFinding};
use crate::plan::{Style, fixture};
use crate::step::StepError;

fn start() -> Timestamp {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

fn runner() -> RunnerIdentity {
    RunnerIdentity {
        pid: 7,
        started_ticks: 1,
        boot_id: "boot".to_owned(),
        host: "host".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

/// Records at these milliseconds after the start, the start of the run first.
fn records(events: impl IntoIterator<Item = (i64, Event)>) -> Vec<Record> {
    let started = Event::RunStarted {
        format: JOURNAL_FORMAT,
        run: "20261122T150000Z-1f9c".into(),
        plan_hash: String::new(),
        runbook: "disaster-recovery".to_owned(),
        runbook_version: "1.2.0".to_owned(),
        environment: "production".to_owned(),
        runner: runner(),
        fence: None,
        commit: None,
    };
    let events = std::iter::once((0, started)).chain(events).zip(1..);
    events
        .map(|((ms, event), seq)| Record { seq, at: start() + SignedDuration::from_millis(ms), event })
        .collect()
}

fn began(step: &str, attempt: u32) -> Event {
    Event::StepStarted { step: step.into(), attempt }
}

fn succeeded(step: &str) -> Event {
    Event::StepSucceeded { step: step.into(), outputs: json!({}) }
}

fn failed(step: &str, error: StepError, retry_at_ms: Option<i64>) -> Event {
    let retry_at = retry_at_ms.map(|ms| start() + SignedDuration::from_millis(ms));
    Event::StepFailed { step: step.into(), error, retry_at }
}

/// A recovery whose runner is killed in the middle of the restore.
fn died_and_resumed() -> Vec<Record> {
    let lost = StepError::transient("primary closed the connection");
    let warning =
        Event::StepWarned { step: "verify".into(), text: "table `a|b` has no primary key".to_owned() };
    records([
        (10, began("provision", 1)),
        (1_500, succeeded("provision")),
        (1_510, began("wait-ready", 1)),
        (4_000, failed("wait-ready", lost, Some(6_000))),
        (6_000, began("wait-ready", 2)),
        (7_000, succeeded("wait-ready")),
        (7_010, began("restore", 1)),
        (20_000, Event::StepCheckpoint { step: "restore".into(), value: json!(1) }),
        (26_000, Event::RunResumed { runner: runner(), fence: None }),
        (26_100, Event::StepProbed { step: "restore".into(), finding: StepFinding::Absent }),
        (26_200, began("restore", 2)),
        (60_000, succeeded("restore")),
        (60_010, began("reset-replication[0]", 1)),
        (60_010, began("reset-replication[1]", 1)),
        (66_000, succeeded("reset-replication[0]")),
        (70_000, succeeded("reset-replication[1]")),
        (70_020, began("verify", 1)),
        (74_000, warning),
        (75_000, succeeded("verify")),
        (75_010, began("report", 1)),
        (75_020, succeeded("report")),
        (75_030, Event::RunFinished { outcome: Outcome::Succeeded }),
    ])
}

fn of(records: &[Record]) -> Report {
    report(&fixture::recovery(), records)
}

fn status(report: &Report, step: &str) -> StepStatus {
    report.steps.iter().find(|report| report.id.as_str() == step).unwrap().status
}

#[test]
fn the_timeline_shows_retries_the_gap_and_the_promises() {
    insta::assert_snapshot!(text(&of(&died_and_resumed()), Style::Plain));
}

#[test]
fn markdown_has_everything_and_escapes_tables() {
    insta::assert_snapshot!(markdown(&of(&died_and_resumed())));
}

#[test]
fn a_step_in_flight_at_the_crash_ends_with_the_last_sign_of_life() {
    let report = of(&died_and_resumed());
    let restore = report.steps.iter().find(|step| step.id.as_str() == "restore").unwrap();
    let json = serde_json::to_value(&restore.attempts).unwrap();
    assert_eq!(json[0]["end"], "interrupted");
    assert_eq!(json[0]["ended_at"], "2026-11-22T15:00:20Z");
    assert_eq!((report.downtime_ms, restore.took_ms), (6_000, 52_990));
    assert_eq!(report.most_at_once, 2);
}

#[test]
fn the_critical_path_goes_through_the_slower_branch_and_adds_up() {
    let report = of(&died_and_resumed());
    let path: Vec<_> = report.critical_path.iter().map(|link| link.step.as_str()).collect();
    assert_eq!(path, ["provision", "wait-ready", "restore", "reset-replication[1]", "verify", "report"]);
    let sum: u64 = report.critical_path.iter().map(|link| link.waited_ms + link.took_ms).sum();
    assert_eq!(sum, 75_020);
}

#[test]
fn a_failed_run_names_the_error_its_help_and_what_it_blocked() {
    let error = StepError::permanent("access denied for root").help("correct the secret `root`\x1b[2J");
    let report = of(&records([
        (0, began("provision", 1)),
        (900, failed("provision", error, None)),
        (900, Event::StepBlocked { step: "wait-ready".into(), by: "provision".into() }),
        (910, began("page", 1)),
        (920, succeeded("page")),
        (1_000, Event::RunFinished { outcome: Outcome::Failed }),
    ]));
    insta::assert_snapshot!(text(&report, Style::Plain));
    assert_eq!(status(&report, "wait-ready"), StepStatus::Blocked);
    let objectives = report.objectives.unwrap();
    assert_eq!(objectives.recovery_time.verdict, Verdict::Missed);
    assert_eq!(objectives.recovery_time.achieved_ms, None);
}

#[test]
fn a_run_that_waits_for_a_decision_says_for_which() {
    let mut records = records([
        (0, began("provision", 1)),
        (5_000, Event::RunResumed { runner: runner(), fence: None }),
        (5_010, Event::RunPaused { step: "provision".into(), question: "is it done?".to_owned() }),
    ]);
    let waiting = of(&records);
    assert!(text(&waiting, Style::Plain).contains("waiting: is it done?"));
    assert_eq!(status(&waiting, "provision"), StepStatus::Interrupted);
    let resolved = Event::StepResolved {
        step: "provision".into(),
        resolution: Resolution::Done,
        by: "kim".to_owned(),
        why: "looked".to_owned(),
    };
    for (seq, event) in [(5, Event::RunResumed { runner: runner(), fence: None }), (6, resolved)] {
        records.push(Record { seq, at: start() + SignedDuration::from_secs(60), event });
    }
    let decided = of(&records);
    assert!(decided.resumptions[1].paused && !decided.resumptions[0].paused);
    assert_eq!((status(&decided, "provision"), decided.question), (StepStatus::Succeeded, None));
}

#[test]
fn promises_are_measured_from_the_recovery_point_to_the_start_and_to_the_end() {
    let objectives = of(&died_and_resumed()).objectives.unwrap();
    assert_eq!(objectives.recovery_time.achieved_ms, Some(75_030));
    assert_eq!(objectives.recovery_point.achieved_ms, Some(480_000));
    let mut plan = fixture::recovery();
    plan.settings.objectives.as_mut().unwrap().rto = Some(fixture::duration("75s"));
    plan.pinned[0].outputs["recovery_point"] = json!("2026-11-22T14:44:59Z");
    let missed = report(&plan, &died_and_resumed()).objectives.unwrap();
    assert_eq!(missed.recovery_time.verdict, Verdict::Missed);
    assert_eq!(missed.recovery_point.verdict, Verdict::Missed);
    plan.pinned.clear();
    let unknown = report(&plan, &died_and_resumed()).objectives.unwrap();
    assert_eq!(unknown.recovery_point.verdict, Verdict::Unknown);
}

#[test]
fn a_report_written_in_finally_knows_that_the_recovery_is_done() {
    let all = died_and_resumed();
    let writing = of(&all[..all.len() - 2]);
    assert!(text(&writing, Style::Plain).contains(": succeeded, finishing after 1m 15s"));
    assert_eq!(writing.objectives.unwrap().recovery_time.verdict, Verdict::Met);
    let verifying = of(&all[..all.len() - 4]);
    assert_eq!(verifying.objectives.unwrap().recovery_time.verdict, Verdict::Open);
}

#[test]
fn a_backup_promises_no_recovery() {
    let mut plan = fixture::recovery();
    plan.pinned.clear();
    let outputs = json!({ "recovery_point": "2026-11-22T15:00:01Z" });
    let records = records([
        (0, began("provision", 1)),
        (2_000, Event::StepSucceeded { step: "provision".into(), outputs }),
        (2_000, Event::RunFinished { outcome: Outcome::Succeeded }),
    ]);
    assert_eq!(report(&plan, &records).objectives, None);
}

#[test]
fn a_journal_that_is_empty_or_cut_anywhere_still_gives_a_report() {
    let all = died_and_resumed();
    for length in 0..=all.len() {
        let report = of(&all[..length]);
        assert_eq!(report.outcome.is_some(), length == all.len());
        assert!(text(&report, Style::Ansi).contains("disaster-recovery"));
        assert!(super::json(&report).contains("\"format\": 1"));
    }
}

#[test]
fn two_runs_are_compared_by_what_they_were_to_do_and_how_they_fared() {
    let plan = fixture::recovery();
    let died = died_and_resumed();
    let mut edited = plan.clone();
    edited.runbook.version = "1.3.0".to_owned();
    edited.values["backup"] = "b1".into();
    edited.steps.retain(|step| step.id.as_str() != "smoke");
    edited.hash = edited.compute_hash();
    let mut other = records([(1, Event::StepStarted { step: "provision".into(), attempt: 1 })]);
    if let Event::RunStarted { commit, .. } = &mut other[0].event {
        *commit = Some(crate::journal::SourceCommit { id: "3f2a91c0d4e5b6a7".to_owned(), dirty: true });
    }
    let diff = super::compare((&plan, &died), (&edited, &other));
    insta::assert_snapshot!(diff.text(Style::Plain), @r#"
      run          20261122T150000Z-1f9c                20261122T150000Z-1f9c
    ~ runbook      disaster-recovery 1.2.0              disaster-recovery 1.3.0
    ~ commit       -                                    3f2a91c0d4e5, edited since
      environment  production                           production
    ~ plan         cb2b20fc89f2                         37cf5dfb9cf1
    ~ ended        succeeded                            not finished
    ~ took         1m 15s                               1ms

    runbook
      ~ version: "1.2.0" → "1.3.0"
    values
      ~ backup: "latest" → "b1"
    steps
      - smoke  run (write): run ./smoke.sh

    how the steps fared
      find                  found while planning                 found while planning
    ~ provision             succeeded in 1.4s                    running in 0ms
    ~ wait-ready            succeeded in 5.4s, 2 attempts        not started
    ~ restore               succeeded in 52.9s, 2 attempts       not started
    ~ reset-replication[0]  succeeded in 5.9s                    not started
    ~ reset-replication[1]  succeeded in 9.9s                    not started
    ~ verify                succeeded in 4.9s                    not started
      page                  not started                          not started
    ~ report                succeeded in 10ms                    not started
    ~ smoke                 skipped                              -
    "#);
    let json = serde_json::to_value(&diff).unwrap();
    assert_eq!(json["new"]["commit"]["dirty"], true);
    assert_eq!(json["plan"]["values"][0]["field"], "backup");
    assert_eq!(json["steps"][0]["id"], "find");
}

#[test]
fn a_run_compared_with_itself_does_the_same() {
    let (plan, records) = (fixture::recovery(), died_and_resumed());
    let text = super::compare((&plan, &records), (&plan, &records)).text(Style::Plain);
    assert!(text.contains("their plans do the same") && !text.contains("~ "), "{text}");
}
