//! Everything that a dump can stumble over, there and back: compared by inventory, by checksums, and by a second dump.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::Step as _;
use serde_json::json;

use super::super::Restore;
use super::assert_equal;
use super::bench::{Bench, bench, key, tell};
use crate::sandbox::testing::{REPLICATION_USER, TempServer};
use crate::testing::{load_by_hand, on_both, processes};

const SETTINGS: &[&str] =
    &["SET NAMES utf8mb4", "SET SESSION sql_mode = ''", "SET SESSION time_zone = '+09:00'"];

/// Every type at its limits.
const VALUES: &[&str] = &[
    "CREATE DATABASE zoo CHARACTER SET utf8mb4",
    "CREATE TABLE zoo.numbers (t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, su SMALLINT UNSIGNED, m MEDIUMINT, \
     mu MEDIUMINT UNSIGNED, i INT, iu INT UNSIGNED, b BIGINT, bu BIGINT UNSIGNED, d DECIMAL(65,30), f FLOAT, \
     r DOUBLE, bits BIT(64), yes BOOL)",
    "INSERT INTO zoo.numbers VALUES (-128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, \
     -99999999999999999999999999999999999.999999999999999999999999999999, -3.4028234663852886e38, -1.7976931348623157e308, b'0', \
     FALSE)",
    "INSERT INTO zoo.numbers VALUES (127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, \
     9223372036854775807, 18446744073709551615, \
     99999999999999999999999999999999999.999999999999999999999999999999, 1.1754943508222875e-38, 2.2250738585072014e-308, \
     x'ffffffffffffffff', TRUE)",
    "INSERT INTO zoo.numbers VALUES (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0.1, 0.1, NULL, NULL)",
    "CREATE TABLE zoo.floats (f FLOAT, g FLOAT(20), h FLOAT(9,4), i FLOAT UNSIGNED, j FLOAT AS (f * 2) STORED, s VARCHAR(9))",
    "INSERT INTO zoo.floats (f, g, h, i, s) VALUES (16777216, 3.1415927, 12345.6789, 16777215, 'a'), \
     (-0e0, 1.401298464324817e-45, -99999.9999, 0.3, 'b'), (NULL, 123456.79, 0.0001, 1e10, ''), (1e-40, 0, 8388.6079, 7, NULL)",
    "CREATE TABLE zoo.times (d DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, t TIME(6), y YEAR)",
    "INSERT INTO zoo.times VALUES ('0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '-838:59:59', 0), \
     ('1000-01-01', '1000-01-01 00:00:00', '1970-01-01 09:00:01', '838:59:59', 1901), \
     ('9999-12-31', '9999-12-31 23:59:59.999999', '2038-01-19 12:14:07.999999', '00:00:00.000001', 2155), \
     ('2026-00-00', '2026-10-25 02:30:00', '2026-10-25 02:30:00', NULL, NULL)",
    "CREATE TABLE zoo.bytes (id INT PRIMARY KEY, fixed BINARY(8), small TINYBLOB, any_of LONGBLOB)",
    r"INSERT INTO zoo.bytes VALUES (1, x'00000a0d001a0000', x'', x'5c275c22003b0a2d2d0a2f2a2a2f'), (2, NULL, NULL, x'00')",
    "INSERT INTO zoo.bytes SELECT 3, 'a', 'b', x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021\
     22232425262728292a2b2c2d2e2f5c7f8081828384858687fbfcfdfeff'",
    "CREATE TABLE zoo.old (t VARCHAR(40), u TEXT) DEFAULT CHARSET = latin1",
    "INSERT INTO zoo.old VALUES (_latin1 x'e9e8fcdfa480', 'ÄÖÜ\\n\\'\\\\'), ('', NULL)",
    "CREATE TABLE zoo.new (t VARCHAR(40) COLLATE utf8mb4_bin, w VARCHAR(20) CHARACTER SET utf16)",
    "INSERT INTO zoo.new VALUES ('🌍 ❤ 한국어', '🌍'), ('-- Dump completed', 'a\\nb')",
    "CREATE TABLE zoo.documents (id INT, d JSON)",
    r#"INSERT INTO zoo.documents VALUES (1, '{"a": [1, 2.5, null, "\\"\\\\ 🌍"]}'), (2, NULL), (3, '[]')"#,
    "CREATE TABLE zoo.choices (e ENUM('', 'it''s', 'b,c'), s SET('x', 'y y') NOT NULL)",
    "INSERT INTO zoo.choices VALUES ('it''s', 'x,y y'), (NULL, ''), ('', 'x')",
    "CREATE TABLE zoo.places (p POINT NOT NULL, g GEOMETRY, SPATIAL INDEX (p))",
    "INSERT INTO zoo.places VALUES (ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('POLYGON((0 0, 0 3, 3 3, 0 0))'))",
    "CREATE TABLE zoo.letters (id INT AUTO_INCREMENT PRIMARY KEY, body TEXT, FULLTEXT INDEX (body)) AUTO_INCREMENT = 1000",
    "INSERT INTO zoo.letters (body) VALUES ('the quick brown fox'), ('jumps')",
    "CREATE TABLE zoo.unused (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 77 COMMENT = 'it''s; \\n-- empty'",
];

