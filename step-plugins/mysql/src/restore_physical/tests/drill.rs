//! Backups that become the files of a throw-away server.

use rekindle_backup::catalogue;
use rekindle_backup::inventory::Table;
use rekindle_engine::step::StepError;

use super::*;

/// Puts the backup `b1` in the place of what a throw-away server has.
async fn drill(bench: &Bench, fresh: &TempServer) -> Result<Outputs, StepError> {
    let params = json!({
        "backup": "backup://primary/shop/b1", "target": "fresh", "drill": true,
        "sandbox": { "directory": fresh.directory(), "options": ["--event-scheduler=OFF"] }
    });
    bench.run(&RestorePhysical, params).await
}

async fn has_failed(bench: &Bench) -> bool {
    let store = "primary".into();
    let listed = catalogue::list_backups(bench.store.as_ref(), &store, Some("shop")).await.unwrap();
    listed[0].has_failed()
}

on_both!(a_throw_away_server_has_the_files_of_the_backup_and_the_account_of_its_target);
async fn a_throw_away_server_has_the_files_of_the_backup_and_the_account_of_its_target(flavour: Flavour) {
    let (source, fresh) = tokio::join!(server_of(flavour, "source"), server_of(flavour, "fresh"));
    tell(source.login(), &shop_of(flavour)).await;
    let bench = bench(&[("source", &source), ("fresh", &fresh)]);
    bench.publish("b1", json!({ "mode": "cold" })).await;
    let mut bench = bench;
    // Nobody in production has the account of a drill.
    bench.target("fresh").user = "drill".to_owned();
    bench.target("fresh").local = None;

    let outputs = drill(&bench, &fresh).await.unwrap();

    assert_eq!(ask(fresh.login(), "SELECT CAST(COUNT(*) AS CHAR) FROM shop.customers").await, "2");
    assert_eq!(ask(fresh.login(), "SELECT @@event_scheduler").await, "OFF");
    assert!(outputs.moved_aside.starts_with(&fresh.directory().display().to_string()), "{outputs:?}");
    assert_eq!(
        ask(fresh.login(), "SELECT CAST(COUNT(*) AS CHAR) FROM mysql.user WHERE user = 'drill'").await,
        "2"
    );
    assert!(!has_failed(&bench).await);
}

on_both!(a_backup_that_does_not_come_up_in_a_drill_counts_as_bad);
async fn a_backup_that_does_not_come_up_in_a_drill_counts_as_bad(flavour: Flavour) {
    let (source, fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    let mut manifest = bench.manifest("b1");
    let tables = &mut manifest.inventory.databases.get_mut("shop").unwrap().tables;
    tables.insert("gone".to_owned(), Table::default());
    bench.store.insert(&key("b1", "manifest.json"), rekindle_backup::sealed::seal(&manifest).unwrap());

    let error = drill(&bench, &fresh).await.unwrap_err();

    assert!(error.message.contains("table shop.gone"), "{error}");
    assert!(has_failed(&bench).await);
    drop(source);
}
