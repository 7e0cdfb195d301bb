//! Transactions in two phases.

use rekindle_engine::step::Step as _;

use super::*;
use crate::binlogs::testing::uri;
use crate::replay_binlogs::ReplayBinlogs;

async fn prepare(server: &TempServer, name: &str, id: u32) {
    let start = format!("XA START '{name}'");
    let insert = row(id);
    let (end, prepare) = (format!("XA END '{name}'"), format!("XA PREPARE '{name}'"));
    tell(server, &[&start, &insert, &end, &prepare]).await;
}

on_both!(transactions_in_two_phases_are_replayed_and_those_that_stay_prepared_are_named);
async fn transactions_in_two_phases_are_replayed_and_those_that_stay_prepared_are_named(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    prepare(&primary, "one", 2).await;
    tell(&primary, &[&row(3)]).await;
    prepare(&primary, "two", 4).await;
    tell(&primary, &["XA COMMIT 'one'", &row(5)]).await;
    lab.archive().await;
    lab.restore("b1").await;

    let cx = lab.cx();
    let params = json!({ "target": "fresh", "backup": uri("b1"), "until": { "end": true } });
    ReplayBinlogs.run(&serde_json::from_value(params).unwrap(), &cx.cx).await.unwrap();

    assert_eq!(ids(&fresh).await, "1,2,3,5");
    assert_eq!(
        cx.reporter.warnings(),
        [
            "`fresh` has transactions that are prepared and not decided (XA): 'two'; they hold their locks until somebody runs \
          `XA COMMIT` or `XA ROLLBACK`"
        ]
    );
    tell(&fresh, &["XA COMMIT 'two'"]).await;
    assert_eq!(ids(&fresh).await, "1,2,3,4,5");
    tell(&primary, &["XA ROLLBACK 'two'"]).await;
}

on_both!(a_dump_amid_two_phases_says_what_it_lacks_and_so_does_the_replay_that_needs_it);
async fn a_dump_amid_two_phases_says_what_it_lacks_and_so_does_the_replay_that_needs_it(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    prepare(&primary, "one", 2).await;
    let cx = lab.cx();
    let dump = json!({ "target": "primary", "store": "primary", "name": "full", "id": "x1" });
    crate::dump::Dump.run(&serde_json::from_value(dump).unwrap(), &cx.cx).await.unwrap();
    let warnings = cx.reporter.warnings();
    assert_eq!(
        warnings,
        [
            "transactions are prepared and not decided (XA): 'one'; what they changed is not in the dump, and logs can't be \
          replayed from it over their `XA COMMIT`: decide them, and dump again"
        ]
    );
    lab.back_up("b1").await;
    tell(&primary, &["XA COMMIT 'one'"]).await;
    lab.archive().await;
    lab.restore("b1").await;

    let error = lab.replay(json!({ "until": { "end": true } })).await.unwrap_err();

    assert!(error.message.contains("1397"), "{error}");
    assert!(error.help.unwrap().starts_with("the transaction was prepared (XA) before the backup was made"));
    assert_eq!(ids(&fresh).await, "1");
}
