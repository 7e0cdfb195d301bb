//! Accounts that can't make what a backup holds, on real servers.

use rekindle_backup::manifest::{ObjectEntry, ObjectRole};
use rekindle_engine::id::TargetName;

use super::*;
use crate::sandbox::testing::CANARY_PASSWORD;

/// Whom everything acts as.
const DEFINERS: &str = "SELECT table_name, definer FROM information_schema.views WHERE table_schema = 'shop' \
    UNION ALL SELECT trigger_name, definer FROM information_schema.triggers WHERE trigger_schema = 'shop' \
    UNION ALL SELECT routine_name, definer FROM information_schema.routines WHERE routine_schema = 'shop' \
    UNION ALL SELECT event_name, definer FROM information_schema.events WHERE event_schema = 'shop' ORDER BY 1";
const RESTORER: &str = "'restorer'@'%'";

/// Two servers, a backup of the first, and an account on the second that restores; its data may be lost.
struct Pair {
    old: TempServer,
    new: TempServer,
    bench: Bench,
}

impl Pair {
    async fn of(flavour: Flavour, made: &[&str]) -> Self {
        let (old, new) = tokio::join!(server_of(flavour, "old"), server_of(flavour, "new"));
        let shop = ["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT)", "INSERT INTO shop.t VALUES (1)"];
        execute(&old, &shop).await;
        execute(&old, made).await;
        let password = crate::connection::quote_string(CANARY_PASSWORD);
        let create = format!("CREATE USER {RESTORER} IDENTIFIED BY {password}");
        let all = format!("GRANT ALL PRIVILEGES ON *.* TO {RESTORER} WITH GRANT OPTION");
        execute(&new, &[&create, &all, "CREATE DATABASE precious", "CREATE TABLE precious.t (id INT)"]).await;
        let mut bench = Bench::of(&[&old, &new]).await;
        let mut manifest = bench.back_up("old").await;
        let index = bench.get("backups/shop/b1/full.index.json").await;
        manifest.objects.push(ObjectEntry {
            name: "full.index.json".to_owned(),
            size_bytes: index.len() as u64,
            sha256: hex::encode(Sha256::digest(&index)),
            role: ObjectRole::Index,
        });
        bench.put(&format!("backups/shop/b1/{MANIFEST}"), sealed::seal(&manifest).unwrap()).await;
        bench.settings.targets.get_mut(&TargetName::from("new")).unwrap().user = "restorer".to_owned();
        Self { old, new, bench }
    }

    async fn restore(&self, more: serde_json::Value) -> Result<Outputs, StepError> {
        self.bench.run(more).await
    }

    /// Gives what a plan shows, without what the versions differ in.
    async fn found(&self, more: serde_json::Value) -> String {
        let mut params = json!({ "backup": "backup://primary/shop/b1", "target": "new", "overwrite": true });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let cx = context(&self.bench.world).settings(self.bench.settings.clone()).preflight([]);
        let found = Restore.preflight(&crate::testing::planned(&params), &cx).await;
        let own = ask(&self.old, "SELECT CURRENT_USER()").await;
        let (user, host) = own.rsplit_once('@').unwrap();
        let told = found.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        told.replace(&format!("'{user}'@'{host}'"), "ROOT")
    }

    /// Asserts that nothing was touched by what was refused.
    async fn untouched(&self) {
        assert_eq!(ask(&self.new, "SHOW DATABASES LIKE 'precious'").await, "precious");
        assert_eq!(ask(&self.new, "SHOW DATABASES LIKE '%rekindle%'").await, "");
        assert_eq!(ask(&self.new, "SELECT @@read_only").await, "0");
    }
}

const OF_OTHERS: &[&str] = &[
    "CREATE USER 'ann'@'%'",
    "CREATE DEFINER='ann'@'%' VIEW shop.v AS SELECT id FROM shop.t",
    "CREATE DEFINER='ann'@'%' TRIGGER shop.g BEFORE INSERT ON shop.t FOR EACH ROW SET @a = 1",
    "CREATE DEFINER='ann'@'%' PROCEDURE shop.p() SELECT 1",
    "CREATE FUNCTION shop.f() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE DEFINER='ann'@'%' EVENT shop.e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
];

