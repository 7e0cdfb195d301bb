//! Who reads what, and what is said to who can't.

use std::sync::Arc;

use rekindle_engine::host::{Secret, StoreErrorKind};
use rekindle_engine::testing::MemoryStore;

use super::{Pair, encrypt_to, put_bytes, read, try_around};
use crate::contract::{Store, key};

fn store(memory: &Arc<MemoryStore>, to: &[&Pair], identity: Option<&Secret>) -> Store {
    try_around(memory.clone(), encrypt_to(to.iter().copied()), identity).unwrap()
}

#[tokio::test]
async fn either_of_two_recipients_reads() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let (one, other) = (Pair::new(), Pair::new());
    put_bytes(&store(&memory, &[&one, &other], None), "k", "for both").await;
    for pair in [&one, &other] {
        assert_eq!(read(&store(&memory, &[pair], Some(&pair.secret())), "k").await, b"for both");
    }
}

#[tokio::test]
async fn a_file_of_several_keys_reads_what_any_of_them_reads() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let (old, new) = (Pair::new(), Pair::new());
    put_bytes(&store(&memory, &[&old], None), "old", "before").await;
    put_bytes(&store(&memory, &[&new], None), "new", "after").await;
    let both = Secret::new(format!("{}\n{}", new.secret().expose(), old.secret().expose()));
    let store = store(&memory, &[&new], Some(&both));
    assert_eq!(
        (read(&store, "old").await, read(&store, "new").await),
        (b"before".to_vec(), b"after".to_vec())
    );
}

#[tokio::test]
async fn without_an_identity_it_is_written_but_not_read() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let store = store(&memory, &[&Pair::new()], None);
    put_bytes(&store, "k", "secret").await;
    assert_eq!(store.head(&key("k")).await.unwrap().unwrap().size_bytes, 6);
    store.check_writable().await.unwrap();
    let whole = store.get(&key("k"), None).await.err().unwrap();
    let part = store.get(&key("k"), Some(0..1)).await.err().unwrap();
    let stamped = store.read_stamped(&key("k"), 10).await.unwrap_err();
    for error in [&whole, &part, &stamped, &store.check_readable().unwrap_err()] {
        assert_eq!(error.kind, StoreErrorKind::Denied, "{error}");
    }
    insta::assert_snapshot!(whole, @"failed to read `k` in memory:a: it is encrypted, and the store's `encrypt:` names no `identity:` to read it with");
}

#[tokio::test]
async fn another_key_than_a_recipients_is_told_from_damage() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let (pair, other) = (Pair::new(), Pair::new());
    put_bytes(&store(&memory, &[&pair], None), "k", "secret").await;
    let wrong = store(&memory, &[&pair], Some(&other.secret())).get(&key("k"), None).await.err().unwrap();
    assert_eq!(wrong.kind, StoreErrorKind::Denied);
    insta::assert_snapshot!(wrong, @"failed to read `k` in memory:a: the store's key does not open it: the secret that `identity:` names holds another key than one of the recipients'");
    // With the right key in place, one object that does not open is that object's trouble.
    let newer = store(&memory, &[&other], Some(&other.secret())).get(&key("k"), None).await.err().unwrap();
    assert_eq!(newer.kind, StoreErrorKind::Corrupt);
    insta::assert_snapshot!(newer, @"failed to read `k` in memory:a: the store's key does not open it: its header is damaged, or it was encrypted to other recipients than those of today, whose key belongs into the same identity file");
}

#[tokio::test]
async fn a_secret_that_is_no_identity_file_is_refused_and_not_shown() {
    let memory = Arc::new(MemoryStore::new("memory:a"));
    let pair = Pair::new();
    let mut told = String::new();
    let cut = pair.secret().expose().trim_end().to_owned();
    for text in ["hunter2", "# only a comment\n", "", &pair.public(), &cut[..cut.len() - 1]] {
        let error = try_around(memory.clone(), encrypt_to([&pair]), Some(&Secret::new(text))).err().unwrap();
        assert_eq!(error.kind, StoreErrorKind::Invalid);
        told.push_str(&error.to_string());
        told.push('\n');
    }
    assert!(!told.contains("hunter2") && !told.contains("SECRET-KEY"), "{told}");
    insta::assert_snapshot!(told, @"
    failed to open memory:a: the secret that its `identity:` names is no identity file of age, as `age-keygen` writes it: identity file contains non-identity data on line 1
    failed to open memory:a: the secret that its `identity:` names is no identity file of age, as `age-keygen` writes it: it holds no secret key
    failed to open memory:a: the secret that its `identity:` names is no identity file of age, as `age-keygen` writes it: it holds no secret key
    failed to open memory:a: the secret that its `identity:` names is no identity file of age, as `age-keygen` writes it: identity file contains non-identity data on line 1
    failed to open memory:a: the secret that its `identity:` names is no identity file of age, as `age-keygen` writes it: identity file contains non-identity data on line 2
    ");
}

#[test]
fn a_recipient_that_is_none_is_refused() {
    let config =
        rekindle_engine::environment::Encrypt { recipients: vec!["age1x".to_owned()], identity: None };
    let error = try_around(Arc::new(MemoryStore::new("memory:a")), config, None).err().unwrap();
    insta::assert_snapshot!(error, @"failed to open memory:a: `age1x` is no public key of age");
}
