use serde_json::{Value, json};
use tempfile::TempDir;

use super::{StandingClock, clock, events, owner};
use crate::id::RunId;
use crate::journal::{Event, Journal as _, LockError, Runs, RunsError, new_run_id};
use crate::plan::{PLAN_FORMAT, Plan, PlanReadError, RunbookIdentity};

pub(super) fn plan() -> Plan {
    let mut plan = Plan {
        format: PLAN_FORMAT,
        hash: String::new(),
        runbook: RunbookIdentity {
            name: "backup".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            sha256: "11".to_owned(),
            requires: None,
        },
        origin: crate::plan::Origin::default(),
        settings: crate::environment::Settings::default(),
        values: json!({}),
        concurrency: None,
        pinned: Vec::new(),
        unpinned: Vec::new(),
        groups: indexmap::IndexMap::new(),
        steps: Vec::new(),
    };
    plan.hash = plan.compute_hash();
    plan
}

#[test]
fn a_run_id_tells_its_time_and_is_random() {
    let ids: std::collections::BTreeSet<_> = (0..32).map(|_| new_run_id(&StandingClock).0).collect();
    assert!(ids.iter().all(|id| id.starts_with("20261122T153500Z-") && id.len() == 21), "{ids:?}");
    assert!(ids.len() > 1);
}

#[tokio::test]
async fn a_created_run_is_found_with_its_plan_and_journal() {
    let state = TempDir::new().unwrap();
    let runs = Runs::new(state.path());
    assert!(runs.list().unwrap().is_empty());
    let made = runs.create(&plan(), &StandingClock).unwrap();
    assert!(made.records().unwrap().is_empty());
    let journal = made.journal(clock()).unwrap();
    journal.append(&events()).await.unwrap();

    let found = runs.open(made.id()).unwrap();
    assert_eq!(found.plan().unwrap().runbook, plan().runbook);
    assert_eq!(found.records().unwrap().len(), 4);
    assert_eq!(found.journal(clock()).unwrap().read().await.unwrap().len(), 4);
    assert_eq!(runs.list().unwrap().len(), 1);
}

#[test]
fn runs_of_one_second_are_listed_in_the_order_they_were_made() {
    let state = TempDir::new().unwrap();
    let runs = Runs::new(state.path());
    let made: Vec<_> = (0..12).map(|_| runs.create(&plan(), &StandingClock).unwrap().id().clone()).collect();
    let listed: Vec<_> = runs.list().unwrap().iter().map(|run| run.id().clone()).collect();
    assert_eq!(listed, made);
}

#[test]
fn runs_of_one_second_get_different_ids() {
    let state = TempDir::new().unwrap();
    let runs = Runs::new(state.path());
    let ids: std::collections::BTreeSet<_> =
        (0..64).map(|_| runs.create(&plan(), &StandingClock).unwrap().id().clone()).collect();
    assert_eq!(ids.len(), 64);
}

#[test]
fn a_folder_without_a_plan_is_no_run() {
    let state = TempDir::new().unwrap();
    let runs = Runs::new(state.path());
    let run = runs.create(&plan(), &StandingClock).unwrap();
    std::fs::remove_file(run.path().join("plan.json")).unwrap();
    assert!(runs.list().unwrap().is_empty());
    assert!(matches!(runs.open(run.id()), Err(RunsError::NotFound { .. })));
}

#[test]
fn a_run_id_never_leaves_the_folder() {
    let state = TempDir::new().unwrap();
    let runs = Runs::new(state.path().join("a"));
    let outside = Runs::new(state.path().join("b")).create(&plan(), &StandingClock).unwrap();
    runs.create(&plan(), &StandingClock).unwrap();
    for id in [format!("../../b/runs/{}", outside.id()), outside.path().display().to_string(), String::new()]
    {
        assert!(matches!(runs.open(&RunId(id)), Err(RunsError::NotFound { .. })));
    }
}

