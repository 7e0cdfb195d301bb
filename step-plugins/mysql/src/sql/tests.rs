//! Statements on real servers.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{ErrorClass, Probe, Step as _};
use serde_json::{Value, json};

use super::*;
use crate::binlogs::testing::{Lab, ask, tell};
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, planned, server_of};

const TABLE: [&str; 3] = [
    "CREATE DATABASE shop",
    "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(5)) ENGINE=InnoDB",
    "INSERT INTO shop.t VALUES (1, 'a'), (2, 'b')",
];

async fn lab(flavour: Flavour) -> (Lab, TempServer) {
    let server = server_of(flavour, "primary").await;
    let lab = Lab::of(&[&server]);
    tell(&server, &TABLE).await;
    (lab, server)
}

fn params(statements: &[&str], more: &Value) -> Value {
    let mut params = json!({ "target": "primary", "database": "shop", "statements": statements });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

on_both!(statements_run_once_and_are_proven_by_what_tells_that_they_are_done);
async fn statements_run_once_and_are_proven_by_what_tells_that_they_are_done(flavour: Flavour) {
    let (lab, server) = lab(flavour).await;
    let body = "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT ';'; END";
    let done = json!({ "done": { "sql": "SELECT COUNT(*) FROM t WHERE v = 'c'", "expect": 2 } });
    let params =
        params(&["UPDATE t SET v = 'c'; INSERT INTO t VALUES (3, 'x')", body, "SELECT * FROM t"], &done);
    let probe =
        async || Sql.probe(&serde_json::from_value(params.clone()).unwrap(), &lab.cx().cx).await.unwrap();

    assert_eq!(probe().await, Probe::Absent);
    let outputs = lab.run(&Sql, params.clone()).await.unwrap();

    assert_eq!(outputs, SqlOutputs { statements: 3, affected_rows: 3 });
    assert_eq!(ask(&server, "SELECT GROUP_CONCAT(v) FROM shop.t").await, "c,c,x");
    assert_eq!(probe().await, Probe::Complete(SqlOutputs::default()));
    assert_eq!(
        lab.run(&Sql, params).await.unwrap(),
        SqlOutputs::default(),
        "the procedure is not created twice"
    );
}

on_both!(a_transaction_is_all_or_nothing_and_without_one_the_message_says_what_is_there);
async fn a_transaction_is_all_or_nothing_and_without_one_the_message_says_what_is_there(flavour: Flavour) {
    let (lab, server) = lab(flavour).await;
    let statements = ["DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (2, 'twice')"];

    let error = lab.run(&Sql, params(&statements, &json!({ "transaction": true }))).await.unwrap_err();
    assert_eq!(
        (error.class, ask(&server, "SELECT COUNT(*) FROM shop.t").await.as_str()),
        (ErrorClass::Permanent, "2")
    );
    insta::assert_snapshot!(error.help.unwrap(), @"the transaction was rolled back; what commits by itself, as CREATE and ALTER do, is there");

    let error = lab.run(&Sql, params(&statements, &json!({}))).await.unwrap_err();
    assert!(
        error
            .message
            .starts_with("`primary` refused to run statement 2 of 2 (`INSERT INTO t VALUES (2, 'twice')`): "),
        "{error}"
    );
    insta::assert_snapshot!(error.help.unwrap(), @"those before it have been run; `transaction: true` makes it all or none");
    assert_eq!(ask(&server, "SELECT COUNT(*) FROM shop.t").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_do_what_it_was_to_do_is_an_error() {
    let (lab, _server) = lab(Flavour::Mariadb).await;
    let done = json!({ "done": { "sql": "SELECT v FROM shop.t WHERE id = 1", "expect": "z" } });
    let error = lab.run(&Sql, params(&["UPDATE t SET v = 'y' WHERE id = 1"], &done)).await.unwrap_err();
    insta::assert_snapshot!(error, @r#"the statements ran, and it is not `done`: `SELECT v FROM shop.t WHERE id = 1`: expected "z", found "y""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_warns_of_is_told() {
    let (lab, _server) = lab(Flavour::Mariadb).await;
    let cx = lab.cx();
    let statements =
        ["SET SESSION sql_mode = ''", "UPDATE t SET v = 'too long' WHERE id = 1", "DROP TABLE IF EXISTS u"];
    Sql.run(&serde_json::from_value(params(&statements, &json!({}))).unwrap(), &cx.cx).await.unwrap();
    insta::assert_snapshot!(cx.reporter.warnings().join("\n"), @"
    statement 2 of 3: warning 1265: Data truncated for column 'v' at row 1
    statement 3 of 3: note 1051: Unknown table 'shop.u'
    ");
}

#[test]
fn a_plan_shows_the_statements_and_refuses_what_is_none() {
    let plan = |params: &Value| Sql.plan(&planned(params)).map_err(|error| error.to_string());
    let done = json!({ "transaction": true, "done": { "sql": "SELECT 1", "expect": 1 } });
    let intent = plan(&params(&["DELETE FROM t", "DO 1"], &done)).unwrap();
    insta::assert_snapshot!(intent.summary, @"run 2 statements on primary in one transaction, unless `SELECT 1` answers 1");
    assert_eq!(intent.commands, ["DELETE FROM t", "DO 1"]);
    insta::assert_snapshot!(plan(&params(&[], &json!({}))).unwrap_err(), @"there are no `statements`");
    insta::assert_snapshot!(plan(&params(&["DO 1", " -- nothing\n"], &json!({}))).unwrap_err(), @"statement 2 of 2 is empty");
    insta::assert_snapshot!(plan(&params(&["DELIMITER ;;\nDO 1;;"], &json!({}))).unwrap_err(), @"statement 1 of 1 has `DELIMITER`, a word to client programs");
    insta::assert_snapshot!(plan(&params(&["DO 1", "\\! id"], &json!({}))).unwrap_err(), @r"statement 2 of 2 can't be read: the client command `\!` is no SQL and is refused (line 1, byte 0 of the SQL text)");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_a_table_that_is_yet_to_be_made_is_not_done() {
    let (lab, server) = lab(Flavour::Mariadb).await;
    let done = json!({ "done": { "sql": "SELECT v FROM settings", "expect": "dr" } });
    let statements = ["CREATE TABLE settings (v TEXT)", "INSERT INTO settings VALUES ('dr')"];
    let params = params(&statements, &done);
    let read = serde_json::from_value(params.clone()).unwrap();
    assert_eq!(Sql.probe(&read, &lab.cx().cx).await.unwrap(), Probe::Absent);

    lab.run(&Sql, params).await.unwrap();

    assert_eq!(ask(&server, "SELECT v FROM shop.settings").await, "dr");
}

on_both!(a_statement_that_is_cancelled_is_undone);
async fn a_statement_that_is_cancelled_is_undone(flavour: Flavour) {
    let (lab, server) = lab(flavour).await;
    let cx = lab.cx();
    let params = params(&["UPDATE t SET v = 'z' WHERE SLEEP(60) = 0"], &json!({}));
    let params = serde_json::from_value(params).unwrap();
    let cancel = cx.cancel.clone();
    let asking = async {
        let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE t %'";
        while ask(&server, running).await != "1" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(Sql.run(&params, &cx.cx), asking);

    assert_eq!(ended.unwrap_err().class, ErrorClass::Cancelled);
    assert_eq!(ask(&server, "SELECT GROUP_CONCAT(v) FROM shop.t").await, "a,b");
    let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE t %'";
    assert_eq!(ask(&server, running).await, "0");
}
