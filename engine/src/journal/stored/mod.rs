//! Runs in an object store, so that a run can be resumed when the machine that began it is gone.
//!
//! ```text
//! runs/plans/<run>/plan.json, plan-2.json, …   as in a run's directory
//! runs/events/<run>/000000000001.jsonl          the events that were written together, by the number of the first
//! runs/locks/<group>.lease                      who holds a concurrency group
//! ```
//!
//! The store is the truth. The run's directory on this machine holds a copy of plans and journal, from which
//! everything is read; the steps' logs are in the directory of the machine that ran them. Each batch of events is
//! created only if absent: of two runners that both believe to drive the run one is refused, before its next effect.

mod copy;
mod events;
mod leases;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::runs::{RunDirectory, Runs, RunsError};
use super::{Fence, Lock, LockError};
use crate::host::{Body, Clock, Key, ObjectStore, PutMode, StoreError, StoreErrorKind};
use crate::id::RunId;
use crate::plan::Plan;

pub use events::StoreJournal;
pub use leases::StoreLeases;

/// Everything of runs lies below it: plans, events and locks.
pub const JOURNALS: &str = "runs/";
const PLANS: &str = "runs/plans/";
/// The most that one object of a run is read of: a plan of 10,000 steps has some 20 MB.
const LIMIT_BYTES: usize = 256 << 20;
/// How often somebody who is to write the copy tries to get its lock, and how long it rests between.
const TRIES: u32 = 600;
const REST: Duration = Duration::from_millis(5);

/// The runs in a store, and their copies in a state directory. Cheap to clone.
#[derive(Clone)]
pub struct StoredRuns {
    store: Arc<dyn ObjectStore>,
    copies: Runs,
}

impl StoredRuns {
    /// Names both places.
    pub fn new(store: Arc<dyn ObjectStore>, copies: Runs) -> Self {
        Self { store, copies }
    }

