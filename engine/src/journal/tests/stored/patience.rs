//! A store that is out of reach for a while, and answers that get lost.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Machine, events, store};
use crate::host::StoreErrorKind;
use crate::journal::{Fence, FenceError, Journal as _, JournalError, NoFence, StoreJournal};
use crate::testing::{FakeClock, MemoryStore, Operation};

/// The lease of a runner whose group somebody else has by now.
struct Lost;

#[async_trait]
impl Fence for Lost {
    fn token(&self) -> Option<u64> {
        Some(1)
    }

    async fn check(&self) -> Result<(), FenceError> {
        Err(FenceError::TakenOver { group: "g".to_owned(), by: None })
    }

    async fn lost(&self) -> FenceError {
        std::future::pending().await
    }
}

/// The journal of a run that was just made in the store, and the machine that drives it.
async fn journal(
    store: &Arc<MemoryStore>,
    clock: &Arc<FakeClock>,
    fence: Arc<dyn Fence>,
) -> (StoreJournal, Machine) {
    let machine = Machine::of(store);
    let run = machine.create().await;
    (machine.driven(&run, clock, fence).await, machine)
}

fn puts(store: &MemoryStore) -> usize {
    let events =
        |(operation, key): &(Operation, String)| *operation == Operation::Put && key.contains("/events/");
    store.calls().iter().filter(|call| events(call)).count()
}

#[tokio::test]
async fn a_store_that_is_out_of_reach_for_a_while_is_waited_for() {
    let (store, clock) = (store(), Arc::new(FakeClock::automatic()));
    let (journal, _machine) = journal(&store, &clock, Arc::new(NoFence)).await;
    for nth in 1..=4 {
        store.fail(Operation::Put, nth, StoreErrorKind::Unavailable);
    }
    let records = journal.append(&events()[..2]).await.unwrap();
    assert_eq!(clock.slept(), [2, 4, 8, 15].map(Duration::from_secs));
    assert_eq!(journal.read().await.unwrap(), records);
    journal.append(&events()[2..]).await.unwrap();
}

#[tokio::test]
async fn a_write_whose_answer_got_lost_knows_its_own_events() {
    let (store, clock) = (store(), Arc::new(FakeClock::automatic()));
    let (journal, _machine) = journal(&store, &clock, Arc::new(NoFence)).await;
    store.lose_answer(1);
    // Nor can be looked at once what is there.
    store.fail(Operation::Get, 1, StoreErrorKind::Unavailable);
    journal.append(&events()[..2]).await.unwrap();
    journal.append(&events()[2..]).await.unwrap();
    assert_eq!(puts(&store), 4, "three of them for the first events");
    assert_eq!(journal.read().await.unwrap().len(), 4);
}

#[tokio::test]
async fn patience_ends() {
    let (store, clock) = (store(), Arc::new(FakeClock::automatic()));
    let (journal, _machine) = journal(&store, &clock, Arc::new(NoFence)).await;
    for nth in 1..=100 {
        store.fail(Operation::Put, nth, StoreErrorKind::Unavailable);
    }
    let told = journal.append(&events()[..2]).await.unwrap_err();
    assert!(matches!(told, JournalError::Store(_)), "{told}");
    assert_eq!(puts(&store), 24);
    let told = journal.append(&events()[..2]).await.unwrap_err();
    assert!(matches!(told, JournalError::Stopped { .. }), "{told}");
}

#[tokio::test]
async fn nothing_is_written_again_once_the_run_may_be_somebody_elses() {
    let (store, clock) = (store(), Arc::new(FakeClock::automatic()));
    let (journal, _machine) = journal(&store, &clock, Arc::new(Lost)).await;
    store.fail(Operation::Put, 1, StoreErrorKind::Unavailable);
    let told = journal.append(&events()[..2]).await.unwrap_err();
    assert!(matches!(told, JournalError::Store(_)), "{told}");
    assert_eq!(puts(&store), 1);
}
