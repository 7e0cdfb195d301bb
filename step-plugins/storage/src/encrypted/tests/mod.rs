//! What lies in the store is encrypted, what comes out is what was put, and nothing else ever comes out.

mod copies;
mod damage;
mod keys;
mod ranges;
mod watched;

use std::sync::Arc;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use bytes::Bytes;
use rekindle_engine::environment::{Encrypt, StoreConfig};
use rekindle_engine::host::{Body, PutMode, Secret, StoreError};
use rekindle_engine::testing::MemoryStore;

use super::{Keys, around, seal};
use crate::contract::{Store, key, store_contract};
use crate::file::FileStore;

/// A key pair.
pub(crate) struct Pair(Identity);

impl Pair {
    pub(crate) fn new() -> Self {
        Self(Identity::generate())
    }

    pub(crate) fn public(&self) -> String {
        self.0.to_public().to_string()
    }

    pub(crate) fn secret(&self) -> Secret {
        Secret::new(format!("# made for a test\n{}\n", self.0.to_string().expose_secret()))
    }
}

pub(crate) fn encrypt_to<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Encrypt {
    Encrypt { recipients: pairs.into_iter().map(Pair::public).collect(), identity: None }
}

/// Encrypts bytes as a store of this configuration does.
pub(crate) fn sealed(config: &Encrypt, plain: &[u8]) -> Bytes {
    seal::bytes(&Keys::read(config, None).unwrap_or_else(|error| panic!("{error:?}")), plain).unwrap()
}

fn try_around(store: Store, config: Encrypt, identity: Option<&Secret>) -> Result<Store, StoreError> {
    around(store, &StoreConfig { encrypt: Some(config), ..StoreConfig::default() }, identity)
}

/// Puts an encryption to one pair around a store; what it writes it can read.
fn encrypted(store: Store, pair: &Pair) -> Store {
    try_around(store, encrypt_to([pair]), Some(&pair.secret())).unwrap()
}

/// So many bytes, no two chunks alike.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 65_536 * 7) % 251).unwrap()).collect()
}

async fn put_bytes(store: &Store, name: &str, bytes: impl Into<Bytes>) {
    store.put(&key(name), Body::from_bytes(bytes), PutMode::Replace).await.unwrap();
}

async fn read(store: &Store, name: &str) -> Vec<u8> {
    store.get(&key(name), None).await.unwrap().collect(1 << 24).await.unwrap()
}

mod in_memory {
    use super::*;

    fn store() -> (Store, ()) {
        (encrypted(Arc::new(MemoryStore::new("memory:encrypted")), &Pair::new()), ())
    }

    store_contract!(store(), encrypted);
}

mod in_a_folder {
    use super::*;

    fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (encrypted(Arc::new(FileStore::new(folder.path())), &Pair::new()), folder)
    }

    store_contract!(store(), encrypted);
}

#[tokio::test]
async fn every_length_around_a_chunk_reads_back_with_its_size() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let store = encrypted(memory.clone(), &Pair::new());
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 200_000] {
        let plain = noise(length);
        put_bytes(&store, "k", plain.clone()).await;
        assert_eq!(read(&store, "k").await, plain, "{length}");
        let size = store.head(&key("k")).await.unwrap().unwrap().size_bytes;
        assert_eq!(size, length as u64);
        assert!(memory.object(&key("k")).unwrap().len() > length);
    }
}

#[tokio::test]
async fn nothing_of_an_object_lies_in_the_store() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let store = encrypted(memory.clone(), &Pair::new());
    put_bytes(&store, "put", "CREATE TABLE `orders`").await;
    store.swap(&key("swapped"), None, Bytes::from_static(b"CREATE TABLE `orders`")).await.unwrap();
    for name in ["put", "swapped"] {
        let stored = memory.object(&key(name)).unwrap();
        assert!(stored.starts_with(b"age-encryption.org/v1\n"));
        assert!(!stored.windows(6).any(|text| text == b"orders" || text == b"CREATE"));
    }
    // Each object has a key of its own: equal contents can't be told.
    put_bytes(&store, "again", "CREATE TABLE `orders`").await;
    assert_ne!(memory.object(&key("put")), memory.object(&key("again")));
}

#[tokio::test]
async fn what_was_there_before_is_read_as_it_is() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let store = encrypted(memory.clone(), &Pair::new());
    let older = noise(200_000);
    memory.insert(&key("older"), older.clone());
    store.put_open(&key("open"), Body::from_bytes("read me"), PutMode::IfAbsent).await.unwrap();
    assert_eq!(memory.object(&key("open")).unwrap(), "read me");
    assert_eq!(read(&store, "open").await, b"read me");
    assert_eq!(read(&store, "older").await, older);
    assert_eq!(store.head(&key("older")).await.unwrap().unwrap().size_bytes, 200_000);
    let part = store.get(&key("older"), Some(70_000..70_010)).await.unwrap();
    assert_eq!(part.collect(10).await.unwrap(), older[70_000..70_010]);
    let (bytes, stamp) = store.read_stamped(&key("open"), 100).await.unwrap().unwrap();
    assert_eq!(bytes, "read me");
    store.swap(&key("open"), Some(&stamp), Bytes::from_static(b"closed")).await.unwrap();
    assert!(memory.object(&key("open")).unwrap().starts_with(b"age-encryption.org/v1\n"));
}

/// Encrypted by `age` 1.1.1 of Debian, the implementation in Go.
const BY_AGE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBNR2p6bG9icHlSeU0yb29VRXZsK3ZhWDNUQXhKM0NEcTB4RFpYbk1HQjJNCk1xY1NaYmxpVmJiOHRBTC9KZ3NsMnoxS003blZHdW05NEx1bU9WODFtWUUKLS0tIDJ5NnVVeTRLcHU5bVhSdTZWeGhhTDU1RmxUZDJod0xJMnJsc3JqdGlrRUkKMggngSUH4jGaudTbuJ9aleRfYm5wTa3+be6omXeS5XLi+liUhFBnvcQGTQ3F2gU=";
const KEY_OF_AGE: &str = "# created: 2026-11-28T12:28:18Z\n# public key: age1eys6ljgtmzn9y0jg3z20p76nert62thm2lzpg34n0eef56xrhunqjc6mxj\nAGE-SECRET-KEY-16TNN493QPJW5C8HNZ8C27CCVE993JTMCTPMH0YC9X7QSFVDG6HSQ9RKU32\n";

#[tokio::test]
async fn what_the_program_age_encrypted_is_read_with_the_file_that_age_keygen_wrote() {
    use base64::Engine as _;
    let memory = Arc::new(MemoryStore::new("memory:a"));
    memory.insert(&key("k"), base64::engine::general_purpose::STANDARD.decode(BY_AGE).unwrap());
    let store = try_around(memory, encrypt_to([&Pair::new()]), Some(&Secret::new(KEY_OF_AGE))).unwrap();
    assert_eq!(read(&store, "k").await, b"hello from age\n");
}
