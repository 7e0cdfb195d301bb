//! Parts of a backup on a server that is in use.

use rekindle_backup::manifest::{DumpIndex, Flavour, Member};
use rekindle_engine::step::{Probe, Step as _, StepError};
use rekindle_engine::testing::{Operation, TestContext};
use serde_json::{Value, json};

use super::super::{Outputs, Restore};
use super::bench::{Bench, ask, bench, key, state, tell};
use super::shop;
use crate::connection::Login;
use crate::sandbox::testing::TempServer;
use crate::testing::{known_to, on_both, position_query, shop_of};

/// A server with a backup of the shop, whose data have changed since.
struct InUse {
    server: TempServer,
    _other: TempServer,
    bench: Bench,
}

impl InUse {
    async fn up(flavour: Flavour, more: &[&str]) -> Self {
        let (other, server) = shop(flavour).await;
        tell(server.login(), &shop_of(flavour)).await;
        tell(server.login(), &known_to(flavour, super::MORE)).await;
        tell(server.login(), more).await;
        let bench = bench(other.login(), server.login());
        bench.publish("fresh", "b1").await;
        let since = [
            "CREATE DATABASE precious",
            "CREATE TABLE precious.t AS SELECT 1 AS i",
            "INSERT INTO shop.empty VALUES (1)",
            "UPDATE shop.a SET b = NULL",
            "DELETE FROM shop.b",
        ];
        tell(server.login(), &since).await;
        Self { server, _other: other, bench }
    }

    fn login(&self) -> &Login {
        self.server.login()
    }

    fn test(&self) -> TestContext {
        self.bench.cx()
    }

    async fn restore(&self, more: Value) -> Result<Outputs, StepError> {
        Restore.run(&Bench::params(more), &self.test().cx).await
    }

    /// What no restore of a part may touch.
    async fn untouched(&self) -> String {
        let followed = match self.server.flavour() {
            Flavour::Mariadb => "@@gtid_slave_pos",
            Flavour::Mysql => "@@GLOBAL.gtid_purged",
        };
        let mine = format!(
            "SELECT CONCAT((SELECT i FROM precious.t), ' ', (SELECT COUNT(*) FROM shop.empty), ' ', {followed})"
        );
        format!("{}, {}", ask(self.login(), &mine).await, state(self.login()).await)
    }
}

on_both!(a_table_comes_back_in_place_with_its_triggers_and_foreign_keys);
async fn a_table_comes_back_in_place_with_its_triggers_and_foreign_keys(flavour: Flavour) {
    let here = InUse::up(flavour, &[]).await;
    let before = here.untouched().await;
    let logged = ask(here.login(), position_query(flavour)).await;

    let refused = here.restore(json!({ "tables": ["shop.b"] })).await.unwrap_err();
    insta::assert_snapshot!(refused, @"`fresh` holds the table shop.b");
    assert!(refused.help.unwrap().contains("overwrite: true"));
    let wanted = json!({ "tables": ["shop.b", "shop.customers"], "overwrite": true });
    let outputs = here.restore(wanted.clone()).await.unwrap();

    assert_eq!((outputs.tables, outputs.rows, outputs.gtid.as_str()), (2, 3, ""));
    assert_eq!(here.untouched().await, before);
    // Its replicas get it.
    assert_ne!(ask(here.login(), position_query(flavour)).await, logged);
    let foreign = "SELECT GROUP_CONCAT(CONCAT_WS(' ', UNIQUE_CONSTRAINT_SCHEMA, TABLE_NAME, REFERENCED_TABLE_NAME) ORDER BY 1) \
        FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = 'shop' AND TABLE_NAME IN ('b', 'odd`na.me')";
    assert_eq!(ask(here.login(), foreign).await, "shop b a,shop odd`na.me customers");
    let triggers = "SELECT GROUP_CONCAT(TRIGGER_NAME ORDER BY 1) FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_TABLE = 'customers'";
    assert_eq!(ask(here.login(), triggers).await, "keep,later");
    let left = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'rekindle_restore.%'";
    assert_eq!(ask(here.login(), left).await, "0");
    let found = Restore.probe(&Bench::params(wanted), &here.test().cx).await.unwrap();
    assert_eq!(found, Probe::Complete(outputs));
    assert_eq!(
        Restore.probe(&Bench::params(json!({ "tables": ["shop.a"] })), &here.test().cx).await.unwrap(),
        Probe::Absent
    );
}

on_both!(a_table_under_another_name_leaves_the_one_that_is_there);
async fn a_table_under_another_name_leaves_the_one_that_is_there(flavour: Flavour) {
    let here = InUse::up(
        flavour,
        &["ALTER TABLE shop.b ADD CONSTRAINT named FOREIGN KEY (id) REFERENCES shop.a (id)"],
    )
    .await;
    let before = here.untouched().await;
    let test = here.test();
    let wanted = json!({ "tables": ["shop.b", "shop.customers"],
        "rename": { "shop.b": "shop.b_before", "shop.customers": "elsewhere.customers_before" } });
    let outputs = Restore.run(&Bench::params(wanted), &test.cx).await.unwrap();
    assert_eq!(outputs.rows, 3);
    assert_eq!(here.untouched().await, before);
    let both = "SELECT CONCAT((SELECT COUNT(*) FROM shop.b), (SELECT COUNT(*) FROM shop.b_before), (SELECT COUNT(*) FROM elsewhere.customers_before))";
    assert_eq!(ask(here.login(), both).await, "012");
    let warnings = test.reporter.warnings().join("\n");
    insta::assert_snapshot!(warnings, @"the triggers of elsewhere.customers_before are not restored: it has another name, and theirs may be taken");
    let foreign = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE TABLE_NAME = 'b_before' AND REFERENCED_TABLE_NAME = 'a'";
    assert_eq!(ask(here.login(), foreign).await, "2");
}

