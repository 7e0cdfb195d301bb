//! The operator's word reaches a plugin, and a plugin that does not hear is ended with its children.

use std::time::Instant;

use super::{Lab, context, first_log, is_alive, params, told};

/// Runs the fixture, cancels once it has said something, and gives its error and what it said.
async fn cancelled(mode: &str) -> (String, String) {
    let lab = Lab::new(mode);
    let (step, test) = (lab.step(), context());
    let params = params();
    let (result, said) = tokio::join!(step.run(&params, &test.cx), async {
        let said = first_log(&test).await;
        test.cancel.cancel();
        said
    });
    assert_eq!(super::children_of(&lab.path()), Vec::<i32>::new());
    (told(&result.unwrap_err()), said)
}

#[tokio::test]
async fn a_plugin_is_asked_to_stop_and_answers() {
    insta::assert_snapshot!(cancelled("hears cancel").await.0, @"
    cancelled: stopped half way
    help: none
    ");
}

#[tokio::test]
async fn a_plugin_that_ignores_being_asked_is_killed_with_its_children() {
    let (error, child) = cancelled("ignores cancel").await;
    insta::assert_snapshot!(error, @"
    transient: the plugin did not stop within 5s of being asked to, so it was killed
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
    assert!(!is_alive(child.parse().unwrap()));
}

#[tokio::test]
async fn a_plugin_that_cannot_be_asked_is_ended_at_once() {
    let before = Instant::now();
    let (error, child) = cancelled("no cancel").await;
    insta::assert_snapshot!(error, @"
    cancelled: cancelled
    help: none
    ");
    assert!(!is_alive(child.parse().unwrap()));
    assert!(before.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_processes() {
    let lab = Lab::new("ignores cancel");
    let (step, test) = (lab.step(), context());
    let params = params();
    let child = tokio::select! {
        _ = step.run(&params, &test.cx) => panic!("it ended by itself"),
        child = first_log(&test) => child,
    };
    let deadline = Instant::now() + std::time::Duration::from_secs(30);
    while is_alive(child.parse().unwrap()) || !super::children_of(&lab.path()).is_empty() {
        assert!(Instant::now() < deadline, "the group lives on");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn children_left_by_a_plugin_that_succeeded_are_ended_and_told_of() {
    let lab = Lab::new("leaves a child");
    let test = context();
    lab.step().run(&params(), &test.cx).await.unwrap();
    assert!(!is_alive(test.reporter.logs()[0].parse().unwrap()));
    assert_eq!(test.reporter.warnings(), ["the plugin left processes behind, which were ended"]);
}
