//! A cluster `shop` with two memory stores, and backups in them, for the tests of the step kinds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rekindle_backup::catalogue;
use rekindle_backup::dump::{DumpWriter, WriterOptions, WrittenDump};
use rekindle_backup::layout::{BackupUri, index_name};
use rekindle_backup::manifest::{
    ConsistentPoint, DumpIndex, Flavour, MANIFEST_FORMAT, ObjectEntry, ObjectRole, ServerFacts, Tool,
};
use rekindle_backup::verdict::{Level, Verdict};
use rekindle_engine::environment::{Encrypt, SecretRef, SecretSource, Settings, StoreConfig};
use rekindle_engine::host::{Key, ObjectStore, Secret, StoreError, Stores};
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{ErasedStep, Planned, Preflight, PreflightContext, Registry, Step, StepError};
use rekindle_engine::testing::{self, FakeWorld, MemoryStore, MemoryStores, TestContext};
use serde_json::{Value, json};

use crate::encrypted;
use crate::encrypted::tests::{Pair, encrypt_to, sealed};
use crate::reading::Digest;

pub(crate) struct Shop {
    pub(crate) world: FakeWorld,
    pub(crate) primary: Arc<MemoryStore>,
    pub(crate) offsite: Arc<MemoryStore>,
    /// Rows of the larger table of the dumps to come; each makes about 40 bytes.
    pub(crate) rows: u32,
    pub(crate) settings: Settings,
    registry: Registry,
}

/// Memory stores with the encryption that their configuration asks for.
struct MemoryStoresThatEncrypt(Arc<MemoryStores>);

#[async_trait]
impl Stores for MemoryStoresThatEncrypt {
    async fn open(
        &self,
        config: &StoreConfig,
        identity: Option<Secret>,
    ) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let plain = StoreConfig { encrypt: None, ..config.clone() };
        encrypted::around(self.0.open(&plain, None).await?, config, identity.as_ref())
    }
}

impl Shop {
    pub(crate) fn new() -> Self {
        let mut world = testing::world();
        world.world.stores = Arc::new(MemoryStoresThatEncrypt(Arc::clone(&world.stores)));
        let mut registry = Registry::default();
        crate::register(&mut registry);
        Self {
            primary: world.stores.store("memory:primary"),
            offsite: world.stores.store("memory:offsite"),
            world,
            rows: 200,
            settings: Self::settings(),
            registry,
        }
    }

    pub(crate) fn settings() -> Settings {
        let store = |name: &str| (name.into(), StoreConfig::at(format!("memory:{name}")));
        Settings {
            name: "shop".to_owned(),
            stores: ["primary", "offsite"].map(store).into_iter().collect(),
            ..Settings::default()
        }
    }

    /// Lets a store encrypt from now on, with a secret of its own that reads it.
    pub(crate) fn encrypt(&mut self, store: &str, pair: &Pair) {
        let secret = format!("age-{store}");
        self.world.secrets.set(&secret, pair.secret().expose());
        let source = SecretSource { env: Some("AGE".to_owned()), file: None, command: None };
        self.settings.secrets.insert(secret.as_str().into(), source);
        let identity = Some(SecretRef { secret: secret.as_str().into() });
        let encrypt = Encrypt { identity, ..encrypt_to([pair]) };
        self.settings.stores.get_mut(&StoreName::from(store)).unwrap().encrypt = Some(encrypt);
    }

    /// Opens a store as steps do.
    pub(crate) async fn store(&self, name: &str) -> Arc<dyn ObjectStore> {
        self.context().cx.store(&name.into()).await.unwrap()
    }

    pub(crate) fn context(&self) -> TestContext {
        testing::context(&self.world).settings(self.settings.clone()).build()
    }

    pub(crate) fn preflight_context(&self) -> PreflightContext {
        testing::context(&self.world).settings(self.settings.clone()).preflight([])
    }

    pub(crate) fn kind(&self, kind: &str) -> Arc<dyn ErasedStep> {
        Arc::clone(self.registry.get(kind).unwrap())
    }

    /// Runs a kind with parameters as a runbook gives them.
    pub(crate) async fn run(&self, kind: &str, params: Value) -> Result<Value, StepError> {
        self.run_in(&self.context(), kind, params).await
    }

    pub(crate) async fn run_in(
        &self,
        test: &TestContext,
        kind: &str,
        params: Value,
    ) -> Result<Value, StepError> {
        self.kind(kind).run(&params, &test.cx).await
    }

    pub(crate) async fn preflight<S: Step>(&self, step: &S, params: Value) -> Preflight {
        let typed: S::Params = serde_json::from_value(params.clone()).unwrap();
        step.preflight(&Planned::known(typed, params), &self.preflight_context()).await
    }

    /// Leaves what `mysql.dump` and `mysql.inspect` leave.
    pub(crate) fn dump(&self, id: &str, at: &str) {
        self.put(id, "server.json", &serde_json::to_vec_pretty(&facts()).unwrap());
        for (name, role) in [("full", ObjectRole::Full), ("schema", ObjectRole::Schema)] {
            self.dump_of(id, at, name, role, &sql(id, "shop", &["orders", "items"], role, self.rows));
        }
    }

