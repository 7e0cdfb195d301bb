//! What the tests of bad conditions do with a store, of whichever provider it is.

use rekindle_emulators::Faults;
use rekindle_engine::host::{Body, ObjectStore, PutMode, StoreError};

use crate::contract::{MIB, key};

pub(crate) async fn put(
    store: &(impl ObjectStore + ?Sized),
    name: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    store.put(&key(name), Body::from_bytes(bytes.to_vec()), PutMode::IfAbsent).await.map(|_| ())
}

pub(crate) async fn read(store: &(impl ObjectStore + ?Sized), name: &str) -> Result<Vec<u8>, String> {
    let body = store.get(&key(name), None).await.map_err(|error| error.to_string())?;
    body.collect(64 * MIB).await.map_err(|error| error.to_string())
}

pub(crate) async fn listed(store: &(impl ObjectStore + ?Sized)) -> Vec<String> {
    store.list("").await.unwrap().into_iter().map(|info| info.key.to_string()).collect()
}

/// Requests whose text holds all of the words.
pub(crate) fn asked(faults: &Faults, words: &[&str]) -> usize {
    faults.seen().iter().filter(|seen| words.iter().all(|word| seen.contains(word))).count()
}
