//! Backups in stores that encrypt: published, found, proven, copied, and nothing of them to be seen.

use rekindle_backup::catalogue;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::verdict::Level;
use rekindle_engine::host::{Key, ObjectStore as _, StoreErrorKind};
use rekindle_engine::step::{ErrorClass, Probe};
use rekindle_engine::testing::MemoryStore;
use serde_json::{Value, json};

use crate::encrypted::tests::Pair;
use crate::publish::PublishStep;
use crate::testing::{Shop, key, uri};

const AT: &str = "2026-11-22T14:30:00Z";

/// A backup in a primary store that encrypts.
async fn shop(pair: &Pair) -> Shop {
    let mut shop = Shop::new();
    shop.encrypt("primary", pair);
    shop.backup("b1", AT).await;
    shop
}

fn copy() -> Value {
    json!({ "backup": "backup://primary/shop/b1", "to": "offsite" })
}

fn offsite() -> BackupUri {
    BackupUri { store: "offsite".into(), ..uri("b1") }
}

/// Gives the objects whose bytes hold one of the words.
fn telling(store: &MemoryStore, words: &[&str]) -> Vec<String> {
    let holds = |key: &String| {
        let bytes = store.object(&Key::new(key).unwrap()).unwrap();
        words.iter().any(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
    };
    store.keys().into_iter().filter(holds).collect()
}

/// What a backup of the shop holds and says: of its tables, its accounts, its server and its time.
const WORDS: [&str; 8] =
    ["orders", "items", "CREATE", "'root'@", "MariaDB-log", "0-1-5", "bin.000002", "2026-11-22"];

#[tokio::test]
async fn nothing_of_a_backup_can_be_seen_in_its_store() {
    let shop = shop(&Pair::new()).await;
    shop.verdict("b1", Level::Content, true).await;
    let mark =
        json!({ "backup": "backup://primary/shop/b1", "keep": true, "reason": "orders of 2026-11-22" });
    shop.run("backup.mark", mark).await.unwrap();
    assert_eq!(telling(&shop.primary, &WORDS), Vec::<String>::new());
    // The words are there where nothing is encrypted: the test can see them.
    let plain = Shop::new();
    plain.backup("b1", AT).await;
    assert_eq!(telling(&plain.primary, &WORDS).len(), 6);
}

#[tokio::test]
async fn the_manifest_says_how_and_the_instructions_say_what_to_do() {
    let pair = Pair::new();
    let shop = shop(&pair).await;
    let manifest = catalogue::load_manifest(&*shop.store("primary").await, &uri("b1")).await.unwrap();
    let encryption = manifest.encryption.as_ref().unwrap();
    assert_eq!(
        (&*encryption.format, &*encryption.recipients),
        ("age-encryption.org/v1", &[pair.public()][..])
    );
    let text = shop.primary.object(&key("b1", "RESTORE.txt")).unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap().replace(&pair.public(), "<public key>");
    insta::assert_snapshot!(text, @"
    All other objects beside this one are encrypted by age (age-encryption.org/v1, https://age-encryption.org) to

        <public key>

    Whoever holds the secret key of one of them (a file with a line AGE-SECRET-KEY-1…, here key.txt) reads them
    with the program `age`. The dumps are ordinary gzip of SQL text. When nothing else is left, this restores them:

        age -d -i key.txt full.sql.gz | zcat | mariadb      # everything
        age -d -i key.txt schema.sql.gz | zcat | mariadb      # the schema alone, without rows

    Before that, compare the bytes with what was written. The manifest has the sha256 of each object as it was
    before it was encrypted:

        age -d -i key.txt manifest.json
        age -d -i key.txt full.sql.gz | sha256sum

    Use an empty MariaDB server of the same or a later version (`server` in the manifest), and a client of its
    own version: some statements are written for it. The manifest also says which accounts the server had
    (`users`), and from where binary logs are to be replayed or a replica goes on (`consistent_point`).
    ");
}

#[tokio::test]
async fn a_backup_is_found_verified_and_its_damage_named() {
    for level in [Level::Objects, Level::Content] {
        let shop = shop(&Pair::new()).await;
        let verify = json!({ "backup": "backup://primary/shop/b1", "level": level });
        shop.run("backup.verify", verify.clone()).await.unwrap();
        let found = shop.run("backup.find", json!({ "store": "primary" })).await.unwrap();
        assert_eq!(found["uri"], "backup://primary/shop/b1");
        for name in shop.objects("b1").into_iter().filter(|name| !name.starts_with("verified/")) {
            let size = shop.primary.object(&key("b1", &name)).unwrap().len();
            for at in [0, 30, size / 2, size - 1] {
                shop.primary.flip_byte(&key("b1", &name), at);
                let error = shop.run("backup.verify", verify.clone()).await.unwrap_err();
                assert_eq!(error.class, ErrorClass::Permanent);
                assert!(error.message.contains(&format!("`{name}` is damaged")), "{name} at {at}: {error}");
                let listed = catalogue::show(&*shop.store("primary").await, &uri("b1")).await.unwrap().listed;
                assert!(listed.has_failed(), "{name} at {at}");
                shop.primary.flip_byte(&key("b1", &name), at);
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_manifest_or_mark_does_not_hide_the_other_backups() {
    let shop = shop(&Pair::new()).await;
    shop.backup("b2", AT).await;
    let mark = json!({ "backup": "backup://primary/shop/b2", "keep": true, "reason": "r" });
    shop.run("backup.mark", mark).await.unwrap();
    // It remembers what they said before they were damaged.
    shop.primary.delete(&Key::new("backups/shop/index.json").unwrap()).await.unwrap();
    for at in [0, 60] {
        shop.primary.flip_byte(&key("b1", "manifest.json"), at);
        shop.primary.flip_byte(&key("b2", "keep.json"), at);
        let store = shop.store("primary").await;
        let listed = catalogue::list_backups(&*store, &"primary".into(), None).await.unwrap();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().any(|one| one.uri == uri("b1") && one.has_failed()));
        assert!(listed.iter().any(|one| one.uri == uri("b2") && one.summary.is_ok() && one.kept().is_some()));
        shop.primary.flip_byte(&key("b1", "manifest.json"), at);
        shop.primary.flip_byte(&key("b2", "keep.json"), at);
    }
}

#[tokio::test]
async fn a_copy_tells_the_truth_about_its_own_encryption() {
    let (one, other) = (Pair::new(), Pair::new());
    for (from, to) in
        [(None, Some(&one)), (Some(&one), None), (Some(&one), Some(&other)), (Some(&one), Some(&one))]
    {
        let mut shop = Shop::new();
        if let Some(pair) = from {
            shop.encrypt("primary", pair);
        }
        if let Some(pair) = to {
            shop.encrypt("offsite", pair);
        }
        shop.backup("b1", AT).await;
        let outputs = shop.run("backup.copy", copy()).await.unwrap();
        assert_eq!((&outputs["objects"], &outputs["skipped"]), (&json!(6), &json!(0)));
        let manifest = catalogue::load_manifest(&*shop.store("offsite").await, &offsite()).await.unwrap();
        let recipients = manifest.encryption.map(|encryption| encryption.recipients);
        assert_eq!(recipients, to.map(|pair| vec![pair.public()]));
        assert_eq!(telling(&shop.offsite, &WORDS).is_empty(), to.is_some());
        let text = shop.offsite.object(&key("b1", "RESTORE.txt")).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert_eq!(text.contains("age -d -i key.txt full.sql.gz | zcat"), to.is_some());
        assert!(to.is_none_or(|pair| text.contains(&pair.public())), "{text}");
        // It is proven there, and a copy of the copy is the same backup.
        let verify = json!({ "backup": "backup://offsite/shop/b1" });
        shop.run("backup.verify", verify).await.unwrap();
        let (kind, context) = (shop.kind("backup.copy"), shop.context());
        assert!(matches!(kind.probe(&copy(), &context.cx).await.unwrap(), Probe::Complete(_)));
        let again = shop.run("backup.copy", copy()).await.unwrap();
        assert_eq!((&again["objects"], &again["skipped"]), (&json!(0), &json!(6)));
    }
}

#[tokio::test]
async fn a_damaged_encrypted_object_of_a_copy_is_copied_again() {
    let (old, new) = (Pair::new(), Pair::new());
    let mut shop = shop(&Pair::new()).await;
    shop.encrypt("offsite", &old);
    shop.run("backup.copy", copy()).await.unwrap();
    shop.offsite.flip_byte(&key("b1", "full.sql.gz"), 5);
    shop.offsite.flip_byte(&key("b1", "server.json"), 60);
    let outputs = shop.run("backup.copy", copy()).await.unwrap();
    assert_eq!((&outputs["objects"], &outputs["skipped"]), (&json!(2), &json!(4)));
    shop.run("backup.verify", json!({ "backup": "backup://offsite/shop/b1" })).await.unwrap();

    // Under other recipients than its manifest names, a whole copy stays one, and nothing new is put beside the rest.
    shop.encrypt("offsite", &new);
    let both = format!("{}{}", new.secret().expose(), old.secret().expose());
    shop.world.secrets.set("age-offsite", &both);
    let outputs = shop.run("backup.copy", copy()).await.unwrap();
    assert_eq!(outputs["skipped"], 6);
    shop.offsite.flip_byte(&key("b1", "schema.sql.gz"), 500);
    let error = shop.run("backup.copy", copy()).await.unwrap_err();
    assert!(error.message.contains("encrypts otherwise than when that copy was made"), "{error}");
}

#[tokio::test]
async fn a_missing_identity_is_named_before_anything_begins() {
    let mut shop = Shop::new();
    shop.encrypt("primary", &Pair::new());
    let primary = shop.settings.stores.get_mut(&rekindle_engine::id::StoreName::from("primary")).unwrap();
    primary.encrypt.as_mut().unwrap().identity = None;
    let params = json!({ "store": "primary", "id": "b1", "objects": ["full"] });
    let found = shop.preflight(&PublishStep, params).await;
    insta::assert_snapshot!(found.problems[0], @"
    rekindle::store::no_key: the store `primary` can't be read: failed to read memory:primary: it is encrypted, and the store's `encrypt:` names no `identity:` to read it with (/store)
      help: write `identity: { secret: NAME }` there, and declare the secret that holds a key of age
    ");
    let found = shop.preflight(&crate::VerifyStep, json!({ "backup": "backup://primary/shop/b1" })).await;
    assert_eq!(found.problems[0].code, "rekindle::store::no_key");
    let found = shop.preflight(&crate::FindStep, json!({ "store": "primary" })).await;
    assert_eq!(found.problems[0].code, "rekindle::store::no_key");
}

#[tokio::test]
async fn the_wrong_key_is_told_and_no_backup_is_called_damaged_for_it() {
    let mut shop = shop(&Pair::new()).await;
    shop.world.secrets.set("age-primary", Pair::new().secret().expose());
    let error = shop.run("backup.verify", json!({ "backup": "backup://primary/shop/b1" })).await.unwrap_err();
    assert!(error.message.contains("holds another key than one of the recipients'"), "{error}");
    assert!(!shop.objects("b1").iter().any(|name| name.starts_with("verified/")));
    // The secret itself is in no message, and masked should a program repeat it.
    let secret = shop.world.world.masker.mask(Pair::new().secret().expose());
    assert!(secret.contains("AGE-SECRET-KEY"), "another key is no secret of this world");
    shop.world.secrets.set("age-primary", "hunter2");
    let error = shop.run("backup.find", json!({ "store": "primary" })).await.unwrap_err();
    assert!(
        error.message.contains("no identity file of age") && !error.message.contains("hunter2"),
        "{error}"
    );
    assert_eq!(shop.world.world.masker.mask("hunter2"), "***");
    shop.settings.secrets.clear();
    let error = shop.run("backup.find", json!({ "store": "primary" })).await.unwrap_err();
    assert!(error.message.contains("the environment has no secret `age-primary`"), "{error}");
    assert_eq!(
        shop.primary.get(&key("b1", "none"), None).await.err().unwrap().kind,
        StoreErrorKind::NotFound
    );
}

#[tokio::test]
async fn what_lay_there_before_the_store_encrypted_is_not_published_as_encrypted() {
    let mut shop = Shop::new();
    shop.dump("b1", AT);
    shop.encrypt("primary", &Pair::new());
    let params = json!({ "store": "primary", "id": "b1", "objects": ["full", "schema"] });
    let error = shop.run("backup.publish", params).await.unwrap_err();
    assert!(error.message.contains("is not published: `full.sql.gz` lies there unencrypted"), "{error}");
}

#[tokio::test]
async fn a_copy_that_was_begun_in_the_clear_is_made_anew_when_the_store_encrypts() {
    let mut shop = Shop::new();
    shop.backup("b1", AT).await;
    for name in shop.objects("b1").into_iter().filter(|name| name != "manifest.json") {
        shop.offsite.insert(&key("b1", &name), shop.primary.object(&key("b1", &name)).unwrap());
    }
    shop.encrypt("offsite", &Pair::new());
    let outputs = shop.run("backup.copy", copy()).await.unwrap();
    assert_eq!(outputs["objects"], 6);
    assert_eq!(telling(&shop.offsite, &WORDS), Vec::<String>::new());
    // Somebody puts the plain bytes back: they are right, and yet told.
    let plain = shop.primary.object(&key("b1", "full.sql.gz")).unwrap();
    shop.offsite.insert(&key("b1", "full.sql.gz"), plain);
    let error = shop.run("backup.verify", json!({ "backup": "backup://offsite/shop/b1" })).await.unwrap_err();
    assert!(error.message.contains("`full.sql.gz` lies there unencrypted"), "{error}");
}

#[tokio::test]
async fn an_older_backup_in_the_clear_stays_a_good_one() {
    let mut shop = Shop::new();
    shop.backup("b1", AT).await;
    shop.encrypt("primary", &Pair::new());
    shop.backup("b2", AT).await;
    for backup in ["backup://primary/shop/b1", "backup://primary/shop/b2"] {
        shop.run("backup.verify", json!({ "backup": backup })).await.unwrap();
    }
    let manifest = catalogue::load_manifest(&*shop.store("primary").await, &uri("b1")).await.unwrap();
    assert_eq!(manifest.encryption, None);
}

#[tokio::test]
async fn an_environment_that_forgets_the_encryption_is_told_so_and_calls_nothing_damaged() {
    let mut shop = shop(&Pair::new()).await;
    shop.settings.stores.get_mut(&rekindle_engine::id::StoreName::from("primary")).unwrap().encrypt = None;
    let error = shop.run("backup.find", json!({ "store": "primary" })).await.unwrap_err();
    assert!(error.message.contains("give the store its `encrypt:`"), "{error}");
    let keep = json!({ "store": "primary", "keep": { "keep_last": 1 } });
    assert!(shop.run("backup.prune", keep).await.is_err());
    assert!(shop.objects("b1").contains(&"manifest.json".to_owned()));
}