on_both!(an_account_that_may_not_set_definers_is_refused_before_anything_is_dropped);
async fn an_account_that_may_not_set_definers_is_refused_before_anything_is_dropped(flavour: Flavour) {
    let pair = Pair::of(flavour, OF_OTHERS).await;
    let privileges = match flavour {
        Flavour::Mariadb => "SET USER, SUPER",
        Flavour::Mysql => "SET_ANY_DEFINER, SUPER, SYSTEM_USER",
    };
    let trust = "SET GLOBAL log_bin_trust_function_creators = ON";
    execute(&pair.new, &[&format!("REVOKE {privileges} ON *.* FROM {RESTORER}"), trust]).await;

    let error = pair.restore(json!({ "overwrite": true })).await.unwrap_err();

    assert_eq!(error.class, ErrorClass::Permanent);
    let found = pair.found(json!({})).await;
    assert!(found.contains(&error.message), "{error}");
    match flavour {
        Flavour::Mariadb => insta::assert_snapshot!(found, @r"
        rekindle::restore::missing_privilege: the account 'restorer'@'%' of `new` has no SET USER on *.* (/target)
          help: the backup has definers that it may not set: 'ann'@'%' (EVENT shop.e), ROOT (FUNCTION shop.f); nothing was changed; run `GRANT SET USER ON *.* TO 'restorer'@'%'`
        rekindle::restore::missing_privilege: the account 'restorer'@'%' of `new` has no ALL PRIVILEGES on *.* (/target)
          help: accounts of the backup have it, and it can't give them what it has not itself: ROOT, 'root'@'localhost'; nothing was changed; run `GRANT ALL PRIVILEGES ON *.* TO 'restorer'@'%' WITH GRANT OPTION`
        "),
        Flavour::Mysql => insta::assert_snapshot!(found, @r"
        rekindle::restore::missing_privilege: the account 'restorer'@'%' of `new` has no SET_ANY_DEFINER, SYSTEM_USER on *.* (/target)
          help: the backup has definers that it may not set: 'ann'@'%' (EVENT shop.e), ROOT (FUNCTION shop.f, it has SYSTEM_USER); nothing was changed; run `GRANT SET_ANY_DEFINER, SYSTEM_USER ON *.* TO 'restorer'@'%'`
        rekindle::restore::missing_privilege: the account 'restorer'@'%' of `new` has no SET_ANY_DEFINER, SUPER, SYSTEM_USER on *.* (/target)
          help: accounts of the backup have it, and it can't give them what it has not itself: ROOT, 'root'@'localhost'; nothing was changed; run `GRANT SET_ANY_DEFINER, SUPER, SYSTEM_USER ON *.* TO 'restorer'@'%' WITH GRANT OPTION`
        "),
    }
    pair.untouched().await;
    for part in [json!({ "databases": ["shop"] }), json!({ "tables": ["shop.t"] })] {
        let error = pair.restore(part).await.unwrap_err();
        assert!(error.message.contains("'restorer'@'%' of `new` has no SET"), "{error}");
        pair.untouched().await;
    }

    // The backup's own root has them all too, and nobody gives that account what he has not.
    let fewer = privileges.replace(", SUPER", "");
    execute(&pair.new, &[&format!("GRANT {fewer} ON *.* TO {RESTORER}")]).await;
    let error = pair.restore(json!({ "overwrite": true })).await.unwrap_err();
    assert!(error.message.starts_with("the account 'restorer'@'%' of `new` has no "), "{error}");
    assert!(error.help.unwrap().starts_with("accounts of the backup have it"));
    pair.untouched().await;
    pair.restore(json!({ "tables": ["shop.t"], "rename": { "shop.t": "aside.t" } })).await.unwrap();
    execute(&pair.new, &[&format!("GRANT {privileges} ON *.* TO {RESTORER}")]).await;
    assert_eq!(pair.found(json!({})).await, "");
    pair.restore(json!({ "overwrite": true })).await.unwrap();
    let definers = ask(&pair.new, DEFINERS).await;
    assert_eq!(definers, ask(&pair.old, DEFINERS).await);
    assert_eq!(definers.matches("ann@%").count(), 4, "{definers}");
}

/// MariaDB only warns.
mod a_definer_that_is_nobody_is_told_before_anything_is_dropped {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        let pair = Pair::of(Flavour::Mysql, OF_OTHERS).await;
        let revoke = format!("REVOKE ALLOW_NONEXISTENT_DEFINER, SUPER ON *.* FROM {RESTORER}");
        let trust = "SET GLOBAL log_bin_trust_function_creators = ON";
        execute(&pair.new, &[&revoke, trust]).await;
        let table = json!({ "tables": ["shop.t"] });

        let error = pair.restore(table.clone()).await.unwrap_err();

        insta::assert_snapshot!(error, @"the account 'restorer'@'%' of `new` has no ALLOW_NONEXISTENT_DEFINER on *.*");
        insta::assert_snapshot!(pair.found(table.clone()).await, @r"
        rekindle::restore::missing_privilege: the account 'restorer'@'%' of `new` has no ALLOW_NONEXISTENT_DEFINER on *.* (/target)
          help: the backup has definers that it may not set: 'ann'@'%' (TRIGGER shop.g, no such account); nothing was changed; run `GRANT ALLOW_NONEXISTENT_DEFINER ON *.* TO 'restorer'@'%'`
        ");
        pair.untouched().await;
        execute(&pair.new, &["CREATE USER 'ann'@'%'"]).await;
        pair.restore(table).await.unwrap();
        assert_eq!(
            ask(&pair.new, "SELECT definer FROM information_schema.triggers WHERE trigger_name = 'g'").await,
            "ann@%"
        );
    }
}

on_both!(a_function_that_the_server_will_not_take_is_told_before_anything_is_dropped);
async fn a_function_that_the_server_will_not_take_is_told_before_anything_is_dropped(flavour: Flavour) {
    let trust = "SET GLOBAL log_bin_trust_function_creators = ON";
    let made = [trust, "CREATE FUNCTION shop.f() RETURNS INT RETURN 1"];
    let pair = Pair::of(flavour, &made).await;

    let error = pair.restore(json!({ "overwrite": true })).await.unwrap_err();

    assert!(error.message.ends_with(": shop.f"), "{error}");
    insta::assert_snapshot!(pair.found(json!({})).await, @r"
    rekindle::restore::untrusted_functions: `new` writes a binary log and takes no function that does not say DETERMINISTIC, NO SQL or READS SQL DATA: shop.f (/target)
      help: the server that was backed up trusted whoever made them; nothing was changed; run `SET GLOBAL log_bin_trust_function_creators = ON` on `new`
    ");
    pair.untouched().await;
    execute(&pair.new, &[trust]).await;
    pair.restore(json!({ "overwrite": true })).await.unwrap();
    assert_eq!(ask(&pair.new, DEFINERS).await, ask(&pair.old, DEFINERS).await);
}

on_both!(a_drill_takes_the_functions_that_the_server_took);
async fn a_drill_takes_the_functions_that_the_server_took(flavour: Flavour) {
    let trust = "SET GLOBAL log_bin_trust_function_creators = ON";
    let pair = Pair::of(flavour, &[trust, "CREATE FUNCTION shop.f() RETURNS INT RETURN 1"]).await;

    pair.restore(json!({ "overwrite": true, "drill": true })).await.unwrap();

    assert_eq!(ask(&pair.new, "SELECT shop.f()").await, "1");
}

on_both!(an_account_without_super_is_told_of_triggers_before_anything_is_dropped);
async fn an_account_without_super_is_told_of_triggers_before_anything_is_dropped(flavour: Flavour) {
    let made = ["CREATE TRIGGER shop.g BEFORE INSERT ON shop.t FOR EACH ROW SET @a = 1"];
    let pair = Pair::of(flavour, &made).await;
    execute(&pair.new, &[&format!("REVOKE SUPER ON *.* FROM {RESTORER}")]).await;
    let table = json!({ "tables": ["shop.t"] });

    let error = pair.restore(table.clone()).await.unwrap_err();

    assert!(error.message.ends_with(": TRIGGER shop.g"), "{error}");
    insta::assert_snapshot!(pair.found(table.clone()).await, @r"
    rekindle::restore::untrusted_functions: the account 'restorer'@'%' of `new` has no SUPER on *.*, and the server writes a binary log: it takes no function and no trigger: TRIGGER shop.g (/target)
      help: nothing was changed; run `SET GLOBAL log_bin_trust_function_creators = ON` on `new`, or `GRANT SUPER ON *.* TO 'restorer'@'%'`
    ");
    pair.untouched().await;
    execute(&pair.new, &[&format!("GRANT SUPER ON *.* TO {RESTORER}")]).await;
    pair.restore(table).await.unwrap();
    assert_eq!(ask(&pair.new, DEFINERS).await, ask(&pair.old, DEFINERS).await);
}

on_both!(a_backup_that_does_not_tell_its_definers_is_restored_all_the_same);
async fn a_backup_that_does_not_tell_its_definers_is_restored_all_the_same(flavour: Flavour) {
    let pair = Pair::of(flavour, OF_OTHERS).await;
    let path = format!("backups/shop/b1/{MANIFEST}");
    let mut manifest: Manifest = sealed::open(&pair.bench.get(&path).await).unwrap();
    let definers = std::mem::take(&mut manifest.inventory.databases.get_mut("shop").unwrap().definers);
    assert_eq!(definers["VIEW v"], "ann@%");
    pair.bench.put(&path, sealed::seal(&manifest).unwrap()).await;

    pair.restore(json!({ "overwrite": true })).await.unwrap();

    assert_eq!(ask(&pair.new, DEFINERS).await, ask(&pair.old, DEFINERS).await);
}
