//! A store in a folder of this machine: `file:` URLs in, durable objects out.
//!
//! ```text
//! ROOT/backups/shop/ID/full.sql.gz      an object; its key is its path below the root, one to one
//! ROOT/.partial/PID-N                   what is being written; never listed, removed when it fails
//! ROOT/.partial/upload-MARK             an upload that a run goes on with; removed when nobody does
//! ROOT/.partial-swap                    the lock of those who change an object by comparing
//! ```
//!
//! An object appears in one atomic step (rename or link) after its bytes are synced, and the folders that lead
//! to it are synced before `put` returns. Nothing below the root is reached through a symbolic link, so no
//! key leads outside; the root itself may be one.

mod bucket;
mod folder;
pub(crate) mod read;
mod resumed;
mod stores;
mod swap;
mod walk;
mod write;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rekindle_engine::host::{
    Body, Bucket, Key, ObjectInfo, ObjectStore, PutMode, Resumption, Stamp, StoreError, Unfinished,
    UploadSource,
};

use crate::failure::{Failure, Operation};
pub use stores::FileStores;

/// The top-level folder of unfinished objects. No key begins with this text.
pub(crate) const PARTIAL: &str = ".partial";

/// Objects as files below one folder, which is made by the first write. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FileStore {
    place: Arc<Place>,
}

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) url: String,
}

impl FileStore {
    /// Makes a store in the folder `root`, an absolute path. Nothing is looked at yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let url = format!("file://{}", root.display());
        Self { place: Arc::new(Place { root, url }) }
    }

    /// Gives the folder.
    pub fn root(&self) -> &Path {
        &self.place.root
    }

    /// Runs blocking file work off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &str,
        work: impl FnOnce(&Place) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.place);
        let done = tokio::task::spawn_blocking(move || work(&place)).await;
        let outcome = done.unwrap_or_else(|error| Err(Failure::from(io::Error::other(error))));
        outcome.map_err(|failure| failure.into_error(&self.place.url, operation, key))
    }
}

/// Refuses keys that would lie among the unfinished objects.
fn check_key(key: &Key) -> Result<(), Failure> {
    if key.as_str().starts_with(PARTIAL) {
        return Err(Failure::invalid(format!("names that begin with `{PARTIAL}` are the store's own")));
    }
    Ok(())
}

#[async_trait]
impl ObjectStore for FileStore {
    fn url(&self) -> &str {
        &self.place.url
    }

    async fn put(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        // Dropped together with this future: a cancelled put must not make its object appear later.
        let (caller, abandoned) = write::caller();
        let wanted = key.clone();
        let put = self.blocking(Operation::Write, key.as_str(), move |place| {
            check_key(&wanted)?;
            write::put(place, &wanted, body, mode, &abandoned)
        });
        let info = put.await;
        drop(caller);
        info
    }

    async fn upload(
        &self,
        key: &Key,
        source: &dyn UploadSource,
        mode: PutMode,
        resumption: Resumption<'_>,
    ) -> Result<ObjectInfo, StoreError> {
        let begun = resumed::begin(source, resumption).await;
        let (name, body) =
            begun.map_err(|failure| failure.into_error(self.url(), Operation::Write, key.as_str()))?;
        let (caller, abandoned) = write::caller();
        let wanted = key.clone();
        let written = self.blocking(Operation::Write, key.as_str(), move |place| {
            check_key(&wanted)?;
            resumed::write(place, &wanted, (&name, body), mode, &abandoned)
        });
        let info = written.await;
        drop(caller);
        info
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError> {
        let wanted = key.clone();
        let opened = self.blocking(Operation::Read, key.as_str(), move |place| {
            check_key(&wanted)?;
            read::open(place, &wanted, range)
        });
        Ok(opened.await?.into_body())
    }

    async fn get_stamped(&self, key: &Key, stamp: &Stamp, range: Range<u64>) -> Result<Body, StoreError> {
        let (wanted, stamp) = (key.clone(), stamp.clone());
        let opened = self.blocking(Operation::Read, key.as_str(), move |place| {
            check_key(&wanted)?;
            read::open_stamped(place, &wanted, &stamp, range)
        });
        Ok(opened.await?.into_body())
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>, StoreError> {
        let wanted = key.clone();
        self.blocking(Operation::LookAt, key.as_str(), move |place| {
            check_key(&wanted)?;
            read::head(place, &wanted)
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        let wanted = prefix.to_owned();
        self.blocking(Operation::List, prefix, move |place| walk::list(place, &wanted)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let wanted = key.clone();
        self.blocking(Operation::Delete, key.as_str(), move |place| {
            check_key(&wanted)?;
            write::delete(place, &wanted)
        })
        .await
    }

    async fn read_stamped(
        &self,
        key: &Key,
        limit_bytes: usize,
    ) -> Result<Option<(Bytes, Stamp)>, StoreError> {
        let wanted = key.clone();
        self.blocking(Operation::Read, key.as_str(), move |place| {
            check_key(&wanted)?;
            swap::read_stamped(place, &wanted, limit_bytes)
        })
        .await
    }

    async fn swap(&self, key: &Key, expected: Option<&Stamp>, bytes: Bytes) -> Result<Stamp, StoreError> {
        let (wanted, expected) = (key.clone(), expected.cloned());
        self.blocking(Operation::Write, key.as_str(), move |place| {
            check_key(&wanted)?;
            swap::swap(place, &wanted, expected.as_ref(), bytes)
        })
        .await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.blocking(Operation::WriteTo, "", write::check_writable).await
    }

    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.blocking(Operation::List, PARTIAL, walk::unfinished).await
    }

    async fn remove_abandoned(&self, before: Timestamp) -> Result<Vec<Unfinished>, StoreError> {
        self.blocking(Operation::Delete, PARTIAL, move |place| walk::remove_abandoned(place, before)).await
    }

    fn bucket(&self) -> Option<&dyn Bucket> {
        Some(self)
    }
}

#[cfg(test)]
mod resumed_tests;
#[cfg(test)]
mod tests;