/// Definitions that depend on each other, or look like parts of a dump.
const OBJECTS: &[&str] = &[
    "CREATE TABLE zoo.made (a INT, b INT AS (a + 1) STORED, c INT AS (a * 2) VIRTUAL, h INT INVISIBLE DEFAULT 7, \
     CHECK (a > -5), KEY (c))",
    "INSERT INTO zoo.made (a, h) VALUES (1, 2), (2, NULL)",
    "CREATE TABLE zoo.hen (id INT PRIMARY KEY, egg INT, mother INT)",
    "CREATE TABLE zoo.egg (id INT PRIMARY KEY, hen INT, FOREIGN KEY (hen) REFERENCES zoo.hen (id) ON DELETE SET NULL)",
    "INSERT INTO zoo.hen VALUES (1, 1, 1)",
    "INSERT INTO zoo.egg VALUES (1, 1)",
    "ALTER TABLE zoo.hen ADD CONSTRAINT first FOREIGN KEY (egg) REFERENCES zoo.egg (id)",
    "ALTER TABLE zoo.hen ADD FOREIGN KEY (mother) REFERENCES zoo.hen (id)",
    "CREATE TABLE zoo.years (y INT, v INT) PARTITION BY RANGE (y) SUBPARTITION BY HASH (v) SUBPARTITIONS 2 \
     (PARTITION a VALUES LESS THAN (2000), PARTITION b VALUES LESS THAN MAXVALUE)",
    "CREATE TABLE zoo.regions (r VARCHAR(5)) PARTITION BY LIST COLUMNS (r) (PARTITION eu VALUES IN ('de', 'fr'), \
     PARTITION asia VALUES IN ('kr'))",
    "INSERT INTO zoo.years VALUES (1999, 1), (2026, 2)",
    "INSERT INTO zoo.regions VALUES ('kr'), ('de')",
    "CREATE DATABASE `odd.db ``❤`",
    "CREATE TABLE `odd.db ``❤`.`a.b c``d ❤` (`x.y ``z ❤` INT PRIMARY KEY, `select` INT COMMENT 'a ; \\' b')",
    "INSERT INTO `odd.db ``❤`.`a.b c``d ❤` VALUES (1, 2)",
    "CREATE VIEW zoo.z_base AS SELECT id FROM zoo.hen",
    "CREATE VIEW zoo.m_middle AS SELECT id FROM zoo.z_base WHERE id > 0 WITH CHECK OPTION",
    "CREATE SQL SECURITY INVOKER VIEW zoo.a_first AS SELECT m.id, 'it''s;' AS s FROM zoo.m_middle m",
    "CREATE VIEW `odd.db ``❤`.elsewhere AS SELECT id FROM zoo.a_first",
    "CREATE TABLE zoo.seen (what VARCHAR(20))",
    "CREATE TRIGGER zoo.t1 AFTER INSERT ON zoo.hen FOR EACH ROW INSERT INTO zoo.seen VALUES ('one; -- two')",
    "CREATE TRIGGER zoo.t2 AFTER INSERT ON zoo.hen FOR EACH ROW FOLLOWS t1 BEGIN SET @a = 'DELIMITER ;;'; SET @b = 2; END",
    "CREATE TRIGGER zoo.t0 BEFORE UPDATE ON zoo.hen FOR EACH ROW SET NEW.egg = OLD.egg",
    "CREATE PROCEDURE zoo.talks(IN a INT, OUT b VARCHAR(10)) COMMENT 'it''s' BEGIN\n-- Dump completed on 2026-11-22\n\
     /* DELIMITER $$ */\n# USE `mysql`;\nSET b = '-- Table structure for table `x`';\nSET @d = 'DELIMITER ;;';\n\
     IF a > 1 THEN SET b = 'x;;'; END IF;\nEND",
    "CREATE FUNCTION zoo.twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2",
    "CREATE FUNCTION `odd.db ``❤`.`f ``❤`() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE EVENT zoo.daily ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE \
     COMMENT 'a;b' DO BEGIN DELETE FROM zoo.seen; SELECT 1; END",
    "CREATE EVENT zoo.once ON SCHEDULE AT '2037-01-01 00:00:00' DO DELETE FROM zoo.seen",
    "CREATE ROLE keeper",
    "GRANT SELECT, INSERT ON zoo.* TO keeper",
    r#"CREATE USER 'we''ird "u" é'@'10.0.%' IDENTIFIED BY 'p''a"s\\s;-- `❤`'"#,
    r#"GRANT keeper TO 'we''ird "u" é'@'10.0.%'"#,
    r#"GRANT SELECT (id), UPDATE (egg) ON zoo.hen TO 'we''ird "u" é'@'10.0.%'"#,
    r#"GRANT EXECUTE ON PROCEDURE zoo.talks TO 'we''ird "u" é'@'10.0.%'"#,
    "CREATE ROLE chief",
    "GRANT chief TO keeper WITH ADMIN OPTION",
    "CREATE USER bound@'%' IDENTIFIED BY 'x' REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 100 MAX_USER_CONNECTIONS 3 ACCOUNT LOCK",
    "GRANT keeper TO bound@'%' WITH ADMIN OPTION",
    "GRANT SELECT ON zoo.* TO bound@'%' WITH GRANT OPTION",
    "CREATE USER aged@'%' IDENTIFIED BY 'x' REQUIRE SUBJECT '/CN=a b' AND ISSUER '/CN=c' PASSWORD EXPIRE INTERVAL 90 DAY",
];

