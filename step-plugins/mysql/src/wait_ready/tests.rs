use rekindle_engine::host::Secret;
use rekindle_engine::step::ErrorClass;
use rekindle_engine::testing;
use serde_json::json;

use super::*;
use crate::testing::{on_both, planned, server_of, world_of};

fn params(value: &serde_json::Value) -> WaitReadyParams {
    serde_json::from_value(value.clone()).unwrap()
}

on_both!(it_waits_for_a_server_that_comes_back_and_tells_what_it_is);
async fn it_waits_for_a_server_that_comes_back_and_tells_what_it_is(flavour: Flavour) {
    let mut server = server_of(flavour, "primary").await;
    server.kill().await.unwrap();
    let (mut world, settings) = world_of(&[("primary", server.login())]);
    world.world.clock = std::sync::Arc::new(rekindle_host::SystemClock);
    let test = testing::context(&world).settings(settings).build();
    let params = params(&json!({ "target": "primary", "interval": "20ms", "writable": true }));

    let (outputs, again) = tokio::join!(WaitReady.run(&params, &test.cx), server.start_again());
    again.unwrap();

    let outputs = outputs.unwrap();
    assert_eq!((outputs.flavour, outputs.read_only), (flavour, false));
    assert!(
        outputs.version.contains("MariaDB") == (flavour == Flavour::Mariadb) && outputs.waited_seconds > 0.0,
        "{outputs:?}"
    );
    assert!(test.reporter.logs()[0].contains("can't be reached"), "{:?}", test.reporter.logs());
}

on_both!(a_wrong_password_or_another_flavour_ends_it_at_once);
async fn a_wrong_password_or_another_flavour_ends_it_at_once(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let wrong = Login { password: Some(Secret::new("wrong")), ..server.login().clone() };
    let (world, settings) = world_of(&[("primary", &wrong)]);
    let test = testing::context(&world).settings(settings.clone()).build();
    let error = WaitReady.run(&params(&json!({ "target": "primary" })), &test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains("refuses the account `root`"), "{error}");
    let cx = testing::context(&world).settings(settings).preflight([]);
    let found = WaitReady.preflight(&planned(&json!({ "target": "primary" })), &cx).await;
    assert_eq!(found.problems[0].code, "rekindle::target::access_denied");

    let (world, settings) = world_of(&[("primary", server.login())]);
    let test = testing::context(&world).settings(settings).build();
    let other = match flavour {
        Flavour::Mariadb => Flavour::Mysql,
        Flavour::Mysql => Flavour::Mariadb,
    };
    let wanted = params(&json!({ "target": "primary", "flavour": other }));
    let error = WaitReady.run(&wanted, &test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.ends_with(&format!(", not {}", flavour_name(other))), "{error}");
}

#[tokio::test]
async fn a_target_that_is_not_declared_and_a_password_that_can_not_be_read_are_problems_beforehand() {
    let login = Login {
        target: "primary".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        user: "root".to_owned(),
        password: Some(Secret::new("x")),
        tls: None,
    };
    let (world, mut settings) = world_of(&[("primary", &login)]);
    settings.secrets.clear();
    let cx = testing::context(&world).settings(settings).preflight([]);
    let mut told = Vec::new();
    for target in ["primary", "nowhere"] {
        let found = WaitReady.preflight(&planned(&json!({ "target": target })), &cx).await;
        told.push(found.problems[0].to_string());
    }
    insta::assert_snapshot!(told.join("\n"), @"
    rekindle::secret::unreadable: the environment has no secret `secret-of-primary` (/target)
      help: declare it under `secrets:` in the environment
    rekindle::target::unknown: the environment has no target `nowhere` (/target)
      help: declare it under `targets:` in the environment
    ");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_note_before_the_run_and_cancelling_ends_the_wait() {
    let login = Login {
        target: "primary".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: crate::sandbox::free_port().unwrap(),
        user: "root".to_owned(),
        password: Some(Secret::new("x")),
        tls: None,
    };
    let (world, settings) = world_of(&[("primary", &login)]);
    let cx = testing::context(&world).settings(settings.clone()).preflight([]);
    let found = WaitReady.preflight(&planned(&json!({ "target": "primary" })), &cx).await;
    assert_eq!((found.problems.len(), found.notes), (0, vec!["primary does not answer yet".to_owned()]));

    let test = testing::context(&world).settings(settings).build();
    test.cancel.cancel();
    let error = WaitReady.run(&params(&json!({ "target": "primary" })), &test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
}
