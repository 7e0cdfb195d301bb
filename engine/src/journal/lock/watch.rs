//! How long a lease has stayed as it is: looks at it and the time between them in, what is missing of its length out.
//!
//! Clocks of two machines may be any time apart, so what a lease says of its end is no proof. That it was not renewed
//! for as long as it lasts is one, by whichever single clock that was seen.

use std::time::Duration;

use super::lease::{LASTS, MARGIN};
use super::{LeaseStore, Revision};

/// A look at one lease over time.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Option<Revision>,
    unchanged: Duration,
}

impl Watch {
    /// Notes in which state the lease is, and gives how much longer it must stay so. Of a state that is new, the place
    /// of the leases is asked how old it is.
    pub(super) async fn look(
        &mut self,
        group: &str,
        revision: &Revision,
        store: &dyn LeaseStore,
    ) -> Duration {
        if self.seen.as_ref() != Some(revision) {
            self.seen = Some(revision.clone());
            self.unchanged = store.unchanged_for(group).await.unwrap_or_default();
        }
        (LASTS + MARGIN).saturating_sub(self.unchanged)
    }

    /// Notes that so much time has gone by since the last look. It counts if the next one finds the same.
    pub(super) fn passed(&mut self, time: Duration) {
        self.unchanged = self.unchanged.saturating_add(time);
    }

    /// Gives the state that was seen last.
    pub(super) fn seen(&self) -> Option<&Revision> {
        self.seen.as_ref()
    }
}
