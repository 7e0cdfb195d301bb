//! What can't be replayed as statements is refused by name before the server is touched. With `survey.patch`.

use super::*;

on_both!(load_data_as_a_statement_is_refused_by_name_before_the_server_is_touched);
async fn load_data_as_a_statement_is_refused_by_name_before_the_server_is_touched(flavour: Flavour) {
    let processes = processes();
    let options = ["--binlog-format=STATEMENT", "--local-infile=ON"];
    let (primary, fresh) = tokio::join!(
        TempServer::start_of(flavour, "primary", &processes, &options),
        TempServer::start_of(flavour, "fresh", &processes, &options)
    );
    let (primary, fresh) = (primary.unwrap(), fresh.unwrap());
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, "2,two\n3,three\n").unwrap();
    let load = format!(
        "LOAD DATA LOCAL INFILE '{}' INTO TABLE shop.t FIELDS TERMINATED BY ',' (id, v)",
        file.display()
    );
    let mut client = crate::testing::client_of(&primary, "mariadb", "mysql");
    assert!(client.args(["--local-infile=1", "-e", &load]).status().unwrap().success());
    assert_eq!(ids(&primary).await, "1,2,3");
    let gtid = back(&position(&primary).await, 0);
    tell(&primary, &[&row(4)]).await;
    lab.archive().await;
    lab.restore("b1").await;
    let before = state(&fresh).await;

    let error = lab.replay(json!({ "until": { "end": true } })).await.unwrap_err();

    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains(&gtid) && error.message.contains("LOAD DATA"), "{error}");
    assert_eq!((ids(&fresh).await.as_str(), state(&fresh).await), ("1", before));
    lab.replay(json!({ "until": { "end": true }, "skip": [gtid] })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_of_others_as_rows_is_refused_by_name_before_the_server_is_touched() {
    let (primary, fresh) = servers(Flavour::Mariadb).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    tell(&primary, &["CREATE TABLE shop.made_of AS SELECT * FROM shop.t"]).await;
    let gtid = back(&position(&primary).await, 0);
    tell(&primary, &[&row(2)]).await;
    lab.archive().await;
    lab.restore("b1").await;
    let before = state(&fresh).await;

    let error = lab.replay(json!({ "until": { "end": true } })).await.unwrap_err();

    assert!(error.message.contains(&gtid) && error.message.contains("CREATE TABLE … SELECT"), "{error}");
    assert_eq!(state(&fresh).await, before);
    lab.replay(json!({ "until": { "end": true }, "skip": [gtid] })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2");
}
