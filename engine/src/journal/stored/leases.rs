//! Leases as objects of a store, changed by compare-and-swap only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::super::file_name;
use super::super::lock::{Lease, LeaseStore, LockError, Revision, TextError, read_lease, what, write_lease};
use crate::host::{Body, Key, ObjectStore, PutMode, Stamp, StoreError, StoreErrorKind};

const LOCKS: &str = "runs/locks/";
/// The times of objects are as coarse as this.
const GRAIN: Duration = Duration::from_secs(1);
/// A lease is far smaller; more is not ours.
const LIMIT_BYTES: usize = 64 * 1024;

/// Leases in a store.
#[derive(Clone)]
pub struct StoreLeases {
    store: Arc<dyn ObjectStore>,
}

impl StoreLeases {
    pub(super) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    fn key(&self, group: &str) -> Result<Key, LockError> {
        Key::new(format!("{LOCKS}{}.lease", file_name(group))).map_err(|error| {
            let source = StoreError {
                kind: StoreErrorKind::Invalid,
                store: self.store.url().to_owned(),
                operation: "write",
                key: error.key.clone(),
                why: error.why.to_owned(),
            };
            LockError::Store { what: what(group), source }
        })
    }

    /// How the object is called in messages.
    fn place(&self, key: &Key) -> PathBuf {
        PathBuf::from(format!("{}/{key}", self.store.url().trim_end_matches('/')))
    }
}

#[async_trait]
impl LeaseStore for StoreLeases {
    async fn read(&self, group: &str) -> Result<Option<(Lease, Revision)>, LockError> {
        let key = self.key(group)?;
        let found = self.store.read_stamped(&key, LIMIT_BYTES).await;
        let found = found.map_err(|source| LockError::Store { what: what(group), source })?;
        let Some((bytes, Stamp(stamp))) = found else { return Ok(None) };
        let lease = read_lease(&bytes, group).map_err(|error| match error {
            TextError::Damaged(why) => LockError::Damaged { path: self.place(&key), why },
            TextError::Newer(found) => LockError::NewerFormat { path: self.place(&key), found },
        })?;
        Ok(Some((lease, Revision(stamp))))
    }

    async fn replace(
        &self,
        lease: &Lease,
        expected: Option<&Revision>,
    ) -> Result<Option<Revision>, LockError> {
        let key = self.key(&lease.group)?;
        let bytes = write_lease(lease).map_err(LockError::io(&what(&lease.group), &self.place(&key)))?;
        let expected = expected.map(|Revision(stamp)| Stamp(stamp.clone()));
        match self.store.swap(&key, expected.as_ref(), bytes.into()).await {
            Ok(Stamp(stamp)) => Ok(Some(Revision(stamp))),
            Err(error) if matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::AlreadyExists) => {
                Ok(None)
            }
            Err(source) => Err(LockError::Store { what: what(&lease.group), source }),
        }
    }

    /// Asks the store's clock: by what time it gives a new object. Services tell whole seconds, so one is taken off.
    async fn unchanged_for(&self, group: &str) -> Option<Duration> {
        let lease = self.key(group).ok()?;
        let beside = Key::new(format!("{lease}.{}.look", std::process::id())).ok()?;
        let made = self.store.put(&beside, Body::from_bytes(Bytes::new()), PutMode::Replace).await;
        // What stays is only untidy.
        let _ = self.store.delete(&beside).await;
        // After the other: a lease that is renewed in between only looks younger.
        let written = self.store.head(&lease).await.ok()??.modified;
        let age = Duration::try_from(made.ok()?.modified.duration_since(written)).ok()?;
        age.checked_sub(GRAIN)
    }
}
