//! A whole world of fakes.

use std::sync::Arc;

use super::{FakeClock, FakeProcesses, FakeSecrets, MemoryStores};
use crate::host::{Masker, NoOtherRuns, World};

/// A [`World`] of fakes, and a handle to each. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct FakeWorld {
    /// What the code under test gets.
    pub world: World,
    /// Its time.
    pub clock: Arc<FakeClock>,
    /// Its processes.
    pub processes: FakeProcesses,
    /// Its secrets.
    pub secrets: Arc<FakeSecrets>,
    /// Its stores.
    pub stores: Arc<MemoryStores>,
}

/// Makes a world with an automatic clock, and nothing in it.
pub fn world() -> FakeWorld {
    FakeWorld::with_clock(FakeClock::automatic())
}

impl FakeWorld {
    /// Makes an empty world with this clock.
    pub fn with_clock(clock: FakeClock) -> Self {
        let clock = Arc::new(clock);
        let masker = Masker::default();
        let secrets = Arc::new(FakeSecrets::new(masker.clone()));
        let stores = Arc::new(MemoryStores::default());
        let processes = FakeProcesses::default();
        let world = World {
            clock: clock.clone(),
            processes: Arc::new(processes.clone()),
            secrets: secrets.clone(),
            stores: stores.clone(),
            masker,
            others: Arc::new(NoOtherRuns),
        };
        Self { world, clock, processes, secrets, stores }
    }
}
