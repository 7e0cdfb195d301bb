//! What is listed, and what is not.

mod index;
mod unreadable;

use rekindle_engine::host::{Key, StoreErrorKind};
use rekindle_engine::testing::{MemoryStore, Operation};

use super::{
    CatalogueError, Trust, list_backups, load_manifest, load_mark, scan, show, store_mark, store_verdict,
};
use crate::layout::{BackupUri, MANIFEST};
use crate::manifest::{BackupKind, ConsistentPoint, Flavour, MANIFEST_FORMAT, Manifest, ServerFacts};
use crate::mark::{MARK_FORMAT, Mark};
use crate::sealed;
use crate::verdict::{Level, Verdict};

fn uri(id: &str) -> BackupUri {
    BackupUri { store: "primary".into(), cluster: "shop".into(), id: id.to_owned() }
}

fn manifest(id: &str, at: &str) -> Manifest {
    Manifest {
        format: MANIFEST_FORMAT,
        id: id.to_owned(),
        kind: BackupKind::Logical,
        cluster: "shop".to_owned(),
        server: ServerFacts {
            flavour: Flavour::Mariadb,
            version: "10.11.14-MariaDB".to_owned(),
            version_comment: "Debian".to_owned(),
            server_id: 1,
            server_uuid: None,
            gtid_domain_id: Some(0),
            log_bin: true,
            users: Vec::new(),
            variables: std::collections::BTreeMap::new(),
        },
        started_at: at.parse().unwrap(),
        finished_at: at.parse().unwrap(),
        consistent_point: ConsistentPoint { at: Some(at.parse().unwrap()), ..ConsistentPoint::default() },
        objects: Vec::new(),
        inventory: crate::inventory::Inventory::default(),
        tools: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        physical: None,
        encryption: None,
    }
}

fn publish(store: &MemoryStore, id: &str, at: &str) {
    store.insert(&uri(id).key("full.sql.gz").unwrap(), "dump");
    store.insert(&uri(id).key(MANIFEST).unwrap(), sealed::seal(&manifest(id, at)).unwrap());
}

async fn ids(store: &MemoryStore) -> Vec<String> {
    let listed = list_backups(store, &"primary".into(), Some("shop")).await.unwrap();
    listed.into_iter().map(|one| one.uri.id).collect()
}

#[tokio::test]
async fn only_what_has_a_manifest_is_a_backup() {
    let store = MemoryStore::new("memory:a");
    publish(&store, "b", "2026-11-22T15:00:00Z");
    publish(&store, "a", "2026-11-22T16:00:00Z");
    store.insert(&uri("half").key("full.sql.gz").unwrap(), "half");
    store.insert(&Key::new("backups/other/x/manifest.json").unwrap(), "of another cluster");
    store.insert(&Key::new("backups/shop/stray").unwrap(), "no backup's");
    assert_eq!(ids(&store).await, ["b", "a"], "the oldest comes first");

    let catalogue = scan(&store, &"primary".into(), None, Trust::Nothing).await.unwrap();
    let unpublished: Vec<_> = catalogue.unpublished.iter().map(|one| one.uri.id.as_str()).collect();
    assert_eq!(unpublished, ["half"]);
    assert_eq!(catalogue.backups.len(), 3);
}

#[tokio::test]
async fn a_damaged_manifest_is_listed_by_name() {
    let store = MemoryStore::new("memory:a");
    publish(&store, "a", "2026-11-22T15:00:00Z");
    assert!(store.flip_byte(&uri("a").key(MANIFEST).unwrap(), 300));
    let listed = list_backups(&store, &"primary".into(), None).await.unwrap();
    let error = listed[0].summary.as_ref().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`manifest.json` of backup://primary/shop/a is damaged: its bytes do not match its own checksum: it was \
         damaged or changed after it was written"
    );
    assert!(listed[0].has_failed() && listed[0].proven().is_empty());
}

#[tokio::test]
async fn a_manifest_of_a_newer_format_is_refused() {
    let store = MemoryStore::new("memory:a");
    let newer = serde_json::json!({ "format": 2, "what": "we can't know" });
    store.insert(&uri("a").key(MANIFEST).unwrap(), sealed::seal(&newer).unwrap());
    let error = load_manifest(&store, &uri("a")).await.unwrap_err();
    assert_eq!(error.to_string(), "backup://primary/shop/a has format 2, but this version reads up to 1");
}

#[tokio::test]
async fn a_manifest_in_the_wrong_place_is_damaged() {
    let store = MemoryStore::new("memory:a");
    let bytes = sealed::seal(&manifest("other", "2026-11-22T15:00:00Z")).unwrap();
    store.insert(&uri("a").key(MANIFEST).unwrap(), bytes);
    let error = load_manifest(&store, &uri("a")).await.unwrap_err();
    assert!(error.to_string().ends_with("is damaged: it is of shop/other"), "{error}");
}

