//! Servers whose files a test may stop, copy and replace, and backups of them in a memory store.

use std::fs;
use std::sync::Arc;

use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{Flavour, Manifest};
use rekindle_backup::sealed;
use rekindle_engine::environment::{LocalServer, Settings, StoreConfig, Target};
use rekindle_engine::host::Key;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{Step, StepError};
use rekindle_engine::testing::{FakeWorld, MemoryStore, TestContext, context};
use rekindle_storage::{PublishOutputs, PublishStep, VerifyStep};
use serde_json::{Value, json};

use crate::backup_physical::{BackupPhysical, Outputs};
use crate::connection::Login;
use crate::inspect::Inspect;
use crate::restore_physical::{self, RestorePhysical};
use crate::sandbox::testing::TempServer;
use crate::testing::{fill, world_of};

pub(crate) struct Bench {
    pub(crate) world: FakeWorld,
    pub(crate) settings: Settings,
    pub(crate) store: Arc<MemoryStore>,
    flavour: Flavour,
}

/// Makes a world with these servers as targets, whose files are here, and the store `primary`.
pub(crate) fn bench(servers: &[(&str, &TempServer)]) -> Bench {
    let logins: Vec<(&str, &Login)> = servers.iter().map(|(name, server)| (*name, server.login())).collect();
    let (mut world, mut settings) = world_of(&logins);
    world.world.clock = Arc::new(rekindle_host::SystemClock);
    settings.stores.insert("primary".into(), StoreConfig::at("memory:primary"));
    for (name, server) in servers {
        let target = settings.targets.get_mut(&TargetName::from(*name)).unwrap();
        target.local = Some(local(server));
    }
    let store = world.stores.store("memory:primary");
    let flavour = servers.first().map_or(Flavour::Mariadb, |(_, server)| server.flavour());
    Bench { world, settings, store, flavour }
}

/// Says how a server of a test is stopped, and started with the options it has now.
fn local(server: &TempServer) -> LocalServer {
    let folder = server.directory();
    let words = fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    let words = String::from_utf8(words).unwrap();
    let words = words.split('\0').filter(|word| !word.is_empty() && !word.starts_with("--init-file"));
    let line: Vec<String> = words.map(|word| format!("'{word}'")).collect();
    let pid = folder.join("pid");
    let pid = pid.display();
    let start = format!(
        "[ -e {pid} ] && kill -0 $(cat {pid}) 2>/dev/null && exit 0; rm -f {pid}\n\
         setsid {} </dev/null >>{}/server.log 2>&1 &\n\
         for i in $(seq 200); do [ -e {pid} ] && exit 0; sleep 0.1; done; exit 1\n",
        line.join(" "),
        folder.display()
    );
    let stop = format!("[ -e {pid} ] || exit 0; kill $(cat {pid}); while [ -e {pid} ]; do sleep 0.1; done\n");
    let script = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        vec!["sh".to_owned(), path.display().to_string()]
    };
    LocalServer {
        data_dir: folder.join("data").display().to_string(),
        stop: script("stop.sh", stop),
        start: script("start.sh", start),
    }
}

impl Bench {
    pub(crate) fn cx(&self) -> TestContext {
        context(&self.world).settings(self.settings.clone()).build()
    }

    /// Copies the files of the target `source` as a part of the backup `id`.
    pub(crate) async fn copy(&self, id: &str, more: &Value) -> Result<Outputs, StepError> {
        let mut params = json!({ "target": "source", "store": "primary", "name": "base", "id": id });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        BackupPhysical.run(&serde_json::from_value(params).unwrap(), &self.cx().cx).await
    }

    /// Makes a backup of them.
    pub(crate) async fn publish(&self, id: &str, more: Value) -> Outputs {
        let copied = self.copy(id, &more).await.unwrap();
        self.run(&Inspect, json!({ "target": "source", "store": "primary", "id": id })).await.unwrap();
        self.publish_copied(id).await.unwrap();
        copied
    }

    /// Makes a full backup of them: of the running server, or of the stopped one where a hot copy takes xtrabackup.
    pub(crate) async fn publish_full(&self, id: &str) -> Outputs {
        let mode = match self.flavour {
            Flavour::Mariadb => "hot",
            Flavour::Mysql => "cold",
        };
        self.publish(id, json!({ "mode": mode })).await
    }

    pub(crate) async fn publish_copied(&self, id: &str) -> Result<PublishOutputs, StepError> {
        self.run(&PublishStep, json!({ "store": "primary", "id": id, "objects": ["base"] })).await
    }

    pub(crate) async fn verify(&self, id: &str, level: &str) -> Result<(), StepError> {
        let backup = format!("backup://primary/shop/{id}");
        self.run(&VerifyStep, json!({ "backup": backup, "level": level })).await.map(drop)
    }

    /// Restores a backup onto the target `fresh`.
    pub(crate) async fn restore(
        &self,
        id: &str,
        more: Value,
    ) -> Result<restore_physical::Outputs, StepError> {
        RestorePhysical.run(&Self::restoring(id, more), &self.cx().cx).await
    }

    #[allow(clippy::needless_pass_by_value)]
    pub(crate) fn restoring(id: &str, more: Value) -> restore_physical::Params {
        let mut params = json!({ "backup": format!("backup://primary/shop/{id}"), "target": "fresh" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(params).unwrap()
    }

    pub(crate) async fn run<S: Step>(&self, step: &S, params: Value) -> Result<S::Outputs, StepError> {
        step.run(&serde_json::from_value(params).unwrap(), &self.cx().cx).await
    }

    pub(crate) fn target(&mut self, name: &str) -> &mut Target {
        self.settings.targets.get_mut(&TargetName::from(name)).unwrap()
    }

    pub(crate) fn manifest(&self, id: &str) -> Manifest {
        sealed::open(&self.store.object(&key(id, "manifest.json")).unwrap()).unwrap()
    }

    pub(crate) fn data_dir(&self, target: &str) -> std::path::PathBuf {
        let target = &self.settings.targets[&TargetName::from(target)];
        target.local.as_ref().unwrap().data_dir.clone().into()
    }
}

pub(crate) fn key(id: &str, name: &str) -> Key {
    BackupUri { store: "primary".into(), cluster: "shop".into(), id: id.to_owned() }.key(name).unwrap()
}

pub(crate) async fn ask(login: &Login, query: &str) -> String {
    let mut open = login.connect().await.unwrap();
    open.session.row("ask for a test", query).await.unwrap()
}

pub(crate) async fn tell(login: &Login, statements: &[&str]) {
    let mut open = login.connect().await.unwrap();
    fill(&mut open.session, statements).await;
}
