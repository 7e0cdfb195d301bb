//! Encryption around any store: plain objects in, objects that only the holders of some keys can read out, by the age
//! format (<https://c2sp.org/age>); and back.
//!
//! Bytes, sizes and ranges are those of the plain object; only a list gives the sizes that are stored. Objects that are
//! not encrypted are read as they are: those from before, and those that are meant to be open.

mod keys;
mod layout;
mod seal;
#[cfg(test)]
pub(crate) mod tests;
mod unseal;
mod window;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::{
    Body, Bucket, Encryption, Key, ObjectInfo, ObjectStore, ProviderPlace, PutMode, Secret, Stamp,
    StoreError, StoreErrorKind, Unfinished,
};

use crate::failure::{Failure, Operation};
use keys::Keys;

/// Puts the encryption that a store's configuration asks for around it; without one, gives the store as it is.
pub(crate) fn around(
    store: Arc<dyn ObjectStore>,
    config: &StoreConfig,
    identity: Option<&Secret>,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let Some(encrypt) = &config.encrypt else { return Ok(store) };
    let keys = Keys::read(encrypt, identity)
        .map_err(|failure| failure.into_error(store.url(), Operation::Open, ""))?;
    Ok(Arc::new(EncryptedStore { store, keys }))
}

/// What the store knows of an encrypted object, said of the plain one: the store's checksum is of other bytes.
fn plain_info(info: ObjectInfo, size_bytes: u64) -> ObjectInfo {
    let checksum = info.checksum.filter(|_| info.size_bytes == size_bytes);
    ObjectInfo { size_bytes, checksum, ..info }
}

/// A store whose objects are encrypted on their way in and decrypted on their way out.
struct EncryptedStore {
    store: Arc<dyn ObjectStore>,
    keys: Keys,
}

impl EncryptedStore {
    fn error<'a>(&'a self, operation: Operation, key: &'a Key) -> impl Fn(Failure) -> StoreError + 'a {
        move |failure| failure.into_error(self.store.url(), operation, key.as_str())
    }
}

#[async_trait]
impl ObjectStore for EncryptedStore {
    fn url(&self) -> &str {
        self.store.url()
    }

    async fn put(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        let failed = self.error(Operation::Write, key);
        let encryptor = self.keys.encryptor().map_err(&failed)?;
        let (sender, sealed) = Body::channel();
        let sealing = tokio::task::spawn_blocking(move || seal::stream(body, encryptor, sender));
        let info = self.store.put(key, sealed, mode).await?;
        // The store has seen the end of the stream, so there is nothing to wait for.
        let plain_bytes = sealing.await.map_err(|error| failed(io::Error::other(error).into()))?;
        let size_bytes = plain_bytes.ok_or_else(|| {
            failed(Failure::new(StoreErrorKind::Corrupt, "it was stored before all of it was encrypted"))
        })?;
        Ok(plain_info(info, size_bytes))
    }

    async fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Body, StoreError> {
        match range {
            None => unseal::whole(&*self.store, &self.keys, key).await,
            Some(range) => unseal::range(&*self.store, &self.keys, key, None, range).await,
        }
    }

    async fn get_stamped(&self, key: &Key, stamp: &Stamp, range: Range<u64>) -> Result<Body, StoreError> {
        unseal::range(&*self.store, &self.keys, key, Some(stamp), range).await
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>, StoreError> {
        let Some(info) = self.store.head(key).await? else { return Ok(None) };
        match unseal::plain_size(&*self.store, &info).await {
            Ok(size_bytes) => Ok(Some(plain_info(info, size_bytes))),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        self.store.list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.store.delete(key).await
    }

    async fn read_stamped(
        &self,
        key: &Key,
        limit_bytes: usize,
    ) -> Result<Option<(Bytes, Stamp)>, StoreError> {
        let most = layout::most_stored_bytes(limit_bytes);
        let Some((object, stamp)) = self.store.read_stamped(key, most).await? else { return Ok(None) };
        let plain = unseal::bytes(&self.keys, object, limit_bytes);
        Ok(Some((plain.map_err(self.error(Operation::Read, key))?, stamp)))
    }

    async fn swap(&self, key: &Key, expected: Option<&Stamp>, bytes: Bytes) -> Result<Stamp, StoreError> {
        let sealed = seal::bytes(&self.keys, &bytes).map_err(self.error(Operation::Write, key))?;
        self.store.swap(key, expected, sealed).await
    }

    fn encryption(&self) -> Option<&Encryption> {
        Some(self.keys.encryption())
    }

    async fn is_encrypted(&self, key: &Key) -> Result<bool, StoreError> {
        unseal::is_encrypted(&*self.store, key).await
    }

    fn check_readable(&self) -> Result<(), StoreError> {
        let readable = self.keys.check_readable();
        readable.map_err(|failure| failure.into_error(self.store.url(), Operation::Read, ""))
    }

    async fn put_open(&self, key: &Key, body: Body, mode: PutMode) -> Result<ObjectInfo, StoreError> {
        self.store.put_open(key, body, mode).await
    }

    /// Only a store that encrypts to the same recipients knows this service: to any other its objects are noise.
    fn place(&self, key: &Key) -> Option<ProviderPlace> {
        let place = self.store.place(key)?;
        Some(ProviderPlace { service: format!("{}{}", self.keys.mark(), place.service), ..place })
    }

    async fn copy_from(
        &self,
        from: &ProviderPlace,
        key: &Key,
        mode: PutMode,
    ) -> Result<Option<ObjectInfo>, StoreError> {
        let Some(service) = from.service.strip_prefix(&self.keys.mark()) else { return Ok(None) };
        let from = ProviderPlace { service: service.to_owned(), ..from.clone() };
        let Some(info) = self.store.copy_from(&from, key, mode).await? else { return Ok(None) };
        let size_bytes = unseal::plain_size(&*self.store, &info).await?;
        Ok(Some(plain_info(info, size_bytes)))
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.store.check_writable().await
    }

    fn bucket(&self) -> Option<&dyn Bucket> {
        self.store.bucket()
    }

    async fn list_unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        self.store.list_unfinished().await
    }

    async fn remove_abandoned(&self, before: Timestamp) -> Result<Vec<Unfinished>, StoreError> {
        self.store.remove_abandoned(before).await
    }
}
