//! The fakes keep the promises of what they stand for.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Act, Answer, FakeClock, FakeWorld, MemoryStore, Operation, ScriptedStep, context, world};
use crate::environment::{SecretRef, SecretSource, Settings};
use crate::host::{
    Body, Clock as _, CommandSpec, Key, ObjectStore as _, Processes as _, PutMode, Secret, StoreErrorKind,
    TerminateReason,
};
use crate::step::{Effect, ErasedStep as _, Probe, StepError};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[tokio::test]
async fn an_automatic_clock_wakes_sleepers_in_the_order_of_their_deadlines() {
    let clock = FakeClock::automatic();
    let began = clock.now();
    let order = std::sync::Mutex::new(Vec::new());
    let wait = async |hours: u64| {
        clock.sleep(Duration::from_secs(hours * 3600)).await;
        order.lock().unwrap().push(hours);
    };
    tokio::join!(wait(3), wait(1), wait(2));
    assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    assert_eq!(clock.now().duration_since(began).as_hours(), 3);
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn a_dropped_wait_does_not_move_an_automatic_clock() {
    let clock = FakeClock::automatic();
    let began = clock.now();
    tokio::select! {
        () = clock.sleep(Duration::from_hours(1)) => panic!("the timeout must not win"),
        () = clock.sleep(Duration::from_secs(1)) => {}
    }
    assert_eq!(clock.now().duration_since(began).as_secs(), 1);
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn a_manual_clock_stands_until_it_is_moved() {
    let clock = Arc::new(FakeClock::manual());
    let sleeping = tokio::spawn({
        let clock = Arc::clone(&clock);
        async move { clock.sleep(Duration::from_secs(10)).await }
    });
    clock.until_sleeping(1).await;
    clock.advance(Duration::from_secs(9));
    tokio::task::yield_now().await;
    assert!(!sleeping.is_finished());
    clock.advance(Duration::from_secs(1));
    sleeping.await.unwrap();
    assert_eq!(clock.slept(), [Duration::from_secs(10)]);
}

#[tokio::test]
async fn an_object_appears_only_when_its_stream_ended_well() {
    let store = MemoryStore::new("memory:a");
    let (sender, body) = Body::channel();
    sender.send("half".into()).await.unwrap();
    drop(sender);
    let error = store.put(&key("a"), body, PutMode::Replace).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Source);
    assert!(store.keys().is_empty());
}

#[tokio::test]
async fn put_if_absent_leaves_the_first_object_alone() {
    let store = MemoryStore::new("memory:a");
    store.put(&key("a"), Body::from_bytes("first"), PutMode::IfAbsent).await.unwrap();
    let error = store.put(&key("a"), Body::from_bytes("second"), PutMode::IfAbsent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
    assert_eq!(store.object(&key("a")).unwrap(), "first");
}

#[tokio::test]
async fn of_two_writers_that_put_if_absent_at_once_one_wins() {
    let store = MemoryStore::new("memory:a");
    let (slow, slow_body) = Body::channel();
    let (key, other) = (key("a"), Body::from_bytes("fast"));
    let late = async {
        slow.send("slow".into()).await.unwrap();
        store.put(&key, other, PutMode::IfAbsent).await.unwrap();
        slow.finish().await.unwrap();
    };
    let (slow_result, ()) = tokio::join!(store.put(&key, slow_body, PutMode::IfAbsent), late);
    assert_eq!(slow_result.unwrap_err().kind, StoreErrorKind::AlreadyExists);
    assert_eq!(store.object(&key).unwrap(), "fast");
}

#[tokio::test]
async fn ranges_give_those_bytes_and_none_outside() {
    let store = MemoryStore::new("memory:a");
    store.insert(&key("a"), "0123456789");
    let bytes = store.get(&key("a"), Some(2..5)).await.unwrap().collect(100).await.unwrap();
    assert_eq!(bytes, b"234");
    let error = store.get(&key("a"), Some(5..11)).await.err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::Invalid);
}

#[tokio::test]
async fn a_full_store_keeps_nothing_of_what_did_not_fit() {
    let store = MemoryStore::new("memory:a");
    store.insert(&key("old"), "1234");
    store.limit_bytes(Some(6));
    let error = store.put(&key("new"), Body::from_bytes("123"), PutMode::Replace).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Full);
    assert_eq!(store.keys(), ["old"]);
    store.put(&key("old"), Body::from_bytes("123456"), PutMode::Replace).await.unwrap();
}

#[tokio::test]
async fn faults_hit_the_call_they_were_set_for() {
    let store = MemoryStore::new("memory:a");
    store.insert(&key("a"), vec![7; 200_000]);
    store.fail(Operation::Get, 2, StoreErrorKind::Unavailable);
    store.cut_get(3, 100_000);
    assert!(store.get(&key("a"), None).await.is_ok());
    assert_eq!(store.get(&key("a"), None).await.err().unwrap().kind, StoreErrorKind::Unavailable);
    let cut = store.get(&key("a"), None).await.unwrap().collect(1 << 20).await.unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(store.get(&key("a"), None).await.unwrap().collect(1 << 20).await.unwrap().len(), 200_000);
}