const MARIADB: &[&str] = &[
    "CREATE SEQUENCE zoo.tickets START WITH 5 INCREMENT BY -3 MINVALUE -100 MAXVALUE 10 CYCLE",
    "DO NEXTVAL(zoo.tickets)",
    "CREATE TABLE zoo.kept (id INT PRIMARY KEY, v INT, a VARCHAR(10) AS (CONCAT('n', v)) PERSISTENT, f FLOAT DEFAULT 1234567) \
     WITH SYSTEM VERSIONING",
    "INSERT INTO zoo.kept (id, v) VALUES (1, 1), (2, 2)",
    "UPDATE zoo.kept SET v = 3 WHERE id = 1",
    "CREATE TABLE zoo.periods (id INT PRIMARY KEY, v INT, f FLOAT DEFAULT 7654321, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE, \
     until TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE, PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING \
     PARTITION BY SYSTEM_TIME (PARTITION old HISTORY, PARTITION now CURRENT)",
    "INSERT INTO zoo.periods (id, v) VALUES (1, 1), (2, 2)",
    "UPDATE zoo.periods SET v = 5",
    "CREATE TABLE zoo.types (u UUID, i INET6)",
    "SET DEFAULT ROLE keeper FOR bound@'%'",
    "INSERT INTO zoo.types VALUES ('123e4567-e89b-12d3-a456-426655440000', '::ffff:10.0.0.1')",
    "SET SESSION sql_mode = 'ORACLE'",
    "CREATE PACKAGE zoo.tools AS FUNCTION one RETURN INT; END",
    "CREATE PACKAGE BODY zoo.tools AS FUNCTION one RETURN INT AS BEGIN RETURN 1; END; END",
];

const MYSQL: &[&str] = &[
    "CREATE TABLE zoo.functional (a JSON, KEY k ((CAST(a->>'$.n' AS UNSIGNED))), d VARCHAR(36) DEFAULT (UUID()))",
    r#"INSERT INTO zoo.functional VALUES ('{"n": 5}', 'x')"#,
    "CREATE TABLE zoo.hidden_index (a INT, KEY h (a) INVISIBLE, KEY d (a DESC))",
    "CREATE TABLE zoo.spots (p POINT NOT NULL SRID 4326, SPATIAL INDEX (p))",
    "SET DEFAULT ROLE keeper TO bound@'%'",
    "INSERT INTO zoo.spots VALUES (ST_GeomFromText('POINT(37.5 127)', 4326))",
];

