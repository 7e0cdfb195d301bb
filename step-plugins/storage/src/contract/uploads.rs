//! What every object store promises of uploads that go on after a crash.

use rekindle_engine::host::{ObjectInfo, PutMode, Resumption, StoreError, StoreErrorKind};
use rekindle_engine::testing::{KeptStates, MemorySource};

use super::{Store, key, names, put, text};

async fn upload(
    store: &Store,
    source: &MemorySource,
    mode: PutMode,
    states: &KeptStates,
) -> Result<ObjectInfo, StoreError> {
    let earlier = states.last();
    store.upload(&key("up"), source, mode, Resumption::new(earlier.as_ref(), states)).await
}

pub(crate) async fn an_upload_is_an_object_when_it_is_whole(store: Store) {
    put(&store, "up", "before").await;
    let (bytes, states) = (vec![7; 1_000_000], KeptStates::default());
    let broken = MemorySource::new(bytes.clone()).breaks_at(600_000);
    let error = upload(&store, &broken, PutMode::Replace, &states).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Source);
    assert_eq!(text(&store, "up").await, "before");
    // Going on twice is as good as once.
    for _ in 0..2 {
        let whole = MemorySource::new(bytes.clone());
        let info = upload(&store, &whole, PutMode::Replace, &states).await.unwrap();
        assert_eq!(info.size_bytes, 1_000_000);
        assert!(store.get(&key("up"), None).await.unwrap().collect(1 << 20).await.unwrap() == bytes);
        assert_eq!(names(&store, "").await, ["up"]);
    }
}

pub(crate) async fn an_upload_goes_on_with_the_source_as_it_is_now(store: Store) {
    let states = KeptStates::default();
    let broken = MemorySource::new(vec![7; 1_000_000]).breaks_at(600_000);
    upload(&store, &broken, PutMode::IfAbsent, &states).await.unwrap_err();
    let other = MemorySource::new([vec![7; 300_000], vec![9; 100_000]].concat());
    upload(&store, &other, PutMode::IfAbsent, &states).await.unwrap();
    let read = store.get(&key("up"), None).await.unwrap().collect(1 << 20).await.unwrap();
    assert!(read == [vec![7; 300_000], vec![9; 100_000]].concat());
}

pub(crate) async fn an_upload_if_absent_leaves_what_is_there(store: Store) {
    put(&store, "up", "first").await;
    let source = MemorySource::new("second");
    let error = upload(&store, &source, PutMode::IfAbsent, &KeptStates::default()).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
    assert_eq!(text(&store, "up").await, "first");
}

pub(crate) async fn a_state_that_is_not_of_this_upload_is_passed_over(store: Store) {
    for state in [serde_json::json!({}), serde_json::json!({ "partial": "../../up", "upload_id": 7 })] {
        let (source, states) = (MemorySource::new("whole"), KeptStates::default());
        let resumption = Resumption::new(Some(&state), &states);
        store.upload(&key("up"), &source, PutMode::Replace, resumption).await.unwrap();
        assert_eq!(text(&store, "up").await, "whole");
    }
}
