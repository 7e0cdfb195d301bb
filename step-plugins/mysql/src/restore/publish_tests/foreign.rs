//! Dumps that the servers' own clients made: imported in every form, restored side by side.

use std::time::Duration;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::Key;
use rekindle_engine::step::Step as _;
use rekindle_storage::PublishStep;
use serde_json::{Value, json};

use super::super::Restore;
use super::bench::{Bench, ask, bench, gzip, tell};
use super::parallel::{assert_left_alone, heard, kill_half_way, listen, many};
use super::zoo::{assert_same_dumps, servers, zoo_of};
use super::{assert_equal, shop};
use crate::import_dump::ImportDump;
use crate::sandbox::testing::TempServer;
use crate::testing::{client_of, on_both, position_query};

/// The databases of the zoo.
const ZOO: [&str; 3] = ["--databases", "odd.db `❤", "zoo"];

/// Clients print six digits of a `FLOAT`, and MySQL reads their `-0` as 0: more can't come back.
const SIX_DIGITS: &[&str] = &[
    "SET SESSION sql_mode = ''",
    "UPDATE zoo.numbers SET f = CONCAT(f) + 0",
    "UPDATE zoo.floats SET f = CONCAT(f) + 0, g = CONCAT(g) + 0, i = CONCAT(i) + 0",
];

async fn fill_zoo(server: &TempServer) {
    // Rows with a history can't be updated without making more of it.
    let six_digits = |text: &&str| text.replace("1234567", "1234570").replace("7654321", "7654320");
    let zoo: Vec<String> = zoo_of(server.flavour()).iter().map(six_digits).collect();
    tell(server.login(), &zoo.iter().map(String::as_str).collect::<Vec<_>>()).await;
    tell(server.login(), SIX_DIGITS).await;
}

