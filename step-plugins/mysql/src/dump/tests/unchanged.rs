//! Tables that are changed while they are dumped.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rekindle_engine::host::{
    CommandSpec, ExitReport, PrivateFile, ProcessError, Processes, RunningProcess, Secret, TerminateReason,
};

use super::*;
use crate::dump::unchanged::HELP;

/// Real processes, in which something happens as soon as the client has written a word.
struct Meanwhile {
    real: Arc<dyn Processes>,
    word: &'static str,
    happens: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Processes for Meanwhile {
    fn start(&self, spec: &CommandSpec) -> Result<Box<dyn RunningProcess>, ProcessError> {
        let real = self.real.start(spec)?;
        let is_dump = !spec.args.iter().any(|arg| arg == "--version");
        let happens = if is_dump { self.happens.lock().unwrap().take() } else { None };
        Ok(Box::new(Interrupted { real, word: self.word, happens }))
    }

    fn start_detached(&self, spec: &CommandSpec, log: &Path) -> Result<i32, ProcessError> {
        self.real.start_detached(spec, log)
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        self.real.find(program)
    }

    fn private_file(&self, contents: &Secret) -> io::Result<Box<dyn PrivateFile>> {
        self.real.private_file(contents)
    }
}

struct Interrupted {
    real: Box<dyn RunningProcess>,
    word: &'static str,
    happens: Option<Box<dyn FnOnce() + Send>>,
}

impl RunningProcess for Interrupted {
    fn take_stdout(&mut self) -> Option<Box<dyn Read + Send>> {
        let real = self.real.take_stdout()?;
        Some(Box::new(Output { real, word: self.word, seen: Vec::new(), happens: self.happens.take() }))
    }

    fn process_group(&self) -> i32 {
        self.real.process_group()
    }

    fn terminator(&self) -> Arc<dyn Fn(TerminateReason, Duration) + Send + Sync> {
        self.real.terminator()
    }

    fn wait(self: Box<Self>) -> Result<ExitReport, ProcessError> {
        self.real.wait()
    }
}

struct Output {
    real: Box<dyn Read + Send>,
    word: &'static str,
    seen: Vec<u8>,
    happens: Option<Box<dyn FnOnce() + Send>>,
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.real.read(buffer)?;
        if self.happens.is_some() {
            self.seen.extend_from_slice(&buffer[..length]);
            if String::from_utf8_lossy(&self.seen).contains(self.word) {
                self.happens.take().unwrap()();
            }
        }
        Ok(length)
    }
}

/// The first table is larger than what lies between a client and the end of its output.
const TABLES: &[&str] = &[
    "CREATE DATABASE one",
    "CREATE TABLE one.a (id INT PRIMARY KEY, t LONGBLOB)",
    "INSERT INTO one.a VALUES (1, REPEAT('x', 1000000)), (2, REPEAT('x', 1000000)), (3, REPEAT('x', 1000000))",
    "CREATE TABLE one.b (id INT PRIMARY KEY)",
    "INSERT INTO one.b VALUES (1)",
    "CREATE TABLE one.z (id INT PRIMARY KEY, v INT)",
    "INSERT INTO one.z VALUES (1, 1), (2, 2)",
    "CREATE DATABASE two",
    "CREATE TABLE two.z (id INT PRIMARY KEY, v INT)",
    "INSERT INTO two.z VALUES (1, 1), (2, 2)",
];

async fn until_looked(session: &mut crate::connection::Session) {
    let query = "SELECT 1 FROM mysql.general_log WHERE CONVERT(argument USING utf8mb4) LIKE '%= ''one'' AND table%= ''z''' LIMIT 1";
    while session.first::<u8>("wait", query).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}

