//! What the tests of this crate share: the real processes in a world of fakes otherwise.

use std::sync::Arc;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::environment::{SecretRef, SecretSource, Settings, Target};
use rekindle_engine::host::{Processes, Secret};
use rekindle_engine::step::Planned;
use rekindle_engine::testing::{FakeWorld, world};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::connection::Login;
use crate::sandbox::testing::TempServer;

/// Makes a fact, an `async fn` of a [`Flavour`](rekindle_backup::manifest::Flavour), a test for each of them: `fact::mariadb`
/// and `fact::mysql`. The second runs in the lane of that name.
macro_rules! on_both {
    ($fact:ident) => {
        mod $fact {
            use rekindle_backup::manifest::Flavour;

            #[tokio::test(flavor = "multi_thread")]
            async fn mariadb() {
                super::$fact(Flavour::Mariadb).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn mysql() {
                super::$fact(Flavour::Mysql).await;
            }
        }
    };
}
pub(crate) use on_both;

/// Starts a server of this flavour.
pub(crate) async fn server_of(flavour: Flavour, name: &str) -> TempServer {
    TempServer::start_of(flavour, name, &processes(), &[]).await.unwrap()
}

/// Gives the real processes, without a reaper.
pub(crate) fn processes() -> Arc<dyn Processes> {
    Arc::new(rekindle_host::SystemProcesses::new(None))
}

/// Makes a world with real processes, and settings with these servers as targets, each with a secret of its
/// own; the first one's is `root` too.
pub(crate) fn world_of(servers: &[(&str, &Login)]) -> (FakeWorld, Settings) {
    let mut fake = world();
    fake.world.processes = processes();
    let mut settings = Settings { name: "shop".to_owned(), ..Settings::default() };
    let source = || SecretSource { env: Some("FAKE".to_owned()), file: None, command: None };
    for (name, login) in servers {
        let secret = format!("secret-of-{name}");
        let password = login.password.as_ref().map_or("", Secret::expose);
        fake.secrets.set(&secret, password);
        settings.secrets.insert(secret.as_str().into(), source());
        if settings.targets.is_empty() {
            fake.secrets.set("root", password);
            settings.secrets.insert("root".into(), source());
        }
        let target = Target {
            host: login.host.clone(),
            port: login.port,
            user: login.user.clone(),
            password: Some(SecretRef { secret: secret.as_str().into() }),
            tls: login.tls.clone(),
            local: None,
        };
        settings.targets.insert((*name).into(), target);
    }
    (fake, settings)
}

/// Makes parameters that are all known.
pub(crate) fn planned<P: DeserializeOwned>(params: &Value) -> Planned<P> {
    Planned::known(serde_json::from_value(params.clone()).unwrap(), params.clone())
}

/// Statements that make a small shop with one of everything, in names that need quoting.
pub(crate) const SHOP: &[&str] = &[
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(50), picture VARBINARY(20))",
    "INSERT INTO shop.customers VALUES (1, 'Zoë 🌍', x'00ff'), (2, 'it''s \\\\ me', NULL)",
    "CREATE TABLE shop.`odd``na.me` (id INT PRIMARY KEY, customer INT, \
     FOREIGN KEY (customer) REFERENCES shop.customers (id))",
    "INSERT INTO shop.`odd``na.me` VALUES (1, 1), (2, 1), (3, 2)",
    "CREATE TABLE shop.empty (id INT)",
    "CREATE VIEW shop.names AS SELECT name FROM shop.customers",
    "CREATE TRIGGER shop.keep BEFORE DELETE ON shop.customers FOR EACH ROW SET @kept = OLD.id",
    "CREATE PROCEDURE shop.tidy() DELETE FROM shop.empty",
    "CREATE FUNCTION shop.one() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE EVENT shop.nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.empty WHERE id < 0",
    "CREATE SEQUENCE shop.numbers",
    "CREATE DATABASE `empty-one`",
    "CREATE DATABASE rekindle_restore",
];

/// Gives [`SHOP`] as far as this flavour has it: sequences are MariaDB's.
pub(crate) fn shop_of(flavour: Flavour) -> Vec<&'static str> {
    known_to(flavour, SHOP)
}

/// Leaves out the statements that only MariaDB knows.
pub(crate) fn known_to(flavour: Flavour, statements: &[&'static str]) -> Vec<&'static str> {
    let is_known = |statement: &&&str| {
        flavour == Flavour::Mariadb || !statement.contains("SEQUENCE") && !statement.contains("NEXTVAL")
    };
    statements.iter().filter(is_known).copied().collect()
}

/// Asks for the position of a server's binary log.
pub(crate) fn position_query(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Mariadb => "SELECT @@GLOBAL.gtid_binlog_pos",
        Flavour::Mysql => "SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')",
    }
}

/// Runs statements.
pub(crate) async fn fill(session: &mut crate::connection::Session, statements: &[&str]) {
    for statement in statements {
        session.run("fill a test's server", statement).await.unwrap();
    }
}

/// Gives a client program of a server's flavour, logged in there: the first name is MariaDB's.
pub(crate) fn client_of(server: &TempServer, mariadb: &str, mysql: &str) -> std::process::Command {
    let login = server.login();
    let mut client = std::process::Command::new(match server.flavour() {
        Flavour::Mariadb => mariadb,
        Flavour::Mysql => mysql,
    });
    client
        .args(["--no-defaults", "-h127.0.0.1", "-uroot"])
        .arg(format!("-P{}", login.port))
        .env("MYSQL_PWD", login.password.as_ref().unwrap().expose());
    client
}

/// Loads a dump by hand, as RESTORE.txt says.
pub(crate) fn load_by_hand(server: &TempServer, object: &[u8]) {
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut rekindle_backup::dump::GzipText::new(object), &mut text).unwrap();
    let mut client =
        client_of(server, "mariadb", "mysql").stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut client.stdin.take().unwrap(), &text).unwrap();
    assert!(client.wait().unwrap().success());
}
