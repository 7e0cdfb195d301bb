//! A backup of the schema alone, made and brought back by runbooks of the user's own.

use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;
use rekindle_mysql::inventory::is_user_database;

use crate::support::{Cluster, on_both};

const BACK_UP: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: back-up-schema
version: 1.0.0
summary: Back up what a server is like, without a row of it.
defaults: { timeout: 5m }
steps:
  - id: schema
    uses: mysql.dump
    with: { target: primary, store: primary, name: schema, scope: schema-only }
  - id: facts
    uses: mysql.inspect
    with: { target: primary, store: primary }
  - id: publish
    uses: backup.publish
    needs: [schema, facts]
    with: { store: primary, objects: [schema] }
  - id: verify
    uses: backup.verify
    with: { backup: "{{ steps.publish.outputs.uri }}", level: content }
"#;

const RESTORE: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: restore-schema
version: 1.0.0
summary: Bring back what a server was like, without a row of it.
concurrency: { group: "recover/{{ environment.cluster }}", on_conflict: fail }
defaults: { timeout: 5m }
steps:
  - id: find
    uses: backup.find
    phase: plan
    with: { store: primary, kind: logical, covers: anything, verified: true }
  - id: restore
    uses: mysql.restore
    with: { backup: "{{ steps.find.outputs.uri }}", object: schema.sql.gz, target: primary }
"#;

/// Everything that a schema can have besides what the shop has already, across two databases, and an account.
const OBJECTS: [&str; 11] = [
    "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL, at TIMESTAMP NULL, KEY (at), \
     CONSTRAINT whose FOREIGN KEY (customer) REFERENCES shop.customer (id)) ENGINE=InnoDB",
    "INSERT INTO shop.orders (customer) VALUES (1), (2)",
    "CREATE VIEW shop.a_later_one AS SELECT name FROM shop.names",
    "CREATE PROCEDURE shop.tidy() DELETE FROM shop.orders WHERE at IS NULL",
    "CREATE FUNCTION shop.twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2",
    "CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO DELETE FROM shop.orders",
    "CREATE DATABASE crm",
    "CREATE TABLE crm.lead (id INT PRIMARY KEY)",
    "INSERT INTO crm.lead VALUES (1), (2)",
    "CREATE VIEW crm.buyers AS SELECT id FROM shop.customer",
    "CREATE USER app@'%' IDENTIFIED BY 'secret'",
];

/// What a server has of its users: a kind, a database, a name in it, and the definition.
type Held = (String, String, String, String);

async fn held(cluster: &Cluster) -> Vec<Held> {
    let mut conn = cluster.connect(0).await;
    let mut held: Vec<Held> = Vec::new();
    for query in [
        "SELECT 'table', TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES",
        "SELECT 'column', TABLE_SCHEMA, CONCAT(TABLE_NAME, '.', COLUMN_NAME), CONCAT(COLUMN_TYPE, ' ', COLUMN_KEY, ' ', EXTRA) \
         FROM information_schema.COLUMNS",
        "SELECT 'index', TABLE_SCHEMA, CONCAT(TABLE_NAME, '.', INDEX_NAME), COLUMN_NAME FROM information_schema.STATISTICS",
        "SELECT 'foreign key', CONSTRAINT_SCHEMA, CONSTRAINT_NAME, CONCAT(TABLE_NAME, ' ', REFERENCED_TABLE_NAME) \
         FROM information_schema.REFERENTIAL_CONSTRAINTS",
        "SELECT 'view', TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS",
        "SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, CONCAT(EVENT_OBJECT_TABLE, ' ', ACTION_STATEMENT) \
         FROM information_schema.TRIGGERS",
        "SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION FROM information_schema.ROUTINES",
        "SELECT 'event', EVENT_SCHEMA, EVENT_NAME, CONCAT(STATUS, ' ', EVENT_DEFINITION) FROM information_schema.EVENTS",
    ] {
        // A server's own may have no definition.
        let all: Vec<(String, String, String, Option<String>)> = conn.query(query).await.unwrap();
        held.extend(all.into_iter().map(|(kind, of, name, what)| (kind, of, name, what.unwrap_or_default())));
    }
    held.retain(|(_, database, ..)| is_user_database(database));
    held.sort();
    held
}

async fn count(cluster: &Cluster, from: &str) -> u64 {
    let mut conn = cluster.connect(0).await;
    conn.query_first(format!("SELECT COUNT(*) FROM {from}")).await.unwrap().unwrap()
}

on_both!(a_backup_of_the_schema_alone_brings_back_everything_but_rows_and_accounts);
async fn a_backup_of_the_schema_alone_brings_back_everything_but_rows_and_accounts(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(100).await;
    cluster.sql(&OBJECTS).await;
    if flavour == Flavour::Mariadb {
        cluster.sql(&["CREATE SEQUENCE shop.tickets START WITH 5"]).await;
    }
    let before = held(&cluster).await;
    for kind in ["table", "foreign key", "view", "trigger", "PROCEDURE", "FUNCTION", "event"] {
        assert!(before.iter().any(|one| one.0 == kind), "no {kind} in {before:?}");
    }
    cluster.project.write("back-up-schema.yaml", BACK_UP);
    cluster.project.write("restore-schema.yaml", RESTORE);

    cluster.with_environment(&["run", "./back-up-schema.yaml", "--yes"]).success();
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    assert_eq!(listed[0]["covers"], "schema", "{listed}");
    let whole = cluster.with_environment(&["plan", "disaster-recovery"]).code(2);
    assert!(whole.stderr.contains("it holds only the schema"), "{}", whole.stderr);
    cluster.destroy_primary();
    cluster.up_again();
    assert!(held(&cluster).await.is_empty());
    cluster.with_environment(&["run", "./restore-schema.yaml", "--yes"]).success();

    assert_eq!(held(&cluster).await, before);
    for (table, _, rows) in cluster.checksums(0).await {
        assert_eq!(rows, 0, "{table}");
    }
    assert_eq!(count(&cluster, "crm.lead").await, 0);
    assert_eq!(count(&cluster, "mysql.user WHERE user = 'app'").await, 0);
    assert_eq!(count(&cluster, "(SELECT 1) AS one WHERE @@GLOBAL.read_only").await, 0, "the fence is down");
}

on_both!(one_database_comes_back_without_its_rows_under_another_name_and_touches_no_other);
async fn one_database_comes_back_without_its_rows_under_another_name_and_touches_no_other(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(50).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    // `fill` names its database in full: made as it stands, the trigger would come back where nobody asked for it.
    cluster.sql(&["DROP TRIGGER shop.counts"]).await;
    let before = cluster.checksums(0).await;
    let sets = ["--set", "database=shop", "--set", "as=shop_new", "--set", "schema_only=true"];
    cluster.with_environment(&[&["run", "restore-database", "--yes"][..], &sets].concat()).success();

    let triggers =
        |database: &str| format!("information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{database}'");
    assert_eq!(count(&cluster, &triggers("shop")).await, 0);
    assert_eq!(count(&cluster, &triggers("shop_new")).await, 1);
    assert_eq!(cluster.checksums(0).await, before);
    for table in ["customer", "counter", "names"] {
        assert_eq!(count(&cluster, &format!("shop_new.{table}")).await, 0, "{table}");
    }
}