/// Dumps with the server's own client, as people do.
fn dump(server: &TempServer, more: &[&str]) -> Vec<u8> {
    let mut client = client_of(server, "mariadb-dump", "mysqldump");
    client.args(["--single-transaction", "--routines", "--events", "--triggers"]);
    if server.flavour() == Flavour::Mariadb {
        client.arg("--dump-history");
    }
    let done = client.args(more).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// Makes a dump a backup. Gives what the import warns of.
async fn import(bench: &Bench, id: &str, dump: Vec<u8>, more: Value) -> Vec<String> {
    let key = format!("old/{id}");
    bench.store.insert(&Key::new(&key).unwrap(), dump);
    let mut params = json!({
        "from": { "store": "primary", "key": key }, "store": "primary", "id": id, "scope": "databases",
        "taken_at": "2026-11-22T15:00:00Z",
    });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let test = bench.cx();
    ImportDump.run(&serde_json::from_value(params).unwrap(), &test.cx).await.unwrap();
    bench.run(&PublishStep, json!({ "store": "primary", "id": id, "objects": ["full"] })).await;
    test.reporter.warnings()
}

/// Asserts that the two are equal, and that the client says the same of both.
async fn assert_same_zoo(bench: &Bench, source: &TempServer, fresh: &TempServer) {
    assert_equal(bench).await;
    let position: &[&str] = match source.flavour() {
        Flavour::Mariadb => &[],
        Flavour::Mysql => &["--set-gtid-purged=OFF"],
    };
    let options = [position, &["--hex-blob"], &ZOO].concat();
    let said = |server: &TempServer| String::from_utf8(dump(server, &options)).unwrap();
    assert_same_dumps(&said(source), &said(fresh));
}

on_both!(a_foreign_dump_of_the_zoo_comes_back);
async fn a_foreign_dump_of_the_zoo_comes_back(flavour: Flavour) {
    let (source, fresh) = servers(&[], flavour).await;
    fill_zoo(&source).await;
    let bench = bench(source.login(), fresh.login());
    // What it says of the position would be done by who loads it: `CHANGE MASTER TO`, `SET GLOBAL gtid_slave_pos`,
    // `SET @@GLOBAL.GTID_PURGED`.
    let position: &[&str] = match flavour {
        Flavour::Mariadb => &["--master-data", "--gtid"],
        Flavour::Mysql => &[],
    };
    let everything = dump(&source, &[position, &["--all-databases"]].concat());
    let warnings =
        import(&bench, "b1", zstd::encode_all(&everything[..], 1).unwrap(), json!({ "scope": "all" })).await;
    assert_eq!(
        warnings,
        ["the dump has system databases (mysql, sys): they are left out, accounts among them"]
    );

    let test = bench.cx();
    let outputs = Restore.run(&Bench::params(json!({ "parallelism": 4 })), &test.cx).await.unwrap();

    assert_eq!(test.reporter.warnings(), [""; 0]);
    assert_eq!(outputs.gtid, ask(source.login(), position_query(flavour)).await);
    assert_eq!(outputs.gtid, ask(fresh.login(), position_query(flavour)).await);
    assert_same_zoo(&bench, &source, &fresh).await;
    let keeper = "SELECT CAST(COUNT(*) AS CHAR) FROM mysql.user WHERE User = 'keeper'";
    let roles = [ask(source.login(), keeper).await, ask(fresh.login(), keeper).await];
    assert_eq!(roles, ["1", "0"], "accounts are left out");

    // The same of some databases, over those that are there.
    let some = import(&bench, "b2", gzip(&dump(&source, &ZOO)), json!({})).await;
    assert_eq!(some, [""; 0]);
    let again = json!({ "backup": "backup://primary/shop/b2", "overwrite": true, "parallelism": 4 });
    let outputs = Restore.run(&Bench::params(again), &bench.cx().cx).await.unwrap();
    assert_eq!(outputs.gtid, "");
    assert_same_zoo(&bench, &source, &fresh).await;
}

on_both!(a_killed_restore_of_a_foreign_dump_goes_on_after_the_tables_that_are_complete);
async fn a_killed_restore_of_a_foreign_dump_goes_on_after_the_tables_that_are_complete(flavour: Flavour) {
    let (source, fresh) = servers(&[], flavour).await;
    fill_zoo(&source).await;
    tell(source.login(), &many().iter().map(String::as_str).collect::<Vec<_>>()).await;
    let bench = bench(source.login(), fresh.login());
    // It would drop what is loaded already.
    let everything = dump(&source, &["--all-databases", "--add-drop-database"]);
    import(&bench, "b1", gzip(&everything), json!({ "scope": "all" })).await;
    let params = || Bench::params(json!({ "parallelism": 4 }));
    let kept = kill_half_way(&bench, fresh.login(), params()).await;

    Restore.run(&params(), &bench.cx().cx).await.unwrap();

    assert_left_alone(fresh.login(), &kept).await;
    assert_same_zoo(&bench, &source, &fresh).await;
}

on_both!(a_foreign_dump_drops_no_database_that_is_not_replaced);
async fn a_foreign_dump_drops_no_database_that_is_not_replaced(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    let text = dump(&source, &["--add-drop-database", "--databases", "shop"]);
    import(&bench, "b1", text, json!({})).await;
    tell(fresh.login(), &["CREATE DATABASE shop", "CREATE TABLE shop.precious AS SELECT 1 AS i"]).await;

    let beside = json!({ "databases": ["shop"], "rename": { "shop": "shop_before" } });
    Restore.run(&Bench::params(beside), &bench.cx().cx).await.unwrap();

    let both = "SELECT CONCAT((SELECT i FROM shop.precious), (SELECT COUNT(*) FROM shop_before.customers))";
    assert_eq!(ask(fresh.login(), both).await, "12");
}

on_both!(a_foreign_dump_that_names_its_database_in_full_is_not_loaded_beside_it);
async fn a_foreign_dump_that_names_its_database_in_full_is_not_loaded_beside_it(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    let bench = bench(source.login(), fresh.login());
    let text = String::from_utf8(dump(&source, &["--hex-blob", "--databases", "shop"])).unwrap();
    let text = text.replace("INSERT INTO `customers`", "INSERT INTO `shop`.`customers`");
    import(&bench, "b1", text.into_bytes(), json!({})).await;
    tell(fresh.login(), &["CREATE DATABASE shop", "CREATE TABLE shop.customers (id INT)"]).await;

    let beside = json!({ "databases": ["shop"], "rename": { "shop": "shop_before" } });
    let error = Restore.run(&Bench::params(beside), &bench.cx().cx).await.unwrap_err();

    let said = "names the database `shop` in full, and would change that one";
    assert!(error.message.contains(said), "{error}");
    assert_eq!(ask(fresh.login(), "SELECT CAST(COUNT(*) AS CHAR) FROM shop.customers").await, "0");
}

on_both!(a_database_is_not_dropped_for_one_that_the_dump_does_not_make_again);
async fn a_database_is_not_dropped_for_one_that_the_dump_does_not_make_again(flavour: Flavour) {
    let (source, fresh) = shop(flavour).await;
    tell(source.login(), &["CREATE DATABASE zoo", "CREATE TABLE zoo.t AS SELECT 1 AS i"]).await;
    let bench = bench(source.login(), fresh.login());
    let text = dump(&source, &["--skip-comments", "--databases", "shop", "zoo"]);
    // Without comments it does not say whose it is, nor where it ends.
    let version = ask(source.login(), "SELECT VERSION()").await;
    let said = json!({ "allow_missing_trailer": true, "flavour": flavour, "version": version });
    import(&bench, "b1", text, said).await;
    tell(fresh.login(), &["CREATE DATABASE zoo", "CREATE TABLE zoo.precious AS SELECT 1 AS i"]).await;

    let over = json!({ "databases": ["zoo"], "overwrite": true });
    let error = Restore.run(&Bench::params(over), &bench.cx().cx).await.unwrap_err();

    assert!(error.message.contains("the part of the dump that is of `zoo` does not create it"), "{error}");
    assert_eq!(ask(fresh.login(), "SELECT CAST(i AS CHAR) FROM zoo.precious").await, "1");
}

/// A table with an index, and rows for several members.
fn large() -> Vec<String> {
    let mut statements = vec![
        "CREATE DATABASE large".to_owned(),
        "CREATE TABLE large.t (id INT PRIMARY KEY, n INT, pad VARCHAR(250), KEY n (n))".to_owned(),
        "INSERT INTO large.t VALUES (0, 0, REPEAT(SHA2(0, 256), 3))".to_owned(),
    ];
    statements.extend((0..16).map(|power| {
        let more = 1 << power;
        format!(
            "INSERT INTO large.t SELECT id + {more}, id % 7, REPEAT(SHA2(id + {more}, 256), 3) FROM large.t"
        )
    }));
    statements
}

on_both!(what_a_foreign_dump_sets_for_who_loads_it_is_neither_set_nor_left);
async fn what_a_foreign_dump_sets_for_who_loads_it_is_neither_set_nor_left(flavour: Flavour) {
    let (source, fresh) = servers(&[], flavour).await;
    tell(source.login(), &large().iter().map(String::as_str).collect::<Vec<_>>()).await;
    let bench = bench(source.login(), fresh.login());
    let settings = "SELECT CONCAT_WS(' ', @@GLOBAL.innodb_stats_auto_recalc, @@GLOBAL.autocommit)";
    let before = ask(fresh.login(), settings).await;
    // The tables of `mysql` come first: `set autocommit=0` stands before any database that is restored.
    let everything = dump(&source, &["--all-databases", "--no-autocommit"]);
    import(&bench, "b1", everything, json!({ "scope": "all" })).await;
    listen(fresh.login()).await;

    let test = bench.cx();
    let params = Bench::params(json!({ "parallelism": 4 }));
    let patience = Duration::from_mins(1);
    tokio::time::timeout(patience, Restore.run(&params, &test.cx)).await.unwrap().unwrap();

    assert_equal(&bench).await;
    assert_eq!(ask(fresh.login(), settings).await, before);
    // Its rows come over several sessions, and its index is made once they are all there.
    let sessions = heard(fresh.login(), "COUNT(DISTINCT thread_id)", "INSERT INTO `t`%").await;
    assert!(sessions.parse::<u32>().unwrap() > 1, "{sessions}");
    let added = heard(fresh.login(), "GROUP_CONCAT(argument SEPARATOR '; ')", "ALTER TABLE%ADD%").await;
    assert_eq!(added, "ALTER TABLE `large`.`t` ADD KEY `n` (`n`)");
}