/// Statements that fill a server of this flavour.
pub(crate) fn zoo_of(flavour: Flavour) -> Vec<&'static str> {
    [SETTINGS, VALUES, OBJECTS, own_of(flavour)].concat()
}

/// What only this flavour has.
fn own_of(flavour: Flavour) -> &'static [&'static str] {
    match flavour {
        Flavour::Mariadb => MARIADB,
        Flavour::Mysql => MYSQL,
    }
}

/// Tables with as many kinds of columns as there are, that have a `FLOAT` too: their rows are not written by the client.
fn beside_a_float() -> Vec<String> {
    ["numbers", "times", "bytes", "old", "new", "documents", "choices", "places", "letters", "unused"]
        .iter()
        .flat_map(|table| {
            let (from, to) = (format!("zoo.{table}"), format!("zoo.`f.{table}`"));
            [
                format!("CREATE TABLE {to} LIKE {from}"),
                format!("ALTER TABLE {to} ADD more FLOAT"),
                format!("INSERT INTO {to} SELECT *, 1234567 FROM {from}"),
            ]
        })
        .collect()
}

/// Leaves out of a dump what differs between any two: comments, positions, and the accounts that
/// each server has of its own.
fn comparable(text: &str) -> Vec<&str> {
    let differs = ["-- ", "/*M!", "CHANGE ", "SET GLOBAL gtid_slave_pos", "SET @@GLOBAL.GTID_PURGED"];
    let is_own = |line: &str| {
        let is_account = ["CREATE USER", "ALTER USER", "GRANT"].iter().any(|verb| line.contains(verb));
        is_account && (line.contains("root") || line.contains(REPLICATION_USER))
    };
    text.lines()
        .filter(|line| !differs.iter().any(|words| line.starts_with(words)) && !is_own(line))
        .collect()
}

pub(super) async fn servers(options: &[&str], flavour: Flavour) -> (TempServer, TempServer) {
    let processes = processes();
    let (source, fresh) = tokio::join!(
        TempServer::start_of(flavour, "source", &processes, options),
        TempServer::start_of(flavour, "fresh", &processes, options)
    );
    (source.unwrap(), fresh.unwrap())
}

async fn assert_comes_back(source: &TempServer, fresh: &TempServer) {
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;
    Restore.run(&Bench::params(json!({})), &bench.cx().cx).await.unwrap();
    assert_equal(&bench).await;
    bench.publish("fresh", "b2").await;
    assert_same_dumps(&bench.text("b1"), &bench.text("b2"));
}

/// Asserts that two dumps say the same.
pub(crate) fn assert_same_dumps(before: &str, after: &str) {
    let (before, after) = (comparable(before), comparable(after));
    let shown = |line: Option<&&str>| line.map(|line| line.chars().take(300).collect::<String>());
    if let Some(at) = (0..before.len().max(after.len())).find(|at| before.get(*at) != after.get(*at)) {
        panic!("line {at}: {:?} became {:?}", shown(before.get(at)), shown(after.get(at)));
    }
}