#[test]
fn a_newer_plan_is_refused() {
    let state = TempDir::new().unwrap();
    let run = Runs::new(state.path()).create(&plan(), &StandingClock).unwrap();
    let path = run.path().join("plan.json");
    let mut stored: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    stored["format"] = json!(PLAN_FORMAT + 1);
    stored["steps"] = json!("something else altogether");
    std::fs::write(&path, stored.to_string()).unwrap();
    assert!(matches!(run.plan(), Err(RunsError::Plan { source: PlanReadError::Newer { found: 3 }, .. })));
}

#[test]
fn a_cut_plan_is_refused_by_name() {
    let state = TempDir::new().unwrap();
    let run = Runs::new(state.path()).create(&plan(), &StandingClock).unwrap();
    std::fs::write(run.path().join("plan.json"), "{\"format\": 1, ").unwrap();
    let error = run.plan().unwrap_err().to_string();
    assert!(error.contains("plan.json") && error.contains("EOF"), "{error}");
}

#[test]
fn two_processes_can_not_drive_one_run() {
    let state = TempDir::new().unwrap();
    let run = Runs::new(state.path()).create(&plan(), &StandingClock).unwrap();
    let first = run.lock(&owner(1)).unwrap();
    assert!(
        matches!(run.lock(&owner(2)), Err(LockError::Held { owner: Some(held), .. }) if *held == owner(1))
    );
    drop(first);
    run.lock(&owner(2)).unwrap();
}

#[test]
fn step_logs_have_safe_names() {
    let state = TempDir::new().unwrap();
    let run = Runs::new(state.path()).create(&plan(), &StandingClock).unwrap();
    let name = |step: &str| run.log_path(&step.into()).file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(name("restore[2]"), "restore[2].log");
    assert_eq!(name("copy[../x]"), "copy[..%2Fx].log");
}

/// A plan of another runbook version.
fn next_plan(version: &str) -> Plan {
    let mut plan = plan();
    plan.runbook.version = version.to_owned();
    plan.hash = plan.compute_hash();
    plan
}

fn replanned(plan: &Plan) -> Event {
    Event::RunReplanned { plan_hash: plan.hash.clone(), reused: Vec::new(), by: "kim".to_owned() }
}

#[tokio::test]
async fn the_plan_of_a_run_is_the_last_one_that_its_journal_knows() {
    let state = TempDir::new().unwrap();
    let run = Runs::new(state.path()).create(&plan(), &StandingClock).unwrap();
    let journal = run.journal(clock()).unwrap();
    journal.append(&events()[..1]).await.unwrap();
    let hashes = || run.plans().unwrap().iter().map(|plan| plan.hash.clone()).collect::<Vec<_>>();
    let (first, second, third) = (plan(), next_plan("2.0.0"), next_plan("3.0.0"));

    // A crash after the plan was stored and before the event: nothing has changed, and the next one takes its place.
    run.add_plan(&third).unwrap();
    assert_eq!(hashes(), std::slice::from_ref(&first.hash));
    run.add_plan(&second).unwrap();
    journal.append(&[replanned(&second)]).await.unwrap();
    assert_eq!(run.plan().unwrap().hash, second.hash);
    run.add_plan(&third).unwrap();
    assert_eq!(run.plan().unwrap().hash, second.hash);
    journal.append(&[replanned(&third)]).await.unwrap();
    assert_eq!(hashes(), [first.hash, second.hash, third.hash]);
    assert_eq!(run.plan().unwrap().runbook.version, "3.0.0");
}

#[tokio::test]
async fn a_plan_that_is_not_the_one_the_run_went_on_under_is_refused_by_name() {
    let state = TempDir::new().unwrap();
    let run = Runs::new(state.path()).create(&plan(), &StandingClock).unwrap();
    let journal = run.journal(clock()).unwrap();
    run.add_plan(&next_plan("2.0.0")).unwrap();
    journal.append(&events()[..1]).await.unwrap();
    journal.append(&[replanned(&next_plan("3.0.0"))]).await.unwrap();
    let error = run.plan().unwrap_err().to_string();
    assert!(error.ends_with("plan-2.json is not the one that the run went on under"), "{error}");
    std::fs::remove_file(run.path().join("plan-2.json")).unwrap();
    // Only the file that the journal names is missed.
    let error = run.plans().unwrap_err().to_string();
    assert!(error.contains("plan-2.json"), "{error}");
}
