//! What an index spares, and what it must never hide.

use jiff::Timestamp;
use rekindle_engine::host::{Key, ObjectStore as _, Stamp};
use rekindle_engine::testing::{MemoryStore, Operation};

use super::{ids, mark, publish, uri};
use crate::catalogue::index::Index;
use crate::catalogue::{
    Listed, Trust, list_backups, refresh_index, scan, store_mark, store_verdict, write_index,
};
use crate::layout::{KEEP_MARK, MANIFEST};
use crate::verdict::{Level, Verdict};

const INDEX: &str = "backups/shop/index.json";

/// Long after the memory store's objects, which are of the first seconds of 2026.
fn later() -> Timestamp {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

async fn index(store: &MemoryStore, looked_at: Timestamp) {
    let catalogue = scan(store, &"primary".into(), Some("shop"), Trust::Nothing).await.unwrap();
    write_index(store, "shop", &catalogue, looked_at).await.unwrap();
}

async fn with_two_backups() -> MemoryStore {
    let store = MemoryStore::new("memory:a");
    publish(&store, "a", "2026-11-22T15:00:00Z");
    publish(&store, "b", "2026-11-22T16:00:00Z");
    let verdict = verdict(true);
    store_verdict(&store, &uri("a"), &verdict).await.unwrap();
    store_mark(&store, &uri("a"), None, &mark(true, "audit")).await.unwrap();
    store
}

fn verdict(ok: bool) -> Verdict {
    let at = "2026-11-22T16:00:00Z".parse().unwrap();
    Verdict { level: Level::Content, ok, at, by_run: "run".into(), problems: Vec::new(), drill: None }
}

/// What is read to list the backups, after so many calls.
async fn read(store: &MemoryStore) -> (Vec<Listed>, Vec<String>) {
    let before = store.calls().len();
    let listed = list_backups(store, &"primary".into(), Some("shop")).await.unwrap();
    let calls = store.calls().split_off(before);
    let reads = calls.into_iter().filter(|(operation, _)| *operation == Operation::Get);
    (listed, reads.map(|(_, key)| key).collect())
}

#[tokio::test]
async fn what_has_not_changed_is_not_read_again() {
    let store = with_two_backups().await;
    let (unaided, reads) = read(&store).await;
    assert!(reads.len() > 2, "{reads:?}");
    index(&store, later()).await;

    let (listed, reads) = read(&store).await;
    assert_eq!(reads, [INDEX]);
    for (one, other) in listed.iter().zip(&unaided) {
        assert!(one.says_the_same(other), "{one:?} {other:?}");
        assert_eq!(
            (&one.uri, one.size_bytes, one.stored_at),
            (&other.uri, other.size_bytes, other.stored_at)
        );
    }
    assert_eq!(listed.len(), 2);
    // For removing, everything is read.
    let before = store.calls().len();
    scan(&store, &"primary".into(), None, Trust::Nothing).await.unwrap();
    assert!(store.calls().len() - before > 4);
}

#[tokio::test]
async fn what_was_written_or_removed_since_is_as_it_is_now() {
    let store = with_two_backups().await;
    index(&store, later()).await;
    publish(&store, "c", "2026-11-22T17:00:00Z");
    store_verdict(&store, &uri("a"), &verdict(false)).await.unwrap();
    let (listed, _) = read(&store).await;
    assert_eq!(listed.iter().map(|one| one.uri.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(listed[0].has_failed());

    store.delete(&uri("b").key(MANIFEST).unwrap()).await.unwrap();
    store.delete(&uri("a").key("keep.json").unwrap()).await.unwrap();
    let (listed, _) = read(&store).await;
    assert_eq!(listed.iter().map(|one| one.uri.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(listed[0].kept(), None);
}

#[tokio::test]
async fn what_is_so_young_that_it_could_be_written_again_in_the_same_second_is_not_remembered() {
    let store = with_two_backups().await;
    index(&store, "2026-01-01T00:30:00Z".parse().unwrap()).await;
    let (listed, reads) = read(&store).await;
    assert_eq!(listed.len(), 2);
    assert!(reads.len() > 3, "{reads:?}");
}

#[tokio::test]
async fn what_is_young_is_remembered_where_lists_tell_stamps() {
    let store = with_two_backups().await;
    store.tell_stamps_in_lists();
    index(&store, "2026-01-01T00:00:10Z".parse().unwrap()).await;
    let (listed, reads) = read(&store).await;
    assert_eq!((listed.len(), reads), (2, vec![INDEX.to_owned()]));
}

#[tokio::test]
async fn an_object_with_another_stamp_is_read_again_though_size_and_time_are_as_before() {
    let store = with_two_backups().await;
    store.tell_stamps_in_lists();
    index(&store, later()).await;
    let known = Index::load(&store, "shop", &Key::new(INDEX).unwrap()).await.unwrap();
    let mut objects = store.list(&uri("a").prefix()).await.unwrap();
    assert!(known.listed(&uri("a"), &objects, later()).is_some());

    let mark = objects.iter().position(|object| object.key.as_str().ends_with(KEEP_MARK)).unwrap();
    for other in [Some(Stamp("another".to_owned())), None] {
        objects[mark].stamp = other;
        assert!(known.listed(&uri("a"), &objects, later()).is_none());
    }
}

#[tokio::test]
async fn a_refreshed_index_tells_of_everything_and_only_what_is_new_was_read_for_it() {
    let store = with_two_backups().await;
    store.tell_stamps_in_lists();
    let refresh = async || {
        let before = store.calls().len();
        refresh_index(&store, &"primary".into(), "shop", later()).await.unwrap();
        store.calls().split_off(before)
    };
    // There is none, and one that can't be read.
    refresh().await;
    store.insert(&Key::new(INDEX).unwrap(), "no index");
    refresh().await;
    publish(&store, "c", "2026-11-22T17:00:00Z");
    let new = uri("c").key(MANIFEST).unwrap().to_string();
    let calls = refresh().await;
    let index = INDEX.to_owned();
    let wanted = [
        (Operation::List, "backups/shop/".to_owned()),
        (Operation::Get, index.clone()),
        (Operation::Get, new),
        (Operation::Put, index.clone()),
    ];
    assert_eq!(calls, wanted);
    assert_eq!(read(&store).await.1, [INDEX]);
    // What tells of everything is left as it is.
    assert_eq!(refresh().await.len(), 2);
}

#[tokio::test]
async fn what_could_not_be_read_is_not_remembered() {
    let store = with_two_backups().await;
    store.flip_byte(&uri("a").key("keep.json").unwrap(), 20);
    store.flip_byte(&uri("b").key(MANIFEST).unwrap(), 300);
    index(&store, later()).await;
    let (listed, _) = read(&store).await;
    let one = |id: &str| listed.iter().find(|one| one.uri.id == id).unwrap();
    assert!(one("a").kept().unwrap().contains("damaged"));
    assert!(one("b").summary.is_err());
}

#[tokio::test]
async fn an_index_that_is_damaged_or_of_another_cluster_costs_time_and_nothing_else() {
    let store = with_two_backups().await;
    index(&store, later()).await;
    store.flip_byte(&Key::new(INDEX).unwrap(), 200);
    let (listed, reads) = read(&store).await;
    assert_eq!(listed.len(), 2);
    assert!(reads.len() > 3, "{reads:?}");
    store.insert(&Key::new(INDEX).unwrap(), "no index");
    assert_eq!(ids(&store).await, ["a", "b"]);
    // Nor is it taken for a backup.
    assert!(scan(&store, &"primary".into(), None, Trust::Index).await.unwrap().unpublished.is_empty());
}
