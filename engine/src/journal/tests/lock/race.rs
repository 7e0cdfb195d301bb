use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Place, run};
use crate::journal::LockError;

/// Every thread is a process with a runtime of its own: only the folder is shared.
fn in_processes(count: u32, work: impl Fn(u32) + Sync) {
    std::thread::scope(|threads| {
        for pid in 1..=count {
            let work = &work;
            threads.spawn(move || work(pid));
        }
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn of_many_processes_that_want_a_dead_ones_lease_exactly_one_gets_it() {
    for _ in 0..20 {
        let place = Place::new();
        let dead = block_on(place.take(&run(99))).unwrap();
        place.dies(&run(99), dead);
        let winners = AtomicUsize::new(0);
        in_processes(8, |pid| {
            block_on(async {
                match place.take(&run(pid)).await {
                    Ok(lease) => {
                        winners.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(lease.token(), 2);
                    }
                    Err(LockError::Held { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            });
        });
        assert_eq!(winners.into_inner(), 1);
    }
}

#[test]
fn no_two_processes_hold_a_group_at_once_and_no_token_is_given_twice() {
    let place = Place::new();
    let (inside, tokens) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    in_processes(6, |pid| {
        block_on(async {
            while tokens.lock().unwrap().len() < 120 {
                let Ok(lease) = place.take(&run(pid)).await else { continue };
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                assert!(tokens.lock().unwrap().insert(lease.token()), "token {} again", lease.token());
                assert_eq!(lease.fence().check().await, Ok(()));
                assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                lease.release().await.unwrap();
            }
        });
    });
    let tokens = tokens.into_inner().unwrap();
    assert_eq!(tokens.last().copied(), Some(tokens.len() as u64));
}
