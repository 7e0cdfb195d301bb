//! Two servers, a memory store, and backups of them.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::Manifest;
use rekindle_backup::sealed;
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::host::Key;
use rekindle_engine::step::Step;
use rekindle_engine::testing::{FakeWorld, MemoryStore, TestContext, context};
use rekindle_storage::PublishStep;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::connection::Login;
use crate::dump::Dump;
use crate::inspect::Inspect;
use crate::restore::Params;
use crate::restore::marker::{self, Stage};
use crate::testing::{fill, world_of};

pub(super) struct Bench {
    pub(super) world: FakeWorld,
    pub(super) settings: Settings,
    pub(super) store: Arc<MemoryStore>,
}

/// Makes a world with the targets `source` and `fresh` and the store `primary`.
pub(super) fn bench(source: &Login, fresh: &Login) -> Bench {
    let (mut world, mut settings) = world_of(&[("source", source), ("fresh", fresh)]);
    world.world.clock = Arc::new(rekindle_host::SystemClock);
    settings.stores.insert("primary".into(), StoreConfig::at("memory:primary"));
    let store = world.stores.store("memory:primary");
    Bench { world, settings, store }
}

impl Bench {
    pub(super) fn cx(&self) -> TestContext {
        context(&self.world).settings(self.settings.clone()).build()
    }

    /// Parameters for loading the backup `b1` into `fresh`, as a runbook gives them.
    pub(super) fn json(more: &Value) -> Value {
        let mut params = json!({ "backup": "backup://primary/shop/b1", "target": "fresh" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    }

    #[allow(clippy::needless_pass_by_value)]
    pub(super) fn params(more: Value) -> Params {
        serde_json::from_value(Self::json(&more)).unwrap()
    }

    /// Makes a backup of a target.
    pub(super) async fn publish(&self, target: &str, id: &str) {
        let common = json!({ "target": target, "store": "primary", "id": id });
        self.run(&Inspect, common.clone()).await;
        let mut dump = common;
        dump["name"] = json!("full");
        self.run(&Dump, dump).await;
        self.run(&PublishStep, json!({ "store": "primary", "id": id, "objects": ["full"] })).await;
    }

    pub(super) async fn run<S: Step>(&self, step: &S, params: Value) {
        if let Err(error) = step.run(&serde_json::from_value(params).unwrap(), &self.cx().cx).await {
            panic!("{}: {error}", S::KIND);
        }
    }

    /// The SQL text of a backup.
    pub(super) fn text(&self, id: &str) -> String {
        let object = self.store.object(&key(id, "full.sql.gz")).unwrap();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&object[..]).read_to_string(&mut text).unwrap();
        text
    }

    pub(super) fn manifest(&self, id: &str) -> Manifest {
        sealed::open(&self.store.object(&key(id, "manifest.json")).unwrap()).unwrap()
    }

    pub(super) fn put_manifest(&self, id: &str, manifest: &Manifest) {
        self.store.insert(&key(id, "manifest.json"), sealed::seal(manifest).unwrap());
    }

    /// Makes another text the one that the manifest of `b1` speaks of.
    pub(super) fn put_text(&self, text: &str) {
        let bytes = gzip(text.as_bytes());
        let mut manifest = self.manifest("b1");
        let object = manifest.objects.iter_mut().find(|object| object.name == "full.sql.gz").unwrap();
        object.size_bytes = bytes.len() as u64;
        object.sha256 = hex::encode(Sha256::digest(&bytes));
        self.put_manifest("b1", &manifest);
        self.store.insert(&key("b1", "full.sql.gz"), bytes);
    }

    /// How far the marker of a target says that a restore is.
    pub(super) async fn stage(&self, target: &str) -> Option<Stage> {
        let mut server = crate::connection::Server::open(&self.cx().cx, &target.into()).await.unwrap();
        marker::read(&mut server).await.unwrap().map(|marker| marker.stage)
    }
}

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

pub(super) fn key(id: &str, name: &str) -> Key {
    BackupUri { store: "primary".into(), cluster: "shop".into(), id: id.to_owned() }.key(name).unwrap()
}

pub(super) async fn ask(login: &Login, query: &str) -> String {
    let mut open = login.connect().await.unwrap();
    open.session.row("ask for a test", query).await.unwrap()
}

pub(super) async fn tell(login: &Login, statements: &[&str]) {
    let mut open = login.connect().await.unwrap();
    fill(&mut open.session, statements).await;
}

/// What a restore puts back at its end.
pub(super) async fn state(login: &Login) -> String {
    let mut open = login.connect().await.unwrap();
    let query = "SELECT CONCAT('read_only ', IF(@@GLOBAL.read_only, 'ON', 'OFF'), ', events ', @@GLOBAL.event_scheduler)";
    let state: String = open.session.row("ask for a test", query).await.unwrap();
    let logs: Vec<mysql_async::Row> = open.session.rows("ask for a test", "SHOW BINARY LOGS").await.unwrap();
    format!("{state}, {} binary logs", logs.len())
}
