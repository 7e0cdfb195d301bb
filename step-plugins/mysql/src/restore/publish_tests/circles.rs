//! Tables that refer to each other in a circle: a server waits for itself when they are dropped or altered side by side.

use std::time::Duration;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::Step as _;
use serde_json::json;

use super::super::Restore;
use super::assert_equal;
use super::bench::{Bench, ask, bench, tell};
use crate::sandbox::testing::TempServer;
use crate::testing::{on_both, processes};

const RING: [(&str, &str); 3] = [("a", "b"), ("b", "c"), ("c", "a")];
/// Rows of a table, as a power of two: so many that it has several members.
const DOUBLED: u32 = 16;

fn statements() -> Vec<String> {
    let mut statements = vec!["CREATE DATABASE ring".to_owned(), "SET foreign_key_checks = 0".to_owned()];
    for (table, parent) in RING {
        statements.push(format!(
            "CREATE TABLE ring.{table} (id INT PRIMARY KEY, n INT, pad VARCHAR(250), KEY n (n), KEY pad (pad(20)), \
             FOREIGN KEY (id) REFERENCES ring.{parent} (id)) ENGINE=InnoDB"
        ));
        statements.push(format!("INSERT INTO ring.{table} VALUES (0, 0, REPEAT(SHA2(0, 256), 3))"));
        statements.extend((0..DOUBLED).map(|power| {
            let more = 1 << power;
            format!(
                "INSERT INTO ring.{table} SELECT id + {more}, id % 7, REPEAT(SHA2(id + {more}, 256), 3) FROM ring.{table}"
            )
        }));
    }
    statements
}

on_both!(a_circle_is_loaded_again_over_several_sessions_after_a_kill);
async fn a_circle_is_loaded_again_over_several_sessions_after_a_kill(flavour: Flavour) {
    let processes = processes();
    let (source, fresh) = tokio::join!(
        TempServer::start_of(flavour, "source", &processes, &[]),
        TempServer::start_of(flavour, "fresh", &processes, &[])
    );
    let (source, fresh) = (source.unwrap(), fresh.unwrap());
    let fresh = fresh.login();
    tell(source.login(), &statements().iter().map(String::as_str).collect::<Vec<_>>()).await;
    let bench = bench(source.login(), fresh);
    bench.publish("source", "b1").await;
    let params = || Bench::params(json!({ "parallelism": 4 }));

    // Killed while rows of all of them are on their way.
    for _ in 0..3 {
        let test = bench.cx();
        let running = tokio::spawn(async move { Restore.run(&params(), &test.cx).await });
        let loading = "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'INSERT INTO%'";
        while ask(fresh, loading).await == "0" {
            assert!(!running.is_finished(), "it was too fast to be stopped half way");
        }
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }

    let test = bench.cx();
    let (again, patience) = (params(), Duration::from_mins(2));
    let outputs = tokio::time::timeout(patience, Restore.run(&again, &test.cx)).await.unwrap().unwrap();
    assert_eq!((outputs.tables, outputs.rows), (3, 3 << DOUBLED));
    assert_equal(&bench).await;
}
