//! Time that a test owns.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::locked;
use crate::host::Clock;

/// How many quiet ticks pass before an automatic clock jumps to its next sleeper.
const QUIET_TICKS: u32 = 8;
/// Real time between two looks of an automatic clock; it paces tests and is never visible to them.
const TICK: Duration = Duration::from_millis(1);

/// A clock that moves only when a test moves it, or when all that is left to do is to wait for it.
pub struct FakeClock {
    automatic: bool,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    now: Timestamp,
    sleepers: BTreeSet<(Timestamp, u64)>,
    slept: Vec<Duration>,
    uses: u64,
}

impl FakeClock {
    /// Makes a clock that stands until [`FakeClock::advance`].
    pub fn manual() -> Self {
        Self::new(false)
    }

    /// Makes a clock that jumps to its earliest sleeper when nobody has used it for some milliseconds of real
    /// time. So waits end in the order of their deadlines, and a timeout of hours beats a step that hangs, but
    /// not one that still works. For work that takes longer without looking at the clock, use a manual one.
    pub fn automatic() -> Self {
        Self::new(true)
    }

    fn new(automatic: bool) -> Self {
        // 2026-11-22T15:00:00Z, the time at which all fakes begin.
        let now = Timestamp::from_second(1_795_359_600).unwrap_or(Timestamp::UNIX_EPOCH);
        let state = State { now, sleepers: BTreeSet::new(), slept: Vec::new(), uses: 0 };
        Self { automatic, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Moves time on and wakes whoever waited for it.
    pub fn advance(&self, by: Duration) {
        {
            let mut state = locked(&self.state);
            state.now = later(state.now, by);
            state.uses += 1;
        }
        self.changed.notify_waiters();
    }

    /// Gives how many waits are going on.
    pub fn sleepers(&self) -> usize {
        locked(&self.state).sleepers.len()
    }

    /// Gives the length of every wait so far, in the order in which they began.
    pub fn slept(&self) -> Vec<Duration> {
        locked(&self.state).slept.clone()
    }

    /// Waits (in tasks, not in time) until at least `count` waits are going on.
    pub async fn until_sleeping(&self, count: usize) {
        while self.sleepers() < count {
            tokio::task::yield_now().await;
        }
    }

    fn is_due(&self, deadline: Timestamp) -> bool {
        locked(&self.state).now >= deadline
    }

    /// Waits until the clock was left alone for a while, then jumps if this sleeper is the earliest one.
    async fn jump_when_quiet(&self, sleeper: (Timestamp, u64)) {
        let mut seen = u64::MAX;
        let mut quiet = 0;
        while !self.is_due(sleeper.0) {
            tokio::time::sleep(TICK).await;
            let mut state = locked(&self.state);
            quiet = if state.uses == seen { quiet + 1 } else { 0 };
            seen = state.uses;
            if quiet >= QUIET_TICKS && state.sleepers.first() == Some(&sleeper) {
                state.now = state.now.max(sleeper.0);
                state.uses += 1;
            }
        }
    }

    async fn wait_for_hand(&self, deadline: Timestamp) {
        loop {
            // Registered before looking, so that an advance in between is not missed.
            let changed = self.changed.notified();
            if self.is_due(deadline) {
                return;
            }
            changed.await;
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// Forgets a sleeper also when its wait is dropped half way.
struct Registered<'a> {
    clock: &'a FakeClock,
    sleeper: (Timestamp, u64),
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.clock.state);
        state.sleepers.remove(&self.sleeper);
        state.uses += 1;
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let mut state = locked(&self.state);
        state.uses += 1;
        state.now
    }

    async fn sleep(&self, duration: Duration) {
        let sleeper = {
            let mut state = locked(&self.state);
            state.uses += 1;
            state.slept.push(duration);
            let sleeper = (later(state.now, duration), state.uses);
            state.sleepers.insert(sleeper);
            sleeper
        };
        let _registered = Registered { clock: self, sleeper };
        if self.automatic {
            self.jump_when_quiet(sleeper).await;
        } else {
            self.wait_for_hand(sleeper.0).await;
        }
    }
}
