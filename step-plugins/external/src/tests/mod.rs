//! Plugins that behave and misbehave, as real processes.

mod conforming;
mod describing;
mod misbehaving;
mod stopping;
mod working;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_engine::host::World;
use rekindle_engine::step::{ErasedStep, ErrorClass, Problem, Registry, StepError};
use rekindle_engine::testing::{self, FakeWorld, TestContext};
use rekindle_host::{SystemClock, SystemProcesses};
use serde_json::{Value, json};

use crate::{Found, Start, register, search};

const KIND: &str = "test.fixture";

/// A folder with one plugin in it.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// The fixture, behaving in some way.
    fn new(mode: &str) -> Self {
        Self::with(&include_str!("fixture.py").replace("@MODE@", mode))
    }

    fn with(text: &str) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        lab.write(text);
        lab
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("rekindle-step-{KIND}"))
    }

    /// Writes the plugin anew: never into a file that is being executed.
    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    fn found(&self) -> Vec<Found> {
        search(&[self.folder.path().to_owned()]).unwrap()
    }

    fn registry(&self) -> Registry {
        let start: Start = Arc::new(|| Ok((Arc::new(SystemProcesses::new(None)), Arc::new(SystemClock))));
        let mut registry = Registry::default();
        register(&mut registry, self.found(), &start);
        registry
    }

    #[track_caller]
    fn step(&self) -> Arc<dyn ErasedStep> {
        let registry = self.registry();
        registry.get(KIND).cloned().unwrap_or_else(|| panic!("{:?}", registry.refusal(KIND)))
    }

    fn refusal(&self) -> Problem {
        self.registry().refusal(KIND).cloned().unwrap()
    }

    /// Runs the plugin once and gives its error.
    async fn error(&self) -> StepError {
        let (step, test) = (self.step(), context());
        let error = step.run(&params(), &test.cx).await.unwrap_err();
        assert_eq!(children_of(&self.path()), Vec::<i32>::new());
        error
    }
}

fn params() -> Value {
    json!({ "text": "hello", "token": { "secret": "any" } })
}

/// A world with real processes and real time, and a secret.
fn world() -> FakeWorld {
    let mut world = testing::world();
    world.secrets.set("any", "s3cr3t");
    let processes = Arc::new(SystemProcesses::new(None));
    world.world = World { processes, clock: Arc::new(SystemClock), ..world.world };
    world
}

fn settings() -> rekindle_engine::environment::Settings {
    serde_json::from_value(json!({
        "name": "test",
        "targets": { "primary": { "host": "h", "port": 3306, "user": "u", "password": { "secret": "any" } } },
        "secrets": { "any": { "env": "ANY" } },
    }))
    .unwrap()
}

fn context() -> TestContext {
    testing::context(&world()).settings(settings()).build()
}

fn told(error: &StepError) -> String {
    let class = match error.class {
        ErrorClass::Transient => "transient",
        ErrorClass::Permanent => "permanent",
        ErrorClass::Cancelled => "cancelled",
    };
    format!("{class}: {}\nhelp: {}", error.message, error.help.as_deref().unwrap_or("none"))
}

/// Lists the processes that run this plugin.
fn children_of(plugin: &std::path::Path) -> Vec<i32> {
    let plugin = plugin.to_str().unwrap();
    let runs = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|words| String::from_utf8_lossy(&words).contains(plugin))
    };
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(runs).collect()
}

fn is_alive(pid: i32) -> bool {
    rekindle_host::ProcStat::read(pid).is_ok_and(|stat| stat.is_live())
}

/// Waits for the first line of a step's log.
async fn first_log(test: &TestContext) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(line) = test.reporter.logs().first() {
            return line.clone();
        }
        assert!(Instant::now() < deadline, "the plugin never said anything");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