/// Asserts that what an account of the zoo has to keep to, and what it may hand on, came back.
async fn assert_accounts_come_back(source: &TempServer, fresh: &TempServer) {
    use crate::binlogs::testing::ask;
    let queries = [
        "SHOW CREATE USER bound@'%'",
        "SHOW GRANTS FOR bound@'%'",
        "SHOW GRANTS FOR keeper",
        "SHOW CREATE USER aged@'%'",
    ];
    let mut said = String::new();
    for query in queries {
        let before = ask(source, query).await;
        assert_eq!(ask(fresh, query).await, before, "{query}");
        said.push_str(&before);
    }
    for words in [
        "REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 100 MAX_USER_CONNECTIONS 3",
        "ACCOUNT LOCK",
        "WITH ADMIN OPTION",
        "WITH GRANT OPTION",
        "DEFAULT ROLE `keeper`",
        "SUBJECT '/CN=a b'",
        "PASSWORD EXPIRE INTERVAL 90 DAY",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

on_both!(the_zoo_comes_back);
async fn the_zoo_comes_back(flavour: Flavour) {
    let (source, fresh) = servers(&[], flavour).await;
    let floats = beside_a_float();
    let floats: Vec<&str> = floats.iter().map(String::as_str).collect();
    tell(source.login(), &[SETTINGS, VALUES, &floats, OBJECTS, own_of(flavour)].concat()).await;
    assert_comes_back(&source, &fresh).await;
    assert_accounts_come_back(&source, &fresh).await;
    if flavour == Flavour::Mariadb {
        for table in ["kept", "periods"] {
            let of_all_times = format!("SELECT * FROM zoo.{table} FOR SYSTEM_TIME ALL ORDER BY id, v");
            let before = crate::binlogs::testing::ask(&source, &of_all_times).await;
            assert_eq!(crate::binlogs::testing::ask(&fresh, &of_all_times).await, before);
            assert!(before.lines().count() > 2, "{before}");
        }
    }
}

on_both!(the_zoo_is_loaded_by_hand_with_nothing_but_the_servers_own_client);
async fn the_zoo_is_loaded_by_hand_with_nothing_but_the_servers_own_client(flavour: Flavour) {
    let (source, fresh) = servers(&[], flavour).await;
    tell(source.login(), &zoo_of(flavour)).await;
    let bench = bench(source.login(), fresh.login());
    bench.publish("source", "b1").await;

    load_by_hand(&fresh, &bench.store.object(&key("b1", "full.sql.gz")).unwrap());

    assert_equal(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_large_table_comes_back() {
    let (source, fresh) = servers(&[], Flavour::Mariadb).await;
    let statements = [
        "CREATE DATABASE zoo",
        "CREATE TABLE zoo.long (id INT PRIMARY KEY, v INT, t VARCHAR(2000), KEY (v)) WITH SYSTEM VERSIONING",
        "INSERT INTO zoo.long SELECT seq, 0, REPEAT('x', 1000) FROM zoo.seq_1_to_6000",
        "UPDATE zoo.long SET v = 1",
        "DELETE FROM zoo.long WHERE id > 3000",
    ];
    tell(source.login(), &statements).await;

    assert_comes_back(&source, &fresh).await;

    let count = "SELECT COUNT(*) FROM zoo.long FOR SYSTEM_TIME ALL";
    assert_eq!(crate::binlogs::testing::ask(&fresh, count).await, "12000");
}

on_both!(a_row_of_64_mb_comes_back);
async fn a_row_of_64_mb_comes_back(flavour: Flavour) {
    let log = match flavour {
        Flavour::Mariadb => "--innodb-log-file-size=1G",
        Flavour::Mysql => "--innodb-redo-log-capacity=2G",
    };
    let processes = processes();
    // The other one learns to take it while it is restored.
    let (large_packets, usual) = (["--max-allowed-packet=256M", log], [log]);
    let (source, fresh) = tokio::join!(
        TempServer::start_of(flavour, "source", &processes, &large_packets),
        TempServer::start_of(flavour, "fresh", &processes, &usual)
    );
    let (source, fresh) = (source.unwrap(), fresh.unwrap());
    let large = "INSERT INTO zoo.large VALUES (1, REPEAT(x'00ff0a275c61', 11184811))";
    tell(
        source.login(),
        &["CREATE DATABASE zoo", "CREATE TABLE zoo.large (id INT PRIMARY KEY, b LONGBLOB)", large],
    )
    .await;
    let packet = "SELECT @@GLOBAL.max_allowed_packet";
    let before = crate::binlogs::testing::ask(&fresh, packet).await;
    assert_comes_back(&source, &fresh).await;
    assert_eq!(crate::binlogs::testing::ask(&fresh, packet).await, before);
}

on_both!(three_thousand_tables_come_back);
async fn three_thousand_tables_come_back(flavour: Flavour) {
    let (source, fresh) = servers(
        &["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-flush-method=nosync"],
        flavour,
    )
    .await;
    let tables = (0..3000)
        .map(|n| format!("CREATE TABLE many.t{n} (id INT PRIMARY KEY, v INT) AS SELECT {n} AS id, 1 AS v"));
    let statements: Vec<String> = std::iter::once("CREATE DATABASE many".to_owned()).chain(tables).collect();
    tell(source.login(), &statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_comes_back(&source, &fresh).await;
}
