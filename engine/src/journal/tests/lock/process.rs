use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::journal::tests::owner;
use crate::journal::{Lock, LockError};

#[test]
fn the_second_one_is_told_who_is_first() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("lock");
    let _first = Lock::try_acquire(&path, "the run r", Some(&owner(41))).unwrap();
    let error = Lock::try_acquire(&path, "the run r", Some(&owner(42))).unwrap_err();
    insta::assert_snapshot!(error, @"the run r is locked: run 20261122T153500Z-1f9c of pid 41 on host db-1 holds it");
}

#[test]
fn a_released_lock_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    drop(Lock::try_acquire(&folder.path().join("lock"), "it", None).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_left_by_a_killed_process_locks_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("lock");
    std::fs::write(&path, "{\"run\":\"long and stale\"").unwrap();
    let _ours = Lock::try_acquire(&path, "it", None).unwrap();
    // What an earlier holder wrote is not said of this one.
    assert!(matches!(Lock::try_acquire(&path, "it", None), Err(LockError::Held { owner: None, .. })));
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
                    if let Ok(lock) = Lock::try_acquire(&path, "it", Some(&owner(1))) {
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
