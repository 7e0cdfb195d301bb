//! A provider copies by itself only what may lie at the other end as it is.

use std::sync::Arc;

use rekindle_engine::host::PutMode;
use rekindle_engine::testing::MemoryStore;

use super::watched::Watched;
use super::{Pair, encrypt_to, put_bytes, read, sealed, try_around};
use crate::contract::{Store, key};

/// Copies an object that is encrypted to `from` into a store that encrypts to `to`; gives that when it was copied.
async fn copied(from: &[&Pair], to: &[&Pair]) -> Option<Store> {
    let source = Arc::new(MemoryStore::new("memory:from"));
    let provider = Watched::of(vec![source.clone()]);
    let around = |pairs: &[&Pair], store: Arc<Watched>| -> Store {
        match pairs {
            [] => store,
            [first, ..] => {
                try_around(store, encrypt_to(pairs.iter().copied()), Some(&first.secret())).unwrap()
            }
        }
    };
    match from {
        [] => source.insert(&key("k"), "plain"),
        _ => source.insert(&key("k"), sealed(&encrypt_to(from.iter().copied()), b"plain")),
    }
    let place = around(from, Watched::new()).place(&key("k")).unwrap();
    let target = around(to, provider);
    let info = target.copy_from(&place, &key("copy"), PutMode::IfAbsent).await.unwrap()?;
    assert_eq!(info.size_bytes, 5);
    assert_eq!(read(&target, "copy").await, b"plain");
    Some(target)
}

#[tokio::test]
async fn the_provider_copies_between_stores_of_the_same_recipients_only() {
    let (one, other) = (Pair::new(), Pair::new());
    assert!(copied(&[&one], &[&one]).await.is_some());
    assert!(copied(&[&one, &other], &[&other, &one]).await.is_some(), "their order says nothing");
    assert!(copied(&[], &[]).await.is_some());
    assert!(copied(&[&one], &[&other]).await.is_none());
    assert!(copied(&[&one, &other], &[&one]).await.is_none());
    assert!(copied(&[], &[&one]).await.is_none(), "it must be encrypted");
    assert!(copied(&[&one], &[]).await.is_none(), "it must be decrypted");
}

#[tokio::test]
async fn a_store_says_to_whom_it_encrypts() {
    let pair = Pair::new();
    let store = try_around(Watched::new(), encrypt_to([&pair]), None).unwrap();
    let encryption = store.encryption().unwrap();
    assert_eq!(
        (&*encryption.format, &*encryption.recipients),
        ("age-encryption.org/v1", &[pair.public()][..])
    );
    let plain: Store = Watched::new();
    assert_eq!(plain.encryption(), None);
    put_bytes(&plain, "k", "x").await;
    plain.check_readable().unwrap();
}