    /// Gives the store's URL.
    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// Gives the store.
    pub fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    /// Makes a new run: its plan in the store, and a directory on this machine.
    ///
    /// # Errors
    /// When either can't be written; nothing is left then.
    pub async fn create(&self, plan: &Plan, clock: &dyn Clock) -> Result<RunDirectory, RunsError> {
        loop {
            let run = self.copies.create(plan, clock)?;
            match self.put_plan(run.id(), 1, plan, PutMode::IfAbsent).await {
                Ok(()) => return Ok(run),
                Err(error) => {
                    run.forget();
                    // Another machine made a run with the same random end in the same second.
                    if error.kind != StoreErrorKind::AlreadyExists {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    /// Takes back a run of which nothing was begun.
    pub async fn forget(&self, run: &RunDirectory) {
        run.forget();
        if let Ok(key) = plan_key(run.id(), 1) {
            // A plan without an event is nothing; what stays is only untidy.
            let _ = self.store.delete(&key).await;
        }
    }

    /// Lists the runs that are in the store, oldest first.
    ///
    /// # Errors
    /// When the store can't be listed.
    pub async fn list(&self) -> Result<Vec<RunId>, RunsError> {
        let objects = self.store.list(PLANS).await?;
        let mut runs: Vec<RunId> = objects.iter().filter_map(|object| run_of(&object.key)).collect();
        runs.dedup();
        Ok(runs)
    }

    /// Brings this machine's copy of a run up to date, and gives it. A copy that a process of this machine writes is
    /// left to it.
    ///
    /// # Errors
    /// When the store has no such run or can't be read, and when store and copy contradict each other.
    pub async fn fetch(&self, run: &RunId) -> Result<RunDirectory, RunsError> {
        if let Ok(directory) = self.copies.open(run) {
            match copy_lock(&directory) {
                Ok(_lock) => self.update(&directory).await?,
                Err(LockError::Held { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            return Ok(directory);
        }
        let not_found = || RunsError::NotStored { run: run.clone(), store: self.url().to_owned() };
        let first = plan_key(run, 1).map_err(|_| not_found())?;
        let text = self.read(&first).await?.ok_or_else(not_found)?;
        let directory = self.copies.adopt(run, &text)?;
        let _lock = patiently(&directory).await?;
        self.update(&directory).await?;
        Ok(directory)
    }

    /// Stores the plan that the run is to go on under, as [`RunDirectory::add_plan`] does.
    ///
    /// # Errors
    /// When either place can't be written.
    pub async fn add_plan(&self, run: &RunDirectory, plan: &Plan) -> Result<(), RunsError> {
        let number = run.add_plan(plan)?;
        Ok(self.put_plan(run.id(), number, plan, PutMode::Replace).await?)
    }

    /// Opens a run's journal to write to it. The group of the run must be held; `fence` tells whether it still is.
    ///
    /// # Errors
    /// As [`StoredRuns::fetch`].
    pub async fn journal(
        &self,
        run: &RunDirectory,
        fence: Arc<dyn Fence>,
        clock: Arc<dyn Clock>,
    ) -> Result<StoreJournal, RunsError> {
        let lock = patiently(run).await?;
        self.update(run).await?;
        let copy = run.journal(Arc::clone(&clock))?;
        Ok(StoreJournal::new(Arc::clone(&self.store), run.id().clone(), copy, (fence, clock), lock))
    }

    /// Gives the leases of concurrency groups in the store.
    pub fn leases(&self) -> StoreLeases {
        StoreLeases::new(Arc::clone(&self.store))
    }

    /// Adds to the copy what the store has beyond it. The copy's lock must be held.
    async fn update(&self, run: &RunDirectory) -> Result<(), RunsError> {
        let news = copy::news(&self.store, run).await?;
        // After the events: the plan that one of them names is there before it.
        let prefix = format!("{PLANS}{}/", run.id());
        for object in self.store.list(&prefix).await? {
            let Some(number) = object.key.as_str().strip_prefix(&prefix).and_then(plan_number) else {
                continue;
            };
            if let Some(text) = self.read(&object.key).await? {
                run.keep_plan(number, &text)?;
            }
        }
        Ok(copy::add(run, &news)?)
    }

    async fn put_plan(
        &self,
        run: &RunId,
        number: usize,
        plan: &Plan,
        mode: PutMode,
    ) -> Result<(), StoreError> {
        let key = plan_key(run, number).map_err(|error| self.no_key(&error))?;
        self.store.put(&key, Body::from_bytes(plan.to_json()), mode).await.map(drop)
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        read(self.store.as_ref(), key).await
    }

    fn no_key(&self, error: &crate::host::KeyError) -> StoreError {
        StoreError {
            kind: StoreErrorKind::Invalid,
            store: self.url().to_owned(),
            operation: "write",
            key: error.key.clone(),
            why: error.why.to_owned(),
        }
    }
}

/// Reads a whole object; nothing when there is none.
async fn read(store: &dyn ObjectStore, key: &Key) -> Result<Option<Bytes>, StoreError> {
    let body = match store.get(key, None).await {
        Ok(body) => body,
        Err(error) if error.kind == StoreErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match body.collect(LIMIT_BYTES).await {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) => Err(StoreError {
            kind: match error.kind() {
                std::io::ErrorKind::InvalidData => StoreErrorKind::Corrupt,
                _ => StoreErrorKind::Unavailable,
            },
            store: store.url().to_owned(),
            operation: "read",
            key: key.to_string(),
            why: error.to_string(),
        }),
    }
}

/// Keeps other processes of this machine from writing the same copy.
fn copy_lock(run: &RunDirectory) -> Result<Lock, LockError> {
    Lock::try_acquire(&run.path().join("copy.lock"), &format!("the copy of run {}", run.id()), None)
}

/// As [`copy_lock`], and waits for somebody who is bringing the copy up to date.
async fn patiently(run: &RunDirectory) -> Result<Lock, LockError> {
    for _ in 0..TRIES {
        match copy_lock(run) {
            Err(LockError::Held { .. }) => tokio::time::sleep(REST).await,
            other => return other,
        }
    }
    copy_lock(run)
}

fn plan_key(run: &RunId, number: usize) -> Result<Key, crate::host::KeyError> {
    Key::new(format!("{PLANS}{run}/{}", RunDirectory::plan_name(number)))
}

fn plan_number(name: &str) -> Option<usize> {
    let number = match name.strip_prefix("plan")?.strip_suffix(".json")? {
        "" => 1,
        after => after.strip_prefix('-')?.parse().ok()?,
    };
    (RunDirectory::plan_name(number) == name).then_some(number)
}

fn run_of(key: &Key) -> Option<RunId> {
    let (run, _) = key.as_str().strip_prefix(PLANS)?.split_once('/')?;
    Runs::is_id(run).then(|| run.into())
}
