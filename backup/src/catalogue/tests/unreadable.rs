//! One object that can't be read now hides no other backup.

use rekindle_engine::host::StoreErrorKind;
use rekindle_engine::testing::MemoryStore;

use super::{ids, mark, publish, uri};
use crate::catalogue::{
    CatalogueError, Listed, Trust, refresh_index, scan, show, store_mark, store_verdict, write_index,
};
use crate::layout::{KEEP_MARK, MANIFEST};
use crate::verdict::{Level, Verdict};

fn store() -> MemoryStore {
    let store = MemoryStore::new("memory:a");
    store.tell_stamps_in_lists();
    for id in ["a", "b"] {
        publish(&store, id, "2026-11-22T15:00:00Z");
    }
    store
}

fn refuse(store: &MemoryStore, id: &str, name: &str, kind: StoreErrorKind) {
    store.refuse(&uri(id).key(name).unwrap(), kind);
}

async fn look(store: &MemoryStore, trust: Trust) -> Vec<Listed> {
    scan(store, &"primary".into(), Some("shop"), trust).await.unwrap().backups
}

async fn index(store: &MemoryStore) {
    let found = scan(store, &"primary".into(), Some("shop"), Trust::Nothing).await.unwrap();
    write_index(store, "shop", &found, "2026-01-02T00:00:00Z".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_manifest_that_is_archived_or_denied_is_told_beside_the_others() {
    for kind in [StoreErrorKind::Archived, StoreErrorKind::Denied] {
        let store = store();
        refuse(&store, "a", MANIFEST, kind);
        let listed = look(&store, Trust::Nothing).await;
        assert!(matches!(&listed[0].summary, Err(CatalogueError::Store(error)) if error.kind == kind));
        assert!(listed[1].summary.is_ok());
        assert!(show(&store, &uri("a")).await.unwrap().manifest.is_err());
    }
}

#[tokio::test]
async fn a_store_of_which_nothing_may_be_read_is_no_list_of_bad_backups() {
    let store = store();
    for id in ["a", "b"] {
        refuse(&store, id, MANIFEST, StoreErrorKind::Denied);
    }
    let told = scan(&store, &"primary".into(), None, Trust::Nothing).await.unwrap_err();
    assert!(matches!(&told, CatalogueError::Store(error) if error.kind == StoreErrorKind::Denied), "{told}");
}

#[tokio::test]
async fn a_store_of_archived_backups_alone_is_listed() {
    let store = store();
    for id in ["a", "b"] {
        refuse(&store, id, MANIFEST, StoreErrorKind::Archived);
    }
    assert_eq!(ids(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_mark_that_can_not_be_read_now_keeps() {
    let store = store();
    store_mark(&store, &uri("a"), None, &mark(false, "")).await.unwrap();
    refuse(&store, "a", KEEP_MARK, StoreErrorKind::Archived);
    let listed = look(&store, Trust::Nothing).await;
    assert!(listed[0].kept().unwrap().contains("keep.json") && listed[0].summary.is_ok());
}

#[tokio::test]
async fn an_index_tells_of_what_is_archived_as_long_as_that_has_not_changed() {
    let store = store();
    let before = look(&store, Trust::Nothing).await;
    index(&store).await;
    refuse(&store, "a", MANIFEST, StoreErrorKind::Archived);
    assert!(look(&store, Trust::IndexOfUnreadable).await[0].says_the_same(&before[0]));
    assert!(look(&store, Trust::Nothing).await[0].summary.is_err(), "nothing else is believed");

    // Written anew since: nobody can say what it says now.
    let bytes = store.object(&uri("a").key(MANIFEST).unwrap()).unwrap();
    store.insert(&uri("a").key(MANIFEST).unwrap(), bytes);
    refuse(&store, "a", MANIFEST, StoreErrorKind::Archived);
    assert!(look(&store, Trust::IndexOfUnreadable).await[0].summary.is_err());
}

#[tokio::test]
async fn what_is_archived_is_not_forgotten_for_a_mark_or_a_verdict_that_came_since() {
    let store = store();
    let at = "2026-11-22T16:00:00Z".parse().unwrap();
    let verdict =
        |level, ok| Verdict { level, ok, at, by_run: "r".into(), problems: Vec::new(), drill: None };
    store_verdict(&store, &uri("a"), &verdict(Level::Objects, true)).await.unwrap();
    let before = look(&store, Trust::Nothing).await;
    index(&store).await;
    for name in [MANIFEST, "verified/objects.json"] {
        refuse(&store, "a", name, StoreErrorKind::Archived);
    }
    store_mark(&store, &uri("a"), None, &mark(true, "audit")).await.unwrap();
    store_verdict(&store, &uri("a"), &verdict(Level::Content, true)).await.unwrap();
    for _ in 0..2 {
        for trust in [Trust::Index, Trust::IndexOfUnreadable] {
            let listed = look(&store, trust).await;
            assert_eq!(listed[0].summary.as_ref().unwrap(), before[0].summary.as_ref().unwrap());
            assert_eq!(listed[0].kept().as_deref(), Some("audit"));
            assert_eq!(listed[0].proven(), [Level::Objects, Level::Content]);
        }
        // Nor is it when the index is written anew.
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        refresh_index(&store, &"primary".into(), "shop", now).await.unwrap();
    }
    refuse(&store, "a", KEEP_MARK, StoreErrorKind::Archived);
    assert_eq!(look(&store, Trust::Index).await[0].kept().as_deref(), Some("audit"));
}

#[tokio::test]
async fn an_index_that_can_not_be_read_now_is_done_without() {
    let store = store();
    index(&store).await;
    let key = rekindle_engine::host::Key::new("backups/shop/index.json").unwrap();
    store.refuse(&key, StoreErrorKind::Archived);
    assert_eq!(ids(&store).await, ["a", "b"]);
}
