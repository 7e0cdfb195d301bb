use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{clock, owner};
use crate::journal::{GroupLock, Lock, LockError};
use crate::runbook::OnConflict;

async fn acquire(folder: &Path, group: &str, on_conflict: OnConflict, pid: u32) -> Result<Lock, LockError> {
    let owner = owner(pid);
    let wanted = GroupLock { folder, group, on_conflict, owner: &owner };
    Lock::acquire(wanted, clock(), &CancellationToken::new(), |_| {}).await
}

#[tokio::test]
async fn the_second_runner_of_a_group_is_told_who_is_first() {
    let folder = TempDir::new().unwrap();
    let _first = acquire(folder.path(), "recover/prod", OnConflict::Fail, 41).await.unwrap();
    let error = acquire(folder.path(), "recover/prod", OnConflict::Fail, 42).await.unwrap_err();
    insta::assert_snapshot!(error, @"the group `recover/prod` is locked: run 20261122T153500Z-1f9c of pid 41 on host db-1 holds it");
}

#[tokio::test]
async fn groups_with_like_names_do_not_exclude_each_other() {
    let folder = TempDir::new().unwrap();
    let long = "x".repeat(400);
    let mut held = Vec::new();
    for group in ["a/b", "a%2Fb", "a_b", "..", "", &long, &format!("{long}y")] {
        held.push(acquire(folder.path(), group, OnConflict::Fail, 1).await.unwrap());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), held.len());
}

#[tokio::test]
async fn a_released_lock_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    drop(acquire(folder.path(), "g", OnConflict::Fail, 1).await.unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_left_by_a_killed_runner_locks_nothing() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("g.lock"), "{\"run\":\"long and stale\"").unwrap();
    assert!(acquire(folder.path(), "g", OnConflict::Fail, 1).await.is_ok());
}

#[tokio::test]
async fn waiting_ends_when_the_lock_is_released_and_tells_once_for_whom() {
    let folder = TempDir::new().unwrap();
    let first = acquire(folder.path(), "g", OnConflict::Fail, 1).await.unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let waiting = tokio::spawn({
        let (folder, told) = (folder.path().to_owned(), Arc::clone(&told));
        async move {
            let owner = owner(2);
            let wanted =
                GroupLock { folder: &folder, group: "g", on_conflict: OnConflict::Wait, owner: &owner };
            Lock::acquire(wanted, clock(), &CancellationToken::new(), |_| {
                told.fetch_add(1, Ordering::Relaxed);
            })
            .await
            .map(drop)
        }
    });
    while told.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    drop(first);
    waiting.await.unwrap().unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn waiting_ends_when_the_operator_stops_it() {
    let folder = TempDir::new().unwrap();
    let _first = acquire(folder.path(), "g", OnConflict::Fail, 1).await.unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let owner = owner(2);
    let wanted =
        GroupLock { folder: folder.path(), group: "g", on_conflict: OnConflict::Wait, owner: &owner };
    let error = Lock::acquire(wanted, clock(), &cancel, |_| {}).await.unwrap_err();
    assert!(matches!(error, LockError::Cancelled { .. }), "{error}");
}

#[test]
fn many_threads_never_hold_one_lock_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("g.lock");
    let inside = AtomicUsize::new(0);
    let taken = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                while taken.load(Ordering::Relaxed) < 400 {
                    if let Ok(lock) = Lock::try_acquire(&path, "it", &owner(1)) {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(lock);
                    }
                }
            });
        }
    });
}