#[test]
fn processes_answer_in_turn_and_repeat_the_last_answer() {
    let world = FakeWorld::with_clock(FakeClock::manual());
    world.processes.answer("tool", Answer::failure(2, "no"));
    world.processes.answer("tool", Answer::success("yes"));
    let run = || {
        let mut child = world.processes.start(&CommandSpec::new("tool").arg("a b")).unwrap();
        let mut text = String::new();
        child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
        (text, child.wait().unwrap().code)
    };
    assert_eq!(run(), (String::new(), Some(2)));
    assert_eq!(run(), ("yes".to_owned(), Some(0)));
    assert_eq!(run(), ("yes".to_owned(), Some(0)));
    assert_eq!(world.processes.command_lines(), ["tool 'a b'"; 3]);
    assert!(world.processes.find("other").is_none());
    assert!(world.processes.start(&CommandSpec::new("other")).is_err());
}

#[test]
fn a_hanging_process_ends_when_it_is_terminated() {
    let world = FakeWorld::with_clock(FakeClock::manual());
    world.processes.answer("tool", Answer::hang().stdout("partial"));
    let mut child = world.processes.start(&CommandSpec::new("tool")).unwrap();
    let (mut stdout, terminate) = (child.take_stdout().unwrap(), child.terminator());
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    terminate(TerminateReason::TimedOut, Duration::ZERO);
    assert_eq!(child.wait().unwrap().signal, Some(15));
    assert_eq!(reading.join().unwrap().unwrap(), "partial");
    assert_eq!(world.processes.terminated(), [TerminateReason::TimedOut]);
}

#[test]
fn private_files_are_counted_until_they_are_dropped() {
    let world = FakeWorld::with_clock(FakeClock::manual());
    let file = world.processes.private_file(&Secret::new("[client]")).unwrap();
    assert_eq!(world.processes.open_private_files(), 1);
    drop(file);
    assert_eq!(world.processes.open_private_files(), 0);
    assert_eq!(world.processes.private_files(), ["[client]"]);
}

#[tokio::test]
async fn a_secret_is_masked_once_it_was_read() {
    let world = world();
    world.secrets.set("root", "hunter2");
    let source = SecretSource { env: Some("ROOT".to_owned()), file: None, command: None };
    let secrets = [("root", source.clone()), ("missing", source)];
    let secrets = secrets.into_iter().map(|(name, source)| (name.into(), source)).collect();
    let settings = Settings { secrets, ..Settings::default() };
    let test = context(&world).settings(settings).build();
    let secret = test.cx.secret(&SecretRef { secret: "root".into() }).await.unwrap();
    assert_eq!(secret.expose(), "hunter2");
    assert_eq!(world.world.masker.mask("it is hunter2"), "it is ***");
    let error = test.cx.secret(&SecretRef { secret: "missing".into() }).await.unwrap_err();
    assert!(error.message.contains("the environment variable ROOT"), "{error}");
}

#[tokio::test]
async fn a_scripted_step_follows_its_script_and_probes_the_truth() {
    let step = ScriptedStep::new("fake.write", Effect::Write)
        .outputs(json!({ "uri": "memory:a" }))
        .probes_truthfully();
    step.script("restore", [Act::transient("lost"), Act::FailAfterEffect(StepError::transient("lost"))]);
    let test = context(&world()).step("restore").build();
    assert_eq!(step.run(&json!({}), &test.cx).await.unwrap_err().message, "lost");
    assert_eq!(step.probe(&json!({}), &test.cx).await.unwrap(), Probe::Absent);
    step.run(&json!({}), &test.cx).await.unwrap_err();
    let found = step.probe(&json!({}), &test.cx).await.unwrap();
    assert_eq!(found, Probe::Complete(json!({ "uri": "memory:a" })));
    assert_eq!(step.run(&json!({ "a": 1 }), &test.cx).await.unwrap()["uri"], "memory:a");
    assert_eq!((step.runs_of("restore"), step.most_running()), (3, 1));
    assert_eq!(step.params_of("restore")[2], json!({ "a": 1 }));
    assert_eq!(step.info().outputs.as_value()["properties"]["uri"]["type"], "string");
}

#[tokio::test]
async fn a_hanging_scripted_step_hears_cancellation() {
    let step = ScriptedStep::new("fake.write", Effect::Write);
    step.script_any([Act::HangUntilCancelled]);
    let test = context(&world()).build();
    test.cancel.cancel();
    assert_eq!(step.run(&json!({}), &test.cx).await.unwrap_err(), StepError::cancelled());
    assert!(step.effects().is_empty());
}

#[test]
fn a_scripted_step_refuses_what_its_schema_refuses() {
    let step = ScriptedStep::new("fake.write", Effect::Write).params(schemars::json_schema!({
        "type": "object", "required": ["target"], "additionalProperties": false,
        "properties": { "target": { "type": "string" } },
    }));
    assert!(step.check_params(&json!({ "target": "primary" })).is_ok());
    assert_eq!(step.check_params(&json!({ "target": 3 })).unwrap_err().pointer, "/target");
    assert_eq!(step.check_params(&json!({ "target": "a", "x": 1 })).unwrap_err().pointer, "/x");
    assert_eq!(step.check_params(&json!({})).unwrap_err().message, "missing field `target`");
}
