//! A primary with replicas, of either flavour, started by the program itself.

use std::path::{Path, PathBuf};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use rekindle_backup::manifest::Flavour;

use super::{Answer, Project};

/// A password that breaks everything that quotes carelessly.
pub(crate) const CANARY: &str = r#"k4n'a"ry $HOME \$(id) `x` #1"#;

/// Servers in a project's folder; stopped when dropped.
pub(crate) struct Cluster {
    pub(crate) project: Project,
    flavour: Flavour,
    ports: Vec<u16>,
}

impl Cluster {
    /// Starts a primary of MariaDB and so many replicas.
    pub(crate) fn up(replicas: usize) -> Self {
        Self::up_of(Flavour::Mariadb, replicas)
    }

    /// Starts a primary of this flavour and so many replicas.
    pub(crate) fn up_of(flavour: Flavour, replicas: usize) -> Self {
        let project = Project::new();
        project.write("password", CANARY);
        let count = replicas.to_string();
        let mut cluster = Self { project, flavour, ports: Vec::new() };
        let name = match flavour {
            Flavour::Mariadb => "mariadb",
            Flavour::Mysql => "mysql",
        };
        let up = ["sandbox", "up", "box", "--flavour", name, "--replicas", &count];
        cluster.run(&[&up[..], &["--password-file", "password"]].concat()).success();
        let environment = std::fs::read_to_string(cluster.environment()).unwrap();
        cluster.ports = environment
            .lines()
            .filter_map(|line| line.split_once("port: ")?.1.split(',').next()?.parse().ok())
            .collect();
        assert_eq!(cluster.ports.len(), replicas + 1, "{environment}");
        cluster
    }

    /// Starts the servers of a cluster without replicas again: one that was killed goes on, one that is gone is made
    /// anew.
    pub(crate) fn up_again(&self) {
        self.run(&["sandbox", "up", "box"]).success();
    }

    /// Gives the environment's file.
    pub(crate) fn environment(&self) -> PathBuf {
        self.project.path().join("box/environments/sandbox.yaml")
    }

    /// Gives the folder of a store: `store` or `offsite`.
    pub(crate) fn store(&self, name: &str) -> PathBuf {
        self.project.path().join("box").join(name)
    }

    /// Gives the folder of a server: `primary`, `replica-0`.
    pub(crate) fn server(&self, name: &str) -> PathBuf {
        self.project.path().join("box/servers").join(name)
    }

    /// Runs a command line in the project's folder.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        self.project.run(args)
    }

    /// Runs a command line with `-e` for this cluster.
    pub(crate) fn with_environment(&self, args: &[&str]) -> Answer {
        let environment = self.environment();
        let mut all = args.to_vec();
        all.extend(["-e", environment.to_str().unwrap()]);
        self.run(&all)
    }

    /// Gives a server's port: 0 is the primary.
    pub(crate) fn port(&self, server: usize) -> u16 {
        self.ports[server]
    }

    /// Connects: 0 is the primary.
    pub(crate) async fn connect(&self, server: usize) -> Conn {
        self.try_connect(server).await.unwrap()
    }

    /// Connects to a server that may not answer.
    pub(crate) async fn try_connect(&self, server: usize) -> mysql_async::Result<Conn> {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.ports[server])
            .user(Some("root"))
            .pass(Some(CANARY))
            .prefer_socket(false);
        Conn::new(options).await
    }

    /// Runs statements on the primary.
    pub(crate) async fn sql(&self, statements: &[&str]) {
        let mut conn = self.connect(0).await;
        for statement in statements {
            conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Makes a small shop: two tables, a view, a trigger, and so many rows.
    pub(crate) async fn fill(&self, rows: u32) {
        // A hint of MySQL's, which MariaDB takes for a comment.
        let hint = format!("/*+ SET_VAR(cte_max_recursion_depth = {rows}) */");
        let numbers = self.numbers(rows);
        self.sql(&[
            "CREATE DATABASE shop CHARACTER SET utf8mb4",
            "CREATE TABLE shop.customer (id INT PRIMARY KEY, name VARCHAR(100), raw VARBINARY(64)) ENGINE=InnoDB",
            "CREATE TABLE shop.counter (id INT PRIMARY KEY, n INT) ENGINE=InnoDB",
            "INSERT INTO shop.counter VALUES (1, 0)",
            "CREATE TRIGGER shop.counts AFTER INSERT ON shop.customer FOR EACH ROW UPDATE shop.counter SET n = n + 1",
            &format!(
                "INSERT INTO shop.customer SELECT {hint} seq, CONCAT('😀 it''s ; ', SHA2(seq, 256)), UNHEX(SHA2(seq, 256)) FROM {numbers}"
            ),
            "CREATE VIEW shop.names AS SELECT name FROM shop.customer",
        ])
        .await;
    }

    /// Gives a table with the column `seq` from 1 to `rows`, for `FROM`.
    fn numbers(&self, rows: u32) -> String {
        match self.flavour {
            Flavour::Mariadb => format!("shop.seq_1_to_{rows}"),
            Flavour::Mysql => format!(
                "(WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < {rows}) \
                 SELECT seq FROM n) AS numbers"
            ),
        }
    }

    /// Gives checksum and row count of every table of `shop`.
    pub(crate) async fn checksums(&self, server: usize) -> Vec<(String, u64, u64)> {
        let mut conn = self.connect(server).await;
        let tables: Vec<String> = conn
            .query("SELECT table_name FROM information_schema.tables WHERE table_schema='shop' AND table_type='BASE TABLE' ORDER BY 1")
            .await
            .unwrap();
        let mut all = Vec::new();
        for table in tables {
            let (_, checksum): (String, u64) =
                conn.query_first(format!("CHECKSUM TABLE shop.{table} EXTENDED")).await.unwrap().unwrap();
            let rows: u64 =
                conn.query_first(format!("SELECT COUNT(*) FROM shop.{table}")).await.unwrap().unwrap();
            all.push((table, checksum, rows));
        }
        all
    }

    /// Kills the primary with -9 and deletes its data.
    pub(crate) fn destroy_primary(&self) {
        let server = self.server("primary");
        kill(server_pid(&server));
        std::fs::remove_dir_all(server).unwrap();
    }
}

/// Reads a sandbox's pid.
pub(crate) fn server_pid(server: &Path) -> i32 {
    rekindle_mysql::sandbox::server_pid(server).unwrap()
}

/// Kills a process with -9 and waits until it is gone.
pub(crate) fn kill(pid: i32) {
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    match rustix::process::kill_process(process, rustix::process::Signal::KILL) {
        // Ended by itself meanwhile.
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("{error}"),
    }
    let gone =
        || !std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while !gone() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The test's own failure is the news; the servers must go in any case.
        let _ = self.project.command(&["sandbox", "down", "box"]).output();
    }
}