#[tokio::test]
async fn a_manifest_can_not_name_objects_outside_of_its_backup() {
    let store = MemoryStore::new("memory:a");
    let mut hostile = manifest("a", "2026-11-22T15:00:00Z");
    hostile.objects.push(crate::manifest::ObjectEntry {
        name: "../../other/x/full.sql.gz".to_owned(),
        size_bytes: 1,
        sha256: String::new(),
        role: crate::manifest::ObjectRole::Full,
    });
    store.insert(&uri("a").key(MANIFEST).unwrap(), sealed::seal(&hostile).unwrap());
    assert!(matches!(load_manifest(&store, &uri("a")).await, Err(CatalogueError::Damaged { .. })));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let store = MemoryStore::new("memory:a");
    for error in
        [load_manifest(&store, &uri("a")).await.unwrap_err(), show(&store, &uri("a")).await.unwrap_err()]
    {
        assert_eq!(error.to_string(), "there is no backup backup://primary/shop/a");
    }
}

#[tokio::test]
async fn the_trouble_of_a_store_is_not_shown_as_damage() {
    let store = MemoryStore::new("memory:a");
    publish(&store, "a", "2026-11-22T15:00:00Z");
    store.fail(Operation::Get, 1, StoreErrorKind::Unavailable);
    let error = list_backups(&store, &"primary".into(), None).await.unwrap_err();
    assert!(matches!(error, CatalogueError::Store(_)), "{error}");
    store.cut_get(1, 10);
    let error = load_manifest(&store, &uri("a")).await.unwrap_err();
    assert!(matches!(error, CatalogueError::Store(_)), "{error}");
}

#[tokio::test]
async fn verdicts_and_marks_are_shown_with_their_backup() {
    let store = MemoryStore::new("memory:a");
    publish(&store, "a", "2026-11-22T15:00:00Z");
    let verdict = Verdict {
        level: Level::Content,
        ok: true,
        at: "2026-11-22T16:00:00Z".parse().unwrap(),
        by_run: "run".into(),
        problems: Vec::new(),
        drill: None,
    };
    store_verdict(&store, &uri("a"), &verdict).await.unwrap();
    store.insert(&uri("a").key("keep.json").unwrap(), "{}");
    let listed = show(&store, &uri("a")).await.unwrap().listed;
    assert_eq!(listed.verdicts, [verdict]);
    assert_eq!(listed.proven(), [Level::Content]);
    assert!(listed.kept().unwrap().contains("`keep.json`"), "what can't be read keeps");

    store.flip_byte(&uri("a").key("verified/content.json").unwrap(), 100);
    let listed = show(&store, &uri("a")).await.unwrap().listed;
    assert!(listed.proven().is_empty());
    assert!(listed.damaged_verdicts[0].to_string().contains("`verified/content.json`"));
}

fn mark(keep: bool, reason: &str) -> Mark {
    let labels = [("why", Some("audit")), ("gone", None)];
    let owned = |(name, value): (&str, Option<&str>)| (name.to_owned(), value.map(str::to_owned));
    let at = "2026-11-22T16:00:00Z".parse().unwrap();
    let reason = reason.to_owned();
    Mark { format: MARK_FORMAT, keep, reason, labels: labels.map(owned).into(), at, by_run: "r".into() }
}

#[tokio::test]
async fn a_mark_is_changed_only_from_the_state_it_was_read_in() {
    let store = MemoryStore::new("memory:a");
    publish(&store, "a", "2026-11-22T15:00:00Z");
    assert!(load_mark(&store, &uri("a")).await.unwrap().is_none());
    assert!(store_mark(&store, &uri("a"), None, &mark(true, "audit")).await.unwrap());
    let read = load_mark(&store, &uri("a")).await.unwrap().unwrap();
    assert_eq!(read.mark.unwrap(), mark(true, "audit"));
    assert!(!store_mark(&store, &uri("a"), None, &mark(false, "")).await.unwrap());
    assert!(store_mark(&store, &uri("a"), Some(&read.stamp), &mark(false, "over")).await.unwrap());
    assert!(!store_mark(&store, &uri("a"), Some(&read.stamp), &mark(true, "late")).await.unwrap());
    let listed = show(&store, &uri("a")).await.unwrap().listed;
    assert_eq!(listed.kept(), None);
    assert_eq!(listed.labels(), [("why".to_owned(), "audit".to_owned())].into());
}

#[tokio::test]
async fn a_mark_that_can_not_be_read_keeps_its_backup_and_hides_no_other() {
    let store = MemoryStore::new("memory:a");
    for id in ["a", "b", "c"] {
        publish(&store, id, "2026-11-22T15:00:00Z");
    }
    let newer = Mark { format: MARK_FORMAT + 1, ..mark(false, "") };
    store.insert(&uri("a").key("keep.json").unwrap(), sealed::seal(&newer).unwrap());
    store.insert(&uri("b").key("keep.json").unwrap(), vec![b' '; (1 << 20) + 1]);
    let listed = list_backups(&store, &"primary".into(), Some("shop")).await.unwrap();
    let kept: Vec<_> = listed.iter().map(|one| one.kept().is_some()).collect();
    assert_eq!(kept, [true, true, false]);
    assert!(listed[0].kept().unwrap().contains("format 2"));
}
