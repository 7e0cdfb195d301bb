//! `report.write` into real folders.

use rekindle_engine::report::{REPORT_FORMAT, Report};
use rekindle_engine::step::{Planned, Step, StepError};
use rekindle_engine::testing::{self, TestContext};
use serde_json::{Value, json};

use super::{ReportWrite, ReportWriteOutputs, ReportWriteParams};

fn report() -> Report {
    Report {
        format: REPORT_FORMAT,
        run: Some("20261122T150000Z-1f9c".into()),
        runbook: "disaster-recovery".to_owned(),
        runbook_version: "1.2.0".to_owned(),
        environment: "production".to_owned(),
        plan_hash: "abc".to_owned(),
        outcome: None,
        steps_done: true,
        started_at: None,
        last_at: None,
        total_ms: 0,
        downtime_ms: 0,
        busy_ms: 0,
        most_at_once: 0,
        resumptions: Vec::new(),
        replans: Vec::new(),
        cancelled_by: None,
        question: None,
        decisions: Vec::new(),
        steps: Vec::new(),
        critical_path: Vec::new(),
        objectives: None,
    }
}

fn test_context() -> TestContext {
    testing::context(&testing::world()).report(report()).build()
}

fn params(with: Value) -> ReportWriteParams {
    serde_json::from_value(with).unwrap()
}

async fn write(with: Value) -> Result<ReportWriteOutputs, StepError> {
    ReportWrite.run(&params(with), &test_context().cx).await
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn both_files_are_written_into_a_folder_that_was_not_there() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("reports/20261122T150000Z-1f9c");
    let outputs = write(json!({ "dir": dir })).await.unwrap();
    assert_eq!(outputs.files, [dir.join("report.md"), dir.join("report.json")]);
    assert_eq!(names(&dir), ["report.json", "report.md"]);
    assert!(std::fs::read_to_string(dir.join("report.md")).unwrap().contains("disaster-recovery"));
    let read: Value = serde_json::from_slice(&std::fs::read(dir.join("report.json")).unwrap()).unwrap();
    assert_eq!(read["plan_hash"], "abc");
}

#[tokio::test]
async fn only_the_formats_that_were_asked_for_are_written() {
    let place = tempfile::tempdir().unwrap();
    write(json!({ "dir": place.path(), "formats": ["json"] })).await.unwrap();
    assert_eq!(names(place.path()), ["report.json"]);
}

#[tokio::test]
async fn a_second_time_replaces_the_first() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("report.md"), "old").unwrap();
    write(json!({ "dir": place.path() })).await.unwrap();
    assert_ne!(std::fs::read_to_string(place.path().join("report.md")).unwrap(), "old");
    assert_eq!(names(place.path()), ["report.json", "report.md"]);
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_is_left_alone_and_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("reports");
    std::fs::write(&file, "mine").unwrap();
    let error = write(json!({ "dir": file.join("today") })).await.unwrap_err();
    assert!(error.message.contains("reports/today"), "{}", error.message);
    assert!(error.help.is_some());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[tokio::test]
async fn without_a_run_there_is_nothing_to_report() {
    let place = tempfile::tempdir().unwrap();
    let test = testing::context(&testing::world()).build();
    let error = ReportWrite.run(&params(json!({ "dir": place.path() })), &test.cx).await.unwrap_err();
    assert_eq!(error.message, "there is no run to report on");
    assert!(names(place.path()).is_empty());
}

#[test]
fn the_plan_names_the_folder_as_far_as_it_is_known() {
    let rendered = json!({ "dir": "reports/(known during the run)" });
    let unknown = [("/dir".to_owned(), "(known during the run)".to_owned())].into();
    let intent = ReportWrite.plan(&Planned::partly_known(rendered, unknown)).unwrap();
    assert_eq!(intent.summary, "write the report of the run into reports/(known during the run)");
}

#[test]
fn an_empty_folder_or_list_is_refused_and_an_unknown_format_named() {
    for (with, message) in [
        (json!({ "dir": "" }), "`dir` is empty"),
        (json!({ "dir": "reports", "formats": [] }), "`formats` is empty"),
    ] {
        let error = ReportWrite.plan(&Planned::known(params(with.clone()), with)).unwrap_err();
        assert_eq!(error.message, message);
    }
    let wrong = json!({ "dir": "reports", "formats": ["pdf"] });
    let error = serde_json::from_value::<ReportWriteParams>(wrong).unwrap_err().to_string();
    assert!(error.contains("unknown variant `pdf`, expected `md` or `json`"), "{error}");
}