    fn dump_of(&self, id: &str, at: &str, name: &str, role: ObjectRole, sql: &str) {
        let options =
            WriterOptions { threads: 1, rows: role != ObjectRole::Schema, ..WriterOptions::default() };
        let mut writer = DumpWriter::new(Vec::new(), options).unwrap();
        writer.write(sql.as_bytes()).unwrap();
        let (object, written) = writer.finish().unwrap();
        self.put(id, &format!("{name}.sql.gz"), &object);
        let index = index(name, role, written, at);
        self.put(id, &index_name(name), &serde_json::to_vec_pretty(&index).unwrap());
    }

    /// Leaves a published backup of these databases, or of these tables of `shop`, each in a dump of its own.
    pub(crate) async fn partial(&self, id: &str, at: &str, role: ObjectRole, names: &[&str]) -> BackupUri {
        self.put(id, "server.json", &serde_json::to_vec_pretty(&facts()).unwrap());
        for &name in names {
            let sql = match role {
                ObjectRole::Tables => sql(id, "shop", &[name], role, self.rows),
                _ => sql(id, name, &["orders", "items"], role, self.rows),
            };
            self.dump_of(id, at, name, role, &sql);
        }
        let params = json!({ "store": "primary", "id": id, "objects": names });
        self.run("backup.publish", params).await.unwrap();
        uri(id)
    }

    /// Leaves a published backup whose data are of `at`.
    pub(crate) async fn backup(&self, id: &str, at: &str) -> BackupUri {
        self.dump(id, at);
        let params = json!({ "store": "primary", "id": id, "objects": ["full", "schema"] });
        self.run("backup.publish", params).await.unwrap();
        uri(id)
    }

    /// Leaves a verdict that is younger than any before.
    pub(crate) async fn verdict(&self, id: &str, level: Level, ok: bool) {
        self.world.clock.advance(std::time::Duration::from_secs(1));
        let at = self.now();
        let problems = if ok { Vec::new() } else { vec!["`full.sql.gz` is damaged".to_owned()] };
        let verdict = Verdict { level, ok, at, by_run: "r".into(), problems, drill: None };
        catalogue::store_verdict(&*self.store("primary").await, &uri(id), &verdict).await.unwrap();
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.world.clock.now()
    }

    pub(crate) fn put(&self, id: &str, name: &str, bytes: &[u8]) {
        let encrypt = self.settings.stores[&StoreName::from("primary")].encrypt.as_ref();
        let stored = encrypt.map_or_else(|| bytes.to_vec().into(), |encrypt| sealed(encrypt, bytes));
        self.primary.insert(&key(id, name), stored);
    }

    /// Names the objects of a backup.
    pub(crate) fn objects(&self, id: &str) -> Vec<String> {
        let prefix = uri(id).prefix();
        let keys = self.primary.keys().into_iter();
        keys.filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned)).collect()
    }
}

pub(crate) fn uri(id: &str) -> BackupUri {
    BackupUri { store: "primary".into(), cluster: "shop".into(), id: id.to_owned() }
}

pub(crate) fn key(id: &str, name: &str) -> Key {
    uri(id).key(name).unwrap()
}

fn facts() -> ServerFacts {
    ServerFacts {
        flavour: Flavour::Mariadb,
        version: "10.11.14-MariaDB-log".to_owned(),
        version_comment: "Debian 12".to_owned(),
        server_id: 1,
        server_uuid: None,
        gtid_domain_id: Some(0),
        log_bin: true,
        users: vec!["'root'@'localhost'".to_owned()],
        variables: BTreeMap::new(),
    }
}

/// The tables of a database; `orders` with so many rows that do not compress, all others with seven.
fn sql(id: &str, database: &str, tables: &[&str], role: ObjectRole, rows: u32) -> String {
    let mut text = format!("-- of {id}\nCREATE DATABASE `{database}`;\n\nUSE `{database}`;\n\n");
    for &table in tables {
        let rows = if table == "orders" { rows } else { 7 };
        let _ = write!(
            text,
            "--\n-- Table structure for table `{table}`\n--\n\nCREATE TABLE `{table}` (`id` int, `sum` text);\n\n"
        );
        if role != ObjectRole::Schema {
            let _ =
                write!(text, "--\n-- Dumping data for table `{table}`\n--\n\nINSERT INTO `{table}` VALUES ");
            for row in 0..rows {
                let sum = Digest::of(format!("{id} {row}").as_bytes()).sha256;
                let _ = write!(text, "{}({row},'{sum}')", if row == 0 { "" } else { "," });
            }
            text.push_str(";\n\n");
        }
    }
    text.push_str("-- Dump completed on 2026-11-22 15:00:00\n");
    text
}

fn index(name: &str, role: ObjectRole, written: WrittenDump, at: &str) -> DumpIndex {
    DumpIndex {
        format: MANIFEST_FORMAT,
        object: ObjectEntry {
            name: format!("{name}.sql.gz"),
            size_bytes: written.size_bytes,
            sha256: written.sha256,
            role,
        },
        uncompressed_bytes: written.text_bytes,
        started_at: at.parse().unwrap(),
        consistent_point: ConsistentPoint {
            at: Some(at.parse().unwrap()),
            binlog_file: Some("bin.000002".to_owned()),
            binlog_position: Some(342),
            gtid: Some("0-1-5".to_owned()),
        },
        inventory: written.inventory,
        members: written.members,
        tool: Tool {
            name: "mariadb-dump".to_owned(),
            version: "10.11.14".to_owned(),
            command: String::new(),
        },
        physical: None,
    }
}
