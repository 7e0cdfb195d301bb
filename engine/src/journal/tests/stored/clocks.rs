//! Machines whose clocks are apart: neither trusts what the other's says.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{elsewhere, key, locks, runner_of, store};
use crate::host::Clock as _;
use crate::journal::{GroupLease, LockError, LockOwner, Wanted};
use crate::runbook::OnConflict;
use crate::testing::{FakeClock, MemoryStore};

/// As often as somebody who waits looks again.
const LOOK: Duration = Duration::from_millis(250);
/// How far the clocks are apart.
const APART: Duration = Duration::from_mins(10);

/// A holder on another machine, and a machine that wants what it has.
struct Two {
    store: Arc<MemoryStore>,
    /// The holder's clock.
    there: Arc<FakeClock>,
    /// The other one's.
    here: Arc<FakeClock>,
    /// Nothing once that machine is gone.
    held: Option<GroupLease>,
}

impl Two {
    async fn new(there_ahead: Duration, here_ahead: Duration) -> Self {
        let (there, here) = (Arc::new(FakeClock::manual()), Arc::new(FakeClock::manual()));
        there.advance(there_ahead);
        here.advance(here_ahead);
        let (store, never) = (store(), CancellationToken::new());
        let holder = elsewhere(1);
        let held = locks(&store, &there).acquire(wanted(&holder, OnConflict::Fail), &never, |_| {}).await;
        Self { store, there, here, held: held.ok() }
    }

    /// Tries to take it while time passes on both machines, and gives how long that took.
    async fn take(&self, owner: &LockOwner, on_conflict: OnConflict) -> (Result<GroupLease, LockError>, u64) {
        let (locks, never, begun) =
            (locks(&self.store, &self.here), CancellationToken::new(), self.here.now());
        let passing = async {
            // Five minutes are enough for anything here.
            for _ in 0..1200 {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                self.there.advance(LOOK);
                self.here.advance(LOOK);
            }
        };
        let taken = tokio::select! {
            taken = locks.acquire(wanted(owner, on_conflict), &never, |_| {}) => taken,
            () = passing => Err(LockError::Cancelled { what: "in vain".to_owned() }),
        };
        (taken, self.here.now().duration_since(begun).as_secs().unsigned_abs())
    }
}

fn wanted(owner: &LockOwner, on_conflict: OnConflict) -> Wanted<'_> {
    Wanted { group: "recover/prod", on_conflict, owner }
}

#[tokio::test]
async fn a_machine_whose_clock_is_ahead_takes_no_living_lease() {
    let two = Two::new(Duration::ZERO, APART).await;
    let (taken, seconds) = two.take(&runner_of(2), OnConflict::Fail).await;
    assert!(matches!(taken, Err(LockError::Held { .. })));
    assert!(seconds < 30, "it is seen to be renewed every 15 seconds: {seconds}");
    let (taken, _) = two.take(&runner_of(2), OnConflict::Wait).await;
    assert!(matches!(taken, Err(LockError::Cancelled { .. })));
    assert_eq!(two.held.unwrap().fence().check().await, Ok(()));
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_is_taken_however_far_the_clocks_are_apart() {
    let cases = [
        (Duration::ZERO, APART, OnConflict::Fail),
        (Duration::ZERO, APART, OnConflict::Wait),
        (APART, Duration::ZERO, OnConflict::Wait),
    ];
    for (there, here, on_conflict) in cases {
        let mut two = Two::new(there, here).await;
        let fence = two.held.take().unwrap().fence();
        let (taken, seconds) = two.take(&runner_of(2), on_conflict).await;
        assert_eq!(taken.unwrap().token(), 2);
        assert!((75..90).contains(&seconds), "{seconds}");
        assert!(fence.check().await.is_err());
    }
}

#[tokio::test]
async fn a_lease_that_is_old_by_the_clock_of_its_store_is_taken_at_once() {
    for (there, here) in [(Duration::ZERO, Duration::ZERO), (APART, Duration::ZERO), (Duration::ZERO, APART)]
    {
        let mut two = Two::new(there, here).await;
        two.held = None;
        // Each write takes this store a second.
        for _ in 0..75 {
            two.store.insert(&key("other"), "x");
        }
        let (taken, seconds) = two.take(&runner_of(2), OnConflict::Fail).await;
        assert_eq!((taken.unwrap().token(), seconds), (2, 0));
    }
}

#[tokio::test]
async fn what_the_store_knows_of_a_leases_age_is_not_waited_for_again() {
    let mut two = Two::new(Duration::ZERO, APART).await;
    two.held = None;
    for _ in 0..60 {
        two.store.insert(&key("other"), "x");
    }
    let (taken, seconds) = two.take(&runner_of(2), OnConflict::Fail).await;
    assert_eq!(taken.unwrap().token(), 2);
    assert!((15..25).contains(&seconds), "{seconds}");
    assert!(two.store.keys().iter().all(|key| !key.contains("look")), "{:?}", two.store.keys());
}
