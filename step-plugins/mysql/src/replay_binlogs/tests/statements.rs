//! Logs of statements instead of rows: what a session had set comes with them.

use super::objects::assert_same;
use super::*;
use crate::find_in_binlogs::FindInBinlogs;

const TABLES: &[&str] = &[
    "USE shop",
    "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100), l VARCHAR(50) CHARACTER SET latin1, \
     n DATETIME(6), ts TIMESTAMP(6) NULL, r DOUBLE)",
    "CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY, a INT, what VARCHAR(120))",
    "CREATE TRIGGER a_ai AFTER INSERT ON a FOR EACH ROW INSERT INTO b (a, what) VALUES (NEW.id, CONCAT('t ', COALESCE(NEW.v, '')))",
    "CREATE PROCEDURE pr(IN k INT, IN s VARCHAR(20)) BEGIN DECLARE i INT DEFAULT 0; WHILE i < k DO \
     INSERT INTO a (v, r) VALUES (CONCAT(s, i, @x), RAND()); SET i = i + 1; END WHILE; \
     UPDATE b SET what = CONCAT(what, s) WHERE a = k; END",
    "CREATE FUNCTION fn(k INT) RETURNS INT BEGIN INSERT INTO b (a, what) VALUES (k, 'fn'); RETURN k * 2; END",
];

const STATEMENTS: &[&str] = &[
    "USE shop",
    "SET NAMES utf8mb4",
    "INSERT INTO a (v) VALUES ('one'), ('two'), ('three')",
    "INSERT INTO b (a, what) VALUES (LAST_INSERT_ID(), 'last')",
    "SET INSERT_ID = 100",
    "INSERT INTO a (v) VALUES ('hundred')",
    "SET @x = 'it''s ☃', @y = 42, @z = NULL, @d = 1.50, @b = x'00ff27'",
    "INSERT INTO a (v, r) VALUES (@x, @y), (@z, @d)",
    "INSERT INTO a (v) VALUES (HEX(@b))",
    "INSERT INTO a (r) VALUES (RAND()), (RAND(7)), (RAND())",
    "SET time_zone = '-05:30'",
    "INSERT INTO a (n, ts) VALUES (NOW(6), NOW(6)), (CURRENT_TIMESTAMP, '2026-03-29 02:30:00')",
    "SET time_zone = DEFAULT",
    "SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'",
    "INSERT INTO a (\"v\") VALUES ('x' || 'y')",
    "SET sql_mode = 'NO_BACKSLASH_ESCAPES'",
    r"INSERT INTO a (v) VALUES ('back\')",
    r"INSERT INTO a (v) VALUES ('c:\dir\'), ('/*!*/;')",
    "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
    "INSERT INTO b VALUES (0, 0, 'zero')",
    "SET sql_mode = DEFAULT",
    // What a client of that character set would send of these bytes: two letters for each beyond ASCII.
    "SET NAMES latin1",
    "INSERT INTO a (v, l) VALUES ('é', 'é')",
    "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci",
    "INSERT INTO a (v) VALUES ('☃'), (IF('a' = 'A', 'ci', 'cs'))",
    "SET auto_increment_increment = 10, auto_increment_offset = 3",
    "INSERT INTO a (v) VALUES ('inc'), ('inc2')",
    "SET auto_increment_increment = DEFAULT, auto_increment_offset = DEFAULT",
    "CALL pr(3, 'é;')",
    "DO fn(9)",
    "UPDATE a SET r = fn(id) WHERE id < 3",
    "BEGIN",
    "INSERT INTO b (a) VALUES (70)",
    "SAVEPOINT s",
    "INSERT INTO b (a) VALUES (71)",
    "ROLLBACK TO s",
    "INSERT INTO b (a) VALUES (72)",
    "COMMIT",
    "SET foreign_key_checks = 0, unique_checks = 0",
    "INSERT INTO b (a) VALUES (80)",
    "SET foreign_key_checks = 1, unique_checks = 1",
    "SET TIMESTAMP = 1700000000.123456",
    "INSERT INTO a (n) VALUES (NOW(6))",
    "SET TIMESTAMP = DEFAULT",
    "INSERT INTO a (v) VALUES ('several\nlines -- x\nDELIMITER ;\n# at 4'), ('\\0\\Z\"''`')",
    "DELETE FROM b WHERE a < 5 ORDER BY id LIMIT 2",
];

async fn replay_statements(flavour: Flavour, format: &str, more: &[&str]) -> (Lab, TempServer, TempServer) {
    let processes = processes();
    let format = format!("--binlog-format={format}");
    let (berlin, seoul) = (
        ["--default-time-zone=+01:00", "--log-bin-trust-function-creators=ON", &format],
        ["--default-time-zone=+09:00", "--log-bin-trust-function-creators=ON"],
    );
    let (primary, fresh) = tokio::join!(
        TempServer::start_of(flavour, "primary", &processes, &berlin),
        TempServer::start_of(flavour, "fresh", &processes, &seoul)
    );
    let (primary, fresh) = (primary.unwrap(), fresh.unwrap());
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &[&TABLE[..], TABLES].concat()).await;
    lab.back_up("b1").await;
    tell(&primary, STATEMENTS).await;
    tell(&primary, more).await;
    lab.archive().await;
    lab.restore("b1").await;
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    assert_eq!(position(&fresh).await, position(&primary).await);
    assert_same(&lab).await;
    (lab, primary, fresh)
}

on_both!(statements_are_replayed_with_what_their_session_had_set);
async fn statements_are_replayed_with_what_their_session_had_set(flavour: Flavour) {
    let (lab, _primary, _fresh) = replay_statements(flavour, "STATEMENT", &[]).await;
    let params = json!({ "store": "primary", "database": "shop", "table": "b", "deeds": ["delete"] });
    let found = lab.run(&FindInBinlogs, params).await.unwrap();
    assert_eq!(found.statement, "DELETE FROM b WHERE a < 5 ORDER BY id LIMIT 2");
    assert_eq!(found.what, "DELETE shop.b");
}

on_both!(statements_and_rows_in_one_log_are_replayed);
async fn statements_and_rows_in_one_log_are_replayed(flavour: Flavour) {
    replay_statements(flavour, "MIXED", &["INSERT INTO shop.a (v) VALUES (UUID())"]).await;
}

// A MariaDB that is read-only (our fence) logs no statement on a temporary table, so its position stays behind. Fails today:
// "is at 0-1-N after the replay, and should be at 0-1-N+1".
on_both!(a_session_that_ends_with_a_temporary_table_is_replayed_to_the_end);
async fn a_session_that_ends_with_a_temporary_table_is_replayed_to_the_end(flavour: Flavour) {
    let temporary = [
        "CREATE TEMPORARY TABLE shop.tmp (a INT)",
        "INSERT INTO shop.tmp VALUES (1000)",
        "INSERT INTO shop.b (a) SELECT a FROM shop.tmp",
        // As the end of a session logs it, but before `tell` is over.
        "DROP TEMPORARY TABLE IF EXISTS shop.tmp",
    ];
    replay_statements(flavour, "STATEMENT", &temporary).await;
}
