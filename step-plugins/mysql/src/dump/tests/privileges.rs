//! An account that does not see everything.

use super::*;

on_both!(an_account_without_trigger_is_refused_by_name_and_nothing_is_stored);
async fn an_account_without_trigger_is_refused_by_name_and_nothing_is_stored(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut session = server.login().connect().await.unwrap().session;
    let create =
        format!("CREATE USER 'blind'@'%' IDENTIFIED BY {}", crate::connection::quote_string(CANARY_PASSWORD));
    for statement in
        ["CREATE DATABASE shop", create.as_str(), "GRANT SELECT, SHOW VIEW, EVENT ON *.* TO 'blind'@'%'"]
    {
        session.run("be seeded", statement).await.unwrap();
    }
    if flavour == Flavour::Mysql {
        let position = "GRANT RELOAD, REPLICATION CLIENT ON *.* TO 'blind'@'%'";
        session.run("let it read its position", position).await.unwrap();
    }
    let login = Login {
        user: "blind".to_owned(),
        password: Some(rekindle_engine::host::Secret::new(CANARY_PASSWORD)),
        ..server.login().clone()
    };
    let bench = bench_as(Some(&login)).await;

    let error = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    insta::assert_snapshot!(error, @"the account 'blind'@'%' of `primary` has no TRIGGER on shop");
    insta::assert_snapshot!(error.help.unwrap(), @"without it things would be missing in the dump; run `GRANT TRIGGER ON *.* TO 'blind'@'%'`");
    assert!(names(&bench.store).await.is_empty());

    let cx = context(&bench.world).settings(bench.test.cx.settings().clone()).preflight([]);
    let whole = json!({ "target": "primary", "store": "primary", "name": "full" });
    let found = Dump.preflight(&planned(&whole), &cx).await;
    assert_eq!(found.problems.len(), 1);
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::dump::missing_privilege: the account 'blind'@'%' of `primary` has no TRIGGER on shop (/target)
      help: without it things would be missing in the dump; run `GRANT TRIGGER ON *.* TO 'blind'@'%'`
    ");

    session.run("grant it", "GRANT TRIGGER ON *.* TO 'blind'@'%'").await.unwrap();
    assert_eq!(Dump.preflight(&planned(&whole), &cx).await.problems, []);
    Dump.run(&params(json!({})), &bench.test.cx).await.unwrap();
    session.close().await;
}
