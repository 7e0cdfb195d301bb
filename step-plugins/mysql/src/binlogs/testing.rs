//! What the tests of binary logs share: servers, a memory store, backups, archives and replays.

use std::io::Read as _;
use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use rekindle_backup::binlog::archive::{self, Timeline};
use rekindle_engine::environment::{Settings, StoreConfig};
use rekindle_engine::host::Key;
use rekindle_engine::step::{Preflight, Probe, Step, StepError};
use rekindle_engine::testing::{FakeWorld, MemoryStore, TestContext, context};
use rekindle_storage::PublishStep;
use serde_json::{Value, json};

use crate::archive_binlogs::{ArchiveBinlogs, ArchiveBinlogsOutputs};
use crate::dump::Dump;
use crate::inspect::Inspect;
use crate::replay_binlogs::{ReplayBinlogs, ReplayBinlogsOutputs};
use crate::restore::Restore;
use crate::sandbox::testing::TempServer;
use crate::testing::{fill, world_of};

/// Servers as targets by their names, and the store `primary`.
pub(crate) struct Lab {
    pub(crate) world: FakeWorld,
    pub(crate) settings: Settings,
    pub(crate) store: Arc<MemoryStore>,
}

impl Lab {
    pub(crate) fn of(servers: &[&TempServer]) -> Self {
        let logins: Vec<_> = servers.iter().map(|s| (s.login().target.as_str(), s.login())).collect();
        let (mut world, mut settings) = world_of(&logins);
        world.world.clock = Arc::new(rekindle_host::SystemClock);
        settings.stores.insert("primary".into(), StoreConfig::at("memory:primary"));
        let store = world.stores.store("memory:primary");
        Self { world, settings, store }
    }

    pub(crate) fn cx(&self) -> TestContext {
        context(&self.world).settings(self.settings.clone()).build()
    }

    pub(crate) async fn run<S: Step>(&self, step: &S, params: Value) -> Result<S::Outputs, StepError> {
        step.run(&serde_json::from_value(params).unwrap(), &self.cx().cx).await
    }

    pub(crate) async fn preflight<S: Step>(&self, step: &S, params: Value) -> Preflight {
        let cx = context(&self.world).settings(self.settings.clone()).preflight([]);
        step.preflight(&crate::testing::planned(&params), &cx).await
    }

    pub(crate) async fn archive(&self) -> ArchiveBinlogsOutputs {
        self.try_archive(json!({})).await.unwrap()
    }

    pub(crate) async fn try_archive(&self, more: Value) -> Result<ArchiveBinlogsOutputs, StepError> {
        self.run(&ArchiveBinlogs, with(json!({ "target": "primary", "store": "primary" }), more)).await
    }

    /// Makes the backup `id` of `primary`.
    pub(crate) async fn back_up(&self, id: &str) {
        self.back_up_of("primary", id).await;
    }

    /// Makes the backup `id` of a server.
    pub(crate) async fn back_up_of(&self, target: &str, id: &str) {
        let common = json!({ "target": target, "store": "primary", "id": id });
        self.run(&Inspect, common.clone()).await.unwrap();
        self.run(&Dump, with(common, json!({ "name": "full" }))).await.unwrap();
        let publish = json!({ "store": "primary", "id": id, "objects": ["full"] });
        self.run(&PublishStep, publish).await.unwrap();
    }

    /// Loads the backup `id` into `fresh`.
    pub(crate) async fn restore(&self, id: &str) {
        self.restore_as("fresh", id, json!({})).await.unwrap();
    }

    /// Loads the backup `id` into a server, in place of what it holds.
    pub(crate) async fn restore_as(
        &self,
        target: &str,
        id: &str,
        more: Value,
    ) -> Result<crate::restore::Outputs, StepError> {
        let params = json!({ "backup": uri(id), "target": target, "overwrite": true });
        self.run(&Restore, with(params, more)).await
    }

    pub(crate) async fn manifest(&self, id: &str) -> rekindle_backup::manifest::Manifest {
        rekindle_backup::catalogue::load_manifest(self.store.as_ref(), &uri(id).parse().unwrap())
            .await
            .unwrap()
    }

    /// Replays onto `fresh`, from the backup `b1`.
    pub(crate) async fn replay(&self, more: Value) -> Result<ReplayBinlogsOutputs, StepError> {
        self.run(&ReplayBinlogs, replaying(more)).await
    }

    pub(crate) async fn probe(&self, more: Value) -> Probe<ReplayBinlogsOutputs> {
        let params = serde_json::from_value(replaying(more)).unwrap();
        ReplayBinlogs.probe(&params, &self.cx().cx).await.unwrap()
    }

    pub(crate) async fn preview(&self, more: Value) -> Preflight {
        self.preflight(&ReplayBinlogs, replaying(more)).await
    }

    pub(crate) async fn timelines(&self) -> Vec<Timeline> {
        archive::load(self.store.as_ref(), "shop").await.unwrap()
    }

    /// Every object of the archive, with its bytes; what says how far it is covered left out.
    pub(crate) async fn archived(&self) -> Vec<(String, Vec<u8>)> {
        use rekindle_engine::host::ObjectStore as _;
        let listed = self.store.list("binlogs/").await.unwrap();
        let kept = listed.into_iter().filter(|info| !info.key.as_str().ends_with("covered.json"));
        kept.map(|info| (info.key.to_string(), self.store.object(&info.key).unwrap().to_vec())).collect()
    }

    /// The bytes of an archived log, decompressed.
    pub(crate) fn log(&self, timeline: &Timeline, at: usize) -> Vec<u8> {
        let object = timeline.key.key(&timeline.segments[at].object).unwrap();
        let mut bytes = Vec::new();
        let object = self.store.object(&object).unwrap();
        flate2::read::GzDecoder::new(&object[..]).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Makes an object of the archive another one.
    pub(crate) fn key(timeline: &Timeline, name: &str) -> Key {
        timeline.key.key(name).unwrap()
    }
}

pub(crate) fn uri(id: &str) -> String {
    format!("backup://primary/shop/{id}")
}

fn replaying(more: Value) -> Value {
    with(json!({ "target": "fresh", "backup": uri("b1") }), more)
}

#[allow(clippy::needless_pass_by_value)]
fn with(mut params: Value, more: Value) -> Value {
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params
}

/// Gives the GTID of the transaction so many before the last of a position: `0-1-7`, or `UUID:1-7`.
pub(crate) fn back(position: &str, before: u64) -> String {
    let (first, last) = position.rsplit_once(['-', ':']).unwrap();
    let last: u64 = last.parse().unwrap();
    match position.rsplit_once(':') {
        Some((server, _)) => format!("{server}:{}", last - before),
        None => format!("{first}-{}", last - before),
    }
}

pub(crate) async fn tell(server: &TempServer, statements: &[&str]) {
    let mut open = server.login().connect().await.unwrap();
    fill(&mut open.session, statements).await;
    open.session.close().await;
}

/// Gives everything a query says, as text.
pub(crate) async fn ask(server: &TempServer, query: &str) -> String {
    let mut open = server.login().connect().await.unwrap();
    let rows: Vec<mysql_async::Row> = open.session.conn.query(query).await.unwrap();
    let text = |value: &mysql_async::Value| match value {
        mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.as_sql(false),
    };
    let rows = rows.into_iter().map(|row| row.unwrap().iter().map(text).collect::<Vec<_>>().join("|"));
    let answer = rows.collect::<Vec<_>>().join("\n");
    open.session.close().await;
    answer
}
