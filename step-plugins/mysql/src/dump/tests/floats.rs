//! Columns whose text would lose digits.

use super::checksums::{in_words_of_mariadb, open, without_lock};
use super::*;
use crate::checksum::add_checksums;
use crate::testing::load_by_hand;

const FLOATS: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.a (id INT PRIMARY KEY AUTO_INCREMENT, f FLOAT NOT NULL, t TEXT) ENGINE=InnoDB",
    "CREATE TABLE shop.b (f FLOAT, d DOUBLE) ENGINE=InnoDB",
    "CREATE TABLE shop.c (id INT PRIMARY KEY) ENGINE=InnoDB",
    "INSERT INTO shop.a (f, t) VALUES (16777216, REPEAT('x', 300))",
    "INSERT INTO shop.b VALUES (3.1415927, 3.1415926535897931), (NULL, NULL)",
    "INSERT INTO shop.c VALUES (1)",
];

/// Doubles the rows so many times; each has other digits.
async fn grow(session: &mut crate::connection::Session, times: u32) {
    for _ in 0..times {
        let double = "INSERT INTO shop.a (f, t) SELECT f + id + 0.1, t FROM shop.a";
        session.run("grow", double).await.unwrap();
    }
}

on_both!(a_float_comes_back_with_all_its_digits_while_others_write);
async fn a_float_comes_back_with_all_its_digits_while_others_write(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    let mut session = open(&server, FLOATS).await;
    grow(&mut session, 13).await;
    let writing = tokio::spawn(async move {
        loop {
            let write = "INSERT INTO shop.a (f) VALUES (RAND() * 1e7)";
            let change = "UPDATE shop.b SET f = RAND() * 1e7";
            session.run("write", write).await.unwrap();
            session.run("write", change).await.unwrap();
        }
    });
    let bench = bench(Some(&server)).await;

    let outputs = Dump.run(&params(json!({ "checksums": true })), &bench.test.cx).await.unwrap();
    writing.abort();

    assert_eq!(bench.test.reporter.warnings(), Vec::<String>::new());
    let object = bytes(&bench.store, &outputs.object).await;
    let text = text(&object);
    assert!(text.contains("(1,16777216,'xxx"), "{}", &text[..4000]);
    assert!(text.contains("INSERT INTO `c` VALUES"), "what loses nothing is as the client writes it");
    assert!(text.matches("INSERT INTO `a` (`id`, `f`, `t`) VALUES").count() > 1);
    let index: DumpIndex = serde_json::from_slice(&bytes(&bench.store, &outputs.index).await).unwrap();
    let restored = server_of(flavour, "restored").await;
    load_by_hand(&restored, &object);
    let mut session = open(&restored, &[]).await;
    let mut found = crate::inventory::read(&mut session).await.unwrap();
    add_checksums(&mut session, &mut found, |_, _| {}).await.unwrap();
    assert_eq!(index.inventory.compare(&found), []);
}

on_both!(it_does_so_without_checksums_too);
async fn it_does_so_without_checksums_too(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    open(&server, FLOATS).await.close().await;
    let bench = bench(Some(&server)).await;

    let outputs = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap();

    assert!(text(&bytes(&bench.store, &outputs.object).await).contains("(1,16777216,"));
    assert_eq!(outputs.checksums, 0);
}

on_both!(a_column_that_loses_digits_all_the_same_is_named);
async fn a_column_that_loses_digits_all_the_same_is_named(flavour: Flavour) {
    let old = "CREATE TABLE shop.old (f FLOAT, g FLOAT(7,3)) ENGINE=MyISAM";
    let (_server, login) = without_lock(flavour, &[FLOATS, &[old]].concat()).await;
    let bench = bench_as(Some(&login)).await;

    let outputs = Dump.run(&params(json!({})), &bench.test.cx).await.unwrap();

    assert!(text(&bytes(&bench.store, &outputs.object).await).contains("(1,16777200,"));
    let warnings = bench.test.reporter.warnings().join("\n");
    insta::assert_snapshot!(in_words_of_mariadb(&warnings), @"
    shop.old (MyISAM) may be dumped in another state than the rest: one transaction does not cover their engines
    of the FLOAT columns shop.old.f the backup gets six digits, as the client prints them: one transaction does not cover the engines of their tables
    of the FLOAT columns shop.a.f, shop.b.f the backup gets six digits, as the client prints them: `primary` refused to stop commits for a moment: error 1227 (42000): Access denied; you need (at least one of) the RELOAD privilege(s) for this operation
    ");
}

on_both!(a_schema_alone_asks_for_no_digits);
async fn a_schema_alone_asks_for_no_digits(flavour: Flavour) {
    let server = server_of(flavour, "primary").await;
    open(&server, FLOATS).await.close().await;
    let bench = bench(Some(&server)).await;

    Dump.run(&params(json!({ "scope": "schema-only" })), &bench.test.cx).await.unwrap();

    assert_eq!(bench.test.reporter.warnings(), Vec::<String>::new());
}
