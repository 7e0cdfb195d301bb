//! A group that is held: renewed while the run goes on, checked before anything is destroyed, then given back.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::lease::{MARGIN, RENEW_EVERY, held};
use super::{Fence, FenceError, Hold, Holder, Lease, LeaseStore, LockError, LockOwner, Waiting};
use crate::host::Clock;
use crate::id::RunId;

/// A group that this process holds for its run. It is renewed until it is given back or dropped; after a drop it
/// is free once the process is gone, or once the lease has run out.
pub struct GroupLease {
    inner: Arc<Inner>,
    previous: Option<RunId>,
    /// The renewal; dropping it ends it.
    _renewal: JoinSet<()>,
}

struct Inner {
    store: Arc<dyn LeaseStore>,
    clock: Arc<dyn Clock>,
    owner: LockOwner,
    group: String,
    token: u64,
    /// Until when the lease is known to last.
    expires_at: Mutex<Timestamp>,
    /// Why it is lost, and the signal for it.
    why_lost: OnceLock<FenceError>,
    lost: CancellationToken,
}

impl GroupLease {
    /// Begins to renew what was taken.
    pub(super) fn new(
        store: Arc<dyn LeaseStore>,
        clock: Arc<dyn Clock>,
        owner: LockOwner,
        lease: &Lease,
        previous: Option<RunId>,
    ) -> Self {
        let inner = Arc::new(Inner {
            store,
            clock,
            owner,
            group: lease.group.clone(),
            token: lease.token,
            expires_at: Mutex::new(expiry(lease.holder.as_ref())),
            why_lost: OnceLock::new(),
            lost: CancellationToken::new(),
        });
        let mut renewal = JoinSet::new();
        renewal.spawn(renew_for_ever(Arc::clone(&inner)));
        Self { inner, previous, _renewal: renewal }
    }

    /// Gives the fencing token.
    pub fn token(&self) -> u64 {
        self.inner.token
    }

    /// Gives the run that had the group before, as far as that was written down.
    pub fn previous(&self) -> Option<&RunId> {
        self.previous.as_ref()
    }

    /// Gives what the driver asks before it destroys anything.
    pub fn fence(&self) -> Arc<dyn Fence> {
        Arc::clone(&self.inner) as Arc<dyn Fence>
    }

    /// Gives the group back. Does nothing when it was taken over.
    pub async fn release(self) -> Result<(), LockError> {
        self.inner.change(None).await.map(drop)
    }

    /// Leaves the group to the run while nobody drives it. Does nothing when it was taken over.
    pub async fn keep(self, waiting: Waiting) -> Result<(), LockError> {
        let LockOwner { run, runner } = self.inner.owner.clone();
        self.inner.change(Some(Holder { run, runner, hold: Hold::Kept { waiting } })).await.map(drop)
    }
}

async fn renew_for_ever(inner: Arc<Inner>) {
    loop {
        inner.clock.sleep(RENEW_EVERY).await;
        match inner.renew().await {
            Ok(()) => {}
            Err(FenceError::TakenOver { .. }) => return,
            // Tried again; meanwhile no destroy step begins once the lease is about to run out.
            Err(error @ FenceError::NotRenewed { .. }) => tracing::warn!("{error}"),
        }
    }
}

impl Inner {
    /// Puts `holder` into the lease if it is still ours. Says whether it was; otherwise, who has it.
    async fn change(&self, holder: Option<Holder>) -> Result<Result<(), FenceError>, LockError> {
        loop {
            let found = self.store.read(&self.group).await?;
            let Some((lease, revision)) = found.filter(|(lease, _)| lease.is_of(&self.owner, self.token))
            else {
                return Ok(Err(self.lose().await));
            };
            let next = Lease { holder: holder.clone(), ..lease };
            // Refused when another task of this process wrote it meanwhile: then it is looked at again.
            if self.store.replace(&next, Some(&revision)).await?.is_some() {
                return Ok(Ok(()));
            }
        }
    }

    async fn renew(&self) -> Result<(), FenceError> {
        let holder = held(&self.owner, self.clock.now());
        let expires_at = expiry(Some(&holder));
        match self.change(Some(holder)).await {
            Ok(Ok(())) => {
                let mut known = self.expires_at.lock().unwrap_or_else(PoisonError::into_inner);
                *known = expires_at.max(*known);
                Ok(())
            }
            Ok(Err(lost)) => Err(lost),
            Err(error) => Err(FenceError::NotRenewed { group: self.group.clone(), why: error.to_string() }),
        }
    }

    /// Notes that it was taken over, by whom, and tells whoever listens.
    async fn lose(&self) -> FenceError {
        let by = match self.store.read(&self.group).await {
            Ok(Some((Lease { holder: Some(holder), .. }, _))) => Some(holder.run),
            Ok(_) | Err(_) => None,
        };
        let lost = FenceError::TakenOver { group: self.group.clone(), by };
        let lost = self.why_lost.get_or_init(|| lost).clone();
        self.lost.cancel();
        lost
    }

    /// Says whether enough of the lease is left for a step to begin.
    fn is_fresh(&self) -> bool {
        let expires_at = *self.expires_at.lock().unwrap_or_else(PoisonError::into_inner);
        let left = expires_at.duration_since(self.clock.now());
        jiff::SignedDuration::try_from(MARGIN).is_ok_and(|margin| left > margin)
    }
}

#[async_trait]
impl Fence for Inner {
    fn token(&self) -> Option<u64> {
        Some(self.token)
    }

    async fn check(&self) -> Result<(), FenceError> {
        if let Some(lost) = self.why_lost.get() {
            return Err(lost.clone());
        }
        match self.store.read(&self.group).await {
            Ok(Some((lease, _))) if lease.is_of(&self.owner, self.token) => {}
            Ok(_) => return Err(self.lose().await),
            // Nobody may take it before it runs out: what was renewed a moment ago is still ours.
            Err(_) if self.is_fresh() => return Ok(()),
            Err(error) => {
                return Err(FenceError::NotRenewed { group: self.group.clone(), why: error.to_string() });
            }
        }
        // A runner that stood still comes here with a lease that has run out. If it can still be renewed, nobody
        // has had the group in between.
        if self.is_fresh() { Ok(()) } else { self.renew().await }
    }

    async fn lost(&self) -> FenceError {
        self.lost.cancelled().await;
        self.why_lost
            .get()
            .cloned()
            .unwrap_or_else(|| FenceError::TakenOver { group: self.group.clone(), by: None })
    }
}

fn expiry(holder: Option<&Holder>) -> Timestamp {
    match holder.map(|holder| &holder.hold) {
        Some(Hold::Held { expires_at }) => *expires_at,
        Some(Hold::Kept { .. }) | None => Timestamp::MIN,
    }
}
