use std::sync::Arc;

use super::rig::Rig;
use super::support::{plan, step};
use crate::host::Secret;
use crate::journal::{FileJournal, Runs};
use crate::report::StepStatus;
use crate::run::{FileLogs, StepLogs as _, execute};
use crate::testing::FakeClock;

#[test]
fn lines_are_kept_with_their_time_one_a_line() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Arc::new(FakeClock::manual());
    let run = Runs::new(folder.path()).create(&plan(vec![step("a", &[])]), clock.as_ref()).unwrap();
    let logs = FileLogs::new(run.clone(), clock);
    logs.line(&"a".into(), "one\ntwo");
    insta::assert_snapshot!(std::fs::read_to_string(run.log_path(&"a".into())).unwrap(), @"
    2026-11-22T15:00:00Z one
    2026-11-22T15:00:00Z two
    ");
}

#[test]
fn long_lines_are_cut_and_long_logs_end() {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = Arc::new(FakeClock::manual());
    let run = Runs::new(folder.path()).create(&plan(vec![step("a", &[])]), clock.as_ref()).unwrap();
    let logs = FileLogs::new(run.clone(), clock);
    let line = "é".repeat(100_000);
    for _ in 0..2_200 {
        logs.line(&"a".into(), &line);
    }
    let text = std::fs::read_to_string(run.log_path(&"a".into())).unwrap();
    assert!(text.len() < (16 << 20) + 100, "{}", text.len());
    assert!(text.ends_with("the log is full: what follows is left out\n"));
    assert!(text.lines().all(|line| line.len() < 9_000));
}

#[tokio::test]
async fn a_run_in_a_directory_leaves_its_journal_there() {
    let folder = tempfile::TempDir::new().unwrap();
    let rig = Rig::new(vec![step("a", &[])]);
    let run = Runs::new(folder.path()).create(&rig.plan, rig.fakes.clock.as_ref()).unwrap();
    let mut request = rig.request(1);
    request.journal = Arc::new(run.journal(rig.fakes.clock.clone()).unwrap());
    request.logs = Arc::new(FileLogs::new(run.clone(), rig.fakes.clock.clone()));
    execute(request).await.unwrap();
    assert_eq!(FileJournal::look(run.journal_path()).unwrap().records, *rig.seen.records.lock().unwrap());
}

#[tokio::test]
async fn what_steps_say_is_masked_before_anybody_hears_it() {
    let rig = Rig::new(vec![step("a", &[])]);
    rig.fakes.world.masker.learn(&Secret::new("canary"));
    let (sender, _messages) = tokio::sync::mpsc::channel(1);
    let shared = crate::run::reporter::Shared::new(&rig.request(1), Vec::new(), sender);
    let reporter: &dyn crate::step::Reporter = &shared;
    reporter.log(&"a".into(), "the password is canary");
    let note = "canary".to_owned();
    reporter.progress(&"a".into(), crate::step::Progress { note, ..Default::default() });
    assert_eq!(*rig.seen.lines.lock().unwrap(), ["a: the password is ***", "the password is ***"]);
    assert_eq!(*rig.seen.notes.lock().unwrap(), ["***"]);
    for _ in 0..5_000 {
        reporter.warn(&"a".into(), "again");
    }
    assert_eq!(shared.take_warnings().len(), 1_001);
}

#[tokio::test]
async fn a_step_gets_the_report_of_its_run_so_far() {
    let rig = Rig::new(vec![step("a", &[]), step("b", &["a"])]);
    let (sender, _messages) = tokio::sync::mpsc::channel(1);
    let shared = crate::run::reporter::Shared::new(&rig.request(1), Vec::new(), sender);
    let at = rig.fakes.world.clock.now();
    let event = crate::journal::Event::StepStarted { step: "a".into(), attempt: 1 };
    shared.recorded(crate::journal::Record { seq: 1, at, event });
    let report = crate::step::Reporter::report(&shared).unwrap();
    let statuses: Vec<_> = report.steps.iter().map(|step| (step.id.as_str(), step.status)).collect();
    assert_eq!(statuses, [("a", StepStatus::Running), ("b", StepStatus::NotStarted)]);
}
