//! Verdicts on a real server that a backup was restored into.

use rekindle_backup::catalogue;
use rekindle_backup::inventory::Inventory;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::Flavour;
use rekindle_backup::verdict::{Level, Verdict};
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::plan::Section;
use rekindle_engine::report::{Attempt, AttemptEnd, REPORT_FORMAT, Report, StepReport, StepStatus};
use rekindle_engine::step::{Effect, Step as _, StepError};
use rekindle_engine::testing::{FakeWorld, TestContext, context};
use serde_json::{Value, json};

use super::*;
use crate::assert::tests::{filled, publish};
use crate::checksum::add_checksums;
use crate::connection::Server;
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, world_of};

/// A run in which the step `restore` was tried twice, for 1 and for 3 seconds, with a minute between.
fn report() -> Report {
    let attempt = |number, start: &str, end: &str| Attempt {
        number,
        started_at: start.parse().unwrap(),
        ended_at: Some(end.parse().unwrap()),
        end: AttemptEnd::Succeeded,
        error: None,
    };
    let attempts = vec![
        attempt(1, "2026-11-22T15:00:00Z", "2026-11-22T15:00:01Z"),
        attempt(2, "2026-11-22T15:01:01Z", "2026-11-22T15:01:04Z"),
    ];
    let restore = StepReport {
        id: "restore".into(),
        kind: "mysql.restore".to_owned(),
        section: Section::Main,
        effect: Effect::Destroy,
        status: StepStatus::Succeeded,
        blocked_by: None,
        approval: None,
        attempts,
        took_ms: 64_000,
        warnings: Vec::new(),
        checkpoints: 0,
        probes: Vec::new(),
    };
    Report {
        format: REPORT_FORMAT,
        run: Some("20261122T150000Z-1f9c".into()),
        runbook: "restore-drill".to_owned(),
        runbook_version: "1.0.0".to_owned(),
        environment: "production".to_owned(),
        plan_hash: "abc".to_owned(),
        outcome: None,
        steps_done: false,
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
        steps: vec![restore],
        critical_path: Vec::new(),
        objectives: None,
    }
}

/// A server, and a backup of it whose manifest has checksums.
struct Drilled {
    world: FakeWorld,
    settings: Settings,
    open: Server,
    uri: BackupUri,
    _server: TempServer,
}

impl Drilled {
    async fn new(change: impl FnOnce(&mut Inventory)) -> Self {
        Self::of(Flavour::Mariadb, change).await
    }

    async fn of(flavour: Flavour, change: impl FnOnce(&mut Inventory)) -> Self {
        let (server, mut open) = filled(flavour, "drill").await;
        let (world, mut settings) = world_of(&[("drill", server.login())]);
        settings.stores.insert("main".into(), StoreConfig::at("memory:main"));
        let mut inventory = crate::inventory::read(&mut open.session).await.unwrap();
        add_checksums(&mut open.session, &mut inventory, |_, _| {}).await.unwrap();
        change(&mut inventory);
        let uri = publish(&world, &mut open, inventory).await;
        Self { world, settings, open, uri, _server: server }
    }

    async fn verify(&self, more: Value) -> (TestContext, Result<Outputs, StepError>) {
        let test = context(&self.world).settings(self.settings.clone()).report(report()).build();
        let mut params = json!({ "target": "drill", "backup": self.uri, "restored_by": "restore" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let result = VerifyRestore.run(&serde_json::from_value(params).unwrap(), &test.cx).await;
        (test, result)
    }

    async fn verdicts(&self) -> Vec<Verdict> {
        let store = self.world.stores.store("memory:main");
        catalogue::show(&*store, &self.uri).await.unwrap().listed.verdicts
    }
}

on_both!(an_equal_server_proves_the_backup_and_is_measured);
async fn an_equal_server_proves_the_backup_and_is_measured(flavour: Flavour) {
    let drilled = Drilled::of(flavour, |_| {}).await;

    let (test, outputs) = drilled.verify(json!({})).await;

    let outputs = outputs.unwrap();
    assert_eq!((outputs.tables, outputs.rows, outputs.checksums), (3, 5, 3));
    assert_eq!(outputs.restore_ms, 4_000, "the minute between the attempts does not count");
    assert!(outputs.data_bytes >= 3 * 16_384, "every InnoDB table has a page: {outputs:?}");
    assert_eq!(outputs.bytes_per_second, Some(outputs.data_bytes / 4));
    assert_eq!(outputs.predicted_restore_ms, Some(4_000));
    assert_eq!(test.reporter.warnings(), [""; 0]);
    let verdicts = drilled.verdicts().await;
    assert_eq!(verdicts.len(), 1);
    assert!(verdicts[0].ok && verdicts[0].level == Level::Restore, "{verdicts:?}");
    assert_eq!(verdicts[0].drill.as_ref().unwrap().restore_ms, 4_000);
}

on_both!(a_changed_value_is_found_by_checksum_and_makes_a_bad_verdict);
async fn a_changed_value_is_found_by_checksum_and_makes_a_bad_verdict(flavour: Flavour) {
    let mut drilled = Drilled::of(flavour, |_| {}).await;
    let change = "UPDATE shop.customers SET name = 'other' WHERE id = 1";
    drilled.open.session.run("be changed", change).await.unwrap();

    let (_, result) = drilled.verify(json!({})).await;

    let error = result.unwrap_err();
    let begins = "backup://main/shop/b1 does not restore to what it says: the checksum of table shop.customers: expected ";
    assert!(error.message.starts_with(begins), "{}", error.message);
    let verdicts = drilled.verdicts().await;
    assert!(!verdicts[0].ok, "{verdicts:?}");
    assert_eq!(verdicts[0].problems.len(), 1);
}

#[tokio::test]
async fn a_backup_without_checksums_is_proven_by_its_rows_and_the_lack_is_told() {
    let forget = |inventory: &mut Inventory| {
        for table in inventory.databases.values_mut().flat_map(|database| database.tables.values_mut()) {
            table.checksum = None;
        }
    };
    let drilled = Drilled::new(forget).await;

    let (test, outputs) = drilled.verify(json!({ "record": false })).await;

    assert_eq!(outputs.unwrap().checksums, 0);
    insta::assert_snapshot!(test.reporter.warnings().join("\n"), @"3 of 3 tables have no checksum to compare with: only their rows were counted");
    assert_eq!(drilled.verdicts().await, []);
}

#[tokio::test]
async fn a_production_that_can_not_be_asked_fails_no_drill() {
    let mut drilled = Drilled::new(|_| {}).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gone = drilled.settings.targets.values().next().unwrap().clone();
    gone.port = listener.local_addr().unwrap().port();
    drop(listener);
    drilled.settings.targets.insert("production".into(), gone);

    let (test, outputs) = drilled.verify(json!({ "production": "production" })).await;

    let outputs = outputs.unwrap();
    assert_eq!(outputs.production_bytes, outputs.data_bytes);
    let warning = test.reporter.warnings().join("\n");
    assert!(
        warning.starts_with("the prediction is for the backup's size: `production` can't be reached"),
        "{warning}"
    );
}

#[tokio::test]
async fn a_step_that_the_run_does_not_have_measures_nothing() {
    let drilled = Drilled::new(|_| {}).await;

    let (_, result) = drilled.verify(json!({ "restored_by": "load" })).await;

    let error = result.unwrap_err();
    insta::assert_snapshot!(error, @"this run has no step `load`");
    assert_eq!(drilled.verdicts().await, []);
}