/// Dumps a server while statements are run, as soon as the client has written a word.
async fn while_dumped(
    server: &TempServer,
    word: &'static str,
    statements: &[&'static str],
) -> (Bench, Result<DumpOutputs, StepError>) {
    let mut bench = bench(Some(server)).await;
    let (login, handle, statements) =
        (server.login().clone(), tokio::runtime::Handle::current(), statements.to_vec());
    let change = async move {
        let mut session = login.connect().await.unwrap().session;
        for statement in statements {
            if statement == LOOKED {
                until_looked(&mut session).await;
            } else {
                session.run("change it", statement).await.unwrap();
            }
        }
        session.close().await;
    };
    let happens = Box::new(move || handle.block_on(change));
    bench.world.world.processes =
        Arc::new(Meanwhile { real: processes(), word, happens: Mutex::new(Some(happens)) });
    let settings = bench.test.cx.settings().clone();
    bench.test = context(&bench.world).step("full").settings(settings).build();
    let result = Dump.run(&params(json!({})), &bench.test.cx).await;
    (bench, result)
}

async fn with_tables(flavour: Flavour) -> TempServer {
    let server = server_of(flavour, "primary").await;
    let mut session = server.login().connect().await.unwrap().session;
    for statement in TABLES {
        session.run("be filled", statement).await.unwrap();
    }
    session.close().await;
    server
}

on_both!(a_table_that_changes_before_it_is_read_fails_the_dump);
async fn a_table_that_changes_before_it_is_read_fails_the_dump(flavour: Flavour) {
    let server = with_tables(flavour).await;
    let in_place: &[&[&str]] = &[
        &["ALTER TABLE one.z ADD COLUMN n INT DEFAULT 5"],
        &["ALTER TABLE two.z ADD COLUMN n INT DEFAULT 5"],
        &["ALTER TABLE two.z DROP COLUMN v", "ALTER TABLE two.z ADD COLUMN v INT"],
        &["ALTER TABLE two.z ENGINE = MyISAM", "ALTER TABLE two.z ENGINE = InnoDB"],
        &["TRUNCATE TABLE one.z"],
        &["TRUNCATE TABLE two.z"],
        &["RENAME TABLE two.z TO two.old", "CREATE TABLE two.z LIKE two.old"],
        &["RENAME TABLE one.z TO one.zz"],
        &["RENAME TABLE two.z TO two.zz"],
        &["RENAME TABLE two.zz TO one.zz2"],
        &["DROP TABLE two.old"],
        &["DROP DATABASE two"],
    ];
    for statements in in_place {
        let (bench, result) = while_dumped(&server, "INSERT INTO `a`", statements).await;

        let error = result.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{statements:?}: {error}");
        assert_eq!(error.help.as_deref(), Some(HELP), "{statements:?}: {error}");
        assert!(!names(&bench.store).await.iter().any(|name| name.ends_with("index.json")), "{statements:?}");
    }
}

/// Waits until the third table was looked at, so that the first and the second are done with.
const LOOKED: &str = "wait for the look at one.z";

on_both!(a_table_that_changes_after_it_was_looked_at_does_no_harm);
async fn a_table_that_changes_after_it_was_looked_at_does_no_harm(flavour: Flavour) {
    let server = with_tables(flavour).await;
    let more = [
        "CREATE TABLE two.a (id INT PRIMARY KEY, t LONGTEXT)",
        "INSERT INTO two.a VALUES (1, REPEAT('x', 1000000)), (2, REPEAT('x', 1000000)), (3, 'the end of it')",
        "SET GLOBAL log_output = 'TABLE'",
        "SET GLOBAL general_log = ON",
    ];
    let mut session = server.login().connect().await.unwrap().session;
    for statement in more {
        session.run("be filled", statement).await.unwrap();
    }

    let statements = [LOOKED, "ALTER TABLE one.a ADD COLUMN n INT DEFAULT 5", "DROP TABLE one.b"];
    let (_, result) = while_dumped(&server, "the end of it", &statements).await;

    let outputs = result.unwrap();
    assert_eq!((outputs.tables, outputs.rows), (5, 3 + 1 + 2 + 3 + 2));
}