on_both!(a_database_comes_back_beside_or_instead_of_the_one_that_is_there);
async fn a_database_comes_back_beside_or_instead_of_the_one_that_is_there(flavour: Flavour) {
    let here = InUse::up(flavour, &[]).await;
    let refused = here.restore(json!({ "databases": ["shop"] })).await.unwrap_err();
    insta::assert_snapshot!(refused, @"`fresh` holds the database shop");

    let beside = json!({ "databases": ["shop"], "rename": { "shop": "shop_before" } });
    let outputs = here.restore(beside).await.unwrap();
    assert_eq!((outputs.tables, outputs.rows), (5, 7));
    let both = "SELECT CONCAT((SELECT COUNT(*) FROM shop.b), (SELECT COUNT(*) FROM shop_before.b), (SELECT COUNT(*) FROM shop_before.many))";
    assert_eq!(ask(here.login(), both).await, "012");
    let foreign = "SELECT GROUP_CONCAT(DISTINCT UNIQUE_CONSTRAINT_SCHEMA) FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = 'shop_before'";
    assert_eq!(ask(here.login(), foreign).await, "shop_before");

    here.restore(json!({ "databases": ["shop"], "overwrite": true })).await.unwrap();
    assert_eq!(ask(here.login(), both).await, "112");
    let kept = "SELECT CONCAT((SELECT i FROM precious.t), ' ', (SELECT COUNT(*) FROM shop.empty))";
    assert_eq!(ask(here.login(), kept).await, "1 0");
}

on_both!(only_the_part_is_read);
async fn only_the_part_is_read(flavour: Flavour) {
    let here = InUse::up(flavour, &[]).await;
    let object = key("b1", "full.sql.gz");
    let index: DumpIndex =
        serde_json::from_slice(&here.bench.store.object(&key("b1", "full.index.json")).unwrap()).unwrap();
    // Everything else of the object is destroyed.
    let mut bytes = vec![0; usize::try_from(index.object.size_bytes).unwrap()];
    let whole = here.bench.store.object(&object).unwrap();
    let mut needed = 0;
    for member in &index.members {
        if member.table.as_deref() == Some("customers") || member.database.is_none() {
            let begin = usize::try_from(member.offset).unwrap();
            let end = begin + usize::try_from(member.size_bytes).unwrap();
            bytes[begin..end].copy_from_slice(&whole[begin..end]);
            needed += 1;
        }
    }
    here.bench.store.insert(&object, bytes);
    let calls = || {
        let all = here.bench.store.calls();
        all.iter().filter(|(what, key)| *what == Operation::Get && *key == object.to_string()).count()
    };
    let earlier = calls();

    here.restore(json!({ "tables": ["shop.customers"], "overwrite": true })).await.unwrap();

    assert!(calls() - earlier <= needed, "{} reads of {needed} members", calls() - earlier);
    let error = here.restore(json!({ "tables": ["shop.a"], "overwrite": true })).await.unwrap_err();
    assert!(error.message.contains("of table shop.a): its sha256 is"), "{error}");
    // What is there was not touched by the one that failed.
    assert_eq!(ask(here.login(), "SELECT CAST(COUNT(*) AS CHAR) FROM shop.a").await, "1");
}

on_both!(a_database_stays_as_long_as_what_is_to_replace_it_is_not_proven);
async fn a_database_stays_as_long_as_what_is_to_replace_it_is_not_proven(flavour: Flavour) {
    let here = InUse::up(flavour, &[]).await;
    let object = key("b1", "full.sql.gz");
    let index: DumpIndex =
        serde_json::from_slice(&here.bench.store.object(&key("b1", "full.index.json")).unwrap()).unwrap();
    let is_of_shop = |member: &&Member| member.database.as_deref() == Some("shop") && member.table.is_some();
    let last = index.members.iter().rfind(is_of_shop).unwrap();
    let inside = usize::try_from(last.offset + last.size_bytes / 2).unwrap();
    let everything = "SELECT CONCAT((SELECT COUNT(*) FROM shop.b), (SELECT COUNT(*) FROM shop.empty))";
    let before = ask(here.login(), everything).await;

    assert!(here.bench.store.flip_byte(&object, inside));
    let error = here.restore(json!({ "databases": ["shop"], "overwrite": true })).await.unwrap_err();

    let damaged = format!("of table shop.{}): its sha256 is", last.table.as_deref().unwrap());
    assert!(error.message.contains(&damaged), "{error}");
    assert!(error.help.unwrap().starts_with("nothing was replaced; "));
    assert_eq!(ask(here.login(), everything).await, before);
    assert!(here.bench.store.flip_byte(&object, inside));
    here.restore(json!({ "databases": ["shop"], "overwrite": true })).await.unwrap();
}
