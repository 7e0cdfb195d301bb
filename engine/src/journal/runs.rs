//! Where runs live on disk: `<state>/runs/<run>/{plan.json, journal.jsonl, logs/<step>.log}`, `plan-2.json` and so on
//! for runs that went on under another plan, and `approvals/` while people's answers wait for the process that drives
//! the run.

use std::fs::{DirBuilder, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::RunnerIdentity;
use super::file::sync_parent;
use super::{
    Event, FileJournal, JournalError, Lock, LockError, LockOwner, Record, Waiting, file_name, waiting,
};
use crate::host::{Clock, StoreError};
use crate::id::{RunId, StepId};
use crate::plan::{Plan, PlanReadError};

/// Other users have no business with plans and logs.
const PRIVATE: u32 = 0o700;
/// Of the part of an id before its random end: `20261122T173206Z`.
const SECOND_LENGTH: usize = 16;

/// Why a run can't be made or found.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// There is no such run.
    #[error("there is no run `{run}` under {}", folder.display())]
    NotFound {
        /// Which.
        run: RunId,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// There is no such run in the store either.
    #[error("there is no run `{run}` in {store}")]
    NotStored {
        /// Which.
        run: RunId,
        /// Where it was looked for.
        store: String,
    },
    /// The store of the runs said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process of this machine has it in hand.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal can't be read, so nobody knows under which plan the run goes on.
    #[error(transparent)]
    Journal(JournalError),
    /// The plan that the run went on under is not the one that is stored.
    #[error("the stored plan {} is not the one that the run went on under", path.display())]
    OtherPlan {
        /// Its file.
        path: PathBuf,
    },
    /// The stored plan can't be used.
    #[error("the stored plan {} can't be used: {source}", path.display())]
    Plan {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: PlanReadError,
    },
    /// The file system said no.
    #[error("failed to {operation} {}: {source}", path.display())]
    Io {
        /// What.
        operation: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl From<JournalError> for RunsError {
    /// A store that can't be reached is no trouble of the journal's.
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Store(error) => Self::Store(error),
            JournalError::Io { .. }
            | JournalError::Damaged { .. }
            | JournalError::NewerFormat { .. }
            | JournalError::Stopped { .. }
            | JournalError::TakenOver { .. }
            | JournalError::Lost { .. } => Self::Journal(error),
        }
    }
}

/// All runs of a state directory.
#[derive(Debug, Clone)]
pub struct Runs {
    state: PathBuf,
}

/// One run's place on disk.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    id: RunId,
    path: PathBuf,
}

/// Makes a run id: `20261122T153500Z-1f9c`, so that text order is time order.
pub fn new_run_id(clock: &dyn Clock) -> RunId {
    // The standard library seeds every hasher from the system's randomness.
    let random = RandomState::new().hash_one(std::process::id()) & 0xffff;
    RunId(format!("{}-{random:04x}", clock.now().strftime("%Y%m%dT%H%M%SZ")))
}

impl Runs {
    /// Names the state directory. Nothing is made until a run is.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into() }
    }

    /// `<state>/runs`.
    pub fn folder(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// `<state>/locks`, for [`super::LeaseFiles`].
    pub fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// Makes a new run's directory with its plan in it, durable before it returns.
    pub fn create(&self, plan: &Plan, clock: &dyn Clock) -> Result<RunDirectory, RunsError> {
        let folder = self.folder();
        DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE)
            .create(&folder)
            .map_err(io_error("create", &folder))?;
        let run = loop {
            let id = new_run_id(clock);
            let path = folder.join(id.as_str());
            match DirBuilder::new().mode(PRIVATE).create(&path) {
                Ok(()) => break RunDirectory { id, path },
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("create", &path)(error)),
            }
        };
        let logs = run.path.join("logs");
        std::fs::create_dir(&logs).map_err(io_error("create", &logs))?;
        let file = run.plan_path(1);
        write_synced(&file, plan.to_json().as_bytes()).map_err(io_error("write", &file))?;
        sync_parent(&run.path).map_err(io_error("sync", &run.path))?;
        Ok(run)
    }

    /// Lists all runs that have a plan, oldest first.
    pub fn list(&self) -> Result<Vec<RunDirectory>, RunsError> {
        let folder = self.folder();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error("list", &folder)(error)),
        };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io_error("list", &folder))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let run = RunDirectory { id: RunId(name), path: entry.path() };
            // A crash can leave a folder without a plan: no event of it was ever written.
            if run.plan_path(1).is_file() {
                runs.push(run);
            }
        }
        // Ids tell the second; of runs made in the same one, the plan that was written first is the older.
        runs.sort_by_cached_key(|run| {
            let written = std::fs::metadata(run.plan_path(1)).and_then(|found| found.modified()).ok();
            (run.id.as_str().get(..SECOND_LENGTH).map(str::to_owned), written, run.id.clone())
        });
        Ok(runs)
    }

    /// Makes the directory of a run that was begun on another machine, with the text of its plan.
    pub(super) fn adopt(&self, id: &RunId, plan: &[u8]) -> Result<RunDirectory, RunsError> {
        let run = RunDirectory { id: id.clone(), path: self.folder().join(id.as_str()) };
        let logs = run.path.join("logs");
        DirBuilder::new().recursive(true).mode(PRIVATE).create(&logs).map_err(io_error("create", &logs))?;
        run.keep_plan(1, plan)?;
        Ok(run)
    }

    /// Says whether a text can be the id of a run, and so the name of a folder.
    pub(super) fn is_id(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }

    /// Says what a run waits for while nobody drives it. Nothing when there is no such run, or when its journal
    /// can't be read: nobody could go on with it then.
    pub fn waiting(&self, id: &RunId) -> Option<Waiting> {
        waiting(&self.open(id).ok()?.records().ok()?)
    }

    /// Finds one run.
    pub fn open(&self, id: &RunId) -> Result<RunDirectory, RunsError> {
        let folder = self.folder();
        let run = RunDirectory { id: id.clone(), path: folder.join(id.as_str()) };
        if Self::is_id(id.as_str()) && run.plan_path(1).is_file() {
            Ok(run)
        } else {
            Err(RunsError::NotFound { run: id.clone(), folder })
        }
    }
}

impl RunDirectory {
    /// Which run.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its journal stands.
    pub fn journal_path(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Where answers are left for the process that drives the run.
    pub fn approvals_path(&self) -> PathBuf {
        self.path.join("approvals")
    }

    /// Where a step's log stands.
    pub fn log_path(&self, step: &StepId) -> PathBuf {
        self.path.join("logs").join(format!("{}.log", file_name(step.as_str())))
    }

    /// Reads the plan that the run is under: the last one that its journal knows.
    pub fn plan(&self) -> Result<Plan, RunsError> {
        let plans = self.plans()?;
        let count = plans.len();
        // The last one; nobody else has it.
        match plans.into_iter().next_back().and_then(Arc::into_inner) {
            Some(plan) => Ok(plan),
            None => self.stored_plan(count),
        }
    }

    /// Reads all plans that the run was under, oldest first; there is at least one.
    pub fn plans(&self) -> Result<Vec<Arc<Plan>>, RunsError> {
        let mut plans = vec![Arc::new(self.stored_plan(1)?)];
        for record in self.records()? {
            let Event::RunReplanned { plan_hash, .. } = record.event else { continue };
            let number = plans.len() + 1;
            let plan = self.stored_plan(number)?;
            if plan.hash != plan_hash {
                return Err(RunsError::OtherPlan { path: self.plan_path(number) });
            }
            plans.push(Arc::new(plan));
        }
        Ok(plans)
    }

    /// Stores the plan that the run is to go on under, durable before it returns. It counts once the journal says
    /// so: what a crash left without an event is written over. The run's lock must be held.
    /// Gives the plan's number.
    pub fn add_plan(&self, plan: &Plan) -> Result<usize, RunsError> {
        let number = self.plans()?.len() + 1;
        let path = self.plan_path(number);
        write_synced(&path, plan.to_json().as_bytes()).map_err(io_error("write", &path))?;
        Ok(number)
    }

    /// Keeps the text of a plan as it is in the store. The first plan of a run never changes.
    pub(super) fn keep_plan(&self, number: usize, text: &[u8]) -> Result<(), RunsError> {
        let path = self.plan_path(number);
        match std::fs::read(&path) {
            Ok(known) if known == text => Ok(()),
            Ok(_) if number == 1 => Err(RunsError::OtherPlan { path }),
            _ => write_synced(&path, text).map_err(io_error("write", &path)),
        }
    }

    /// Removes a run of which nothing was begun.
    pub fn forget(&self) {
        // What can't be removed has a plan and no event: it is nothing.
        let _ = std::fs::remove_dir_all(&self.path);
    }

    fn stored_plan(&self, number: usize) -> Result<Plan, RunsError> {
        let path = self.plan_path(number);
        let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
        Plan::from_json(&text).map_err(|source| RunsError::Plan { path, source })
    }

    /// Takes the lock that keeps two processes from driving this run.
    pub fn lock(&self, owner: &LockOwner) -> Result<Lock, LockError> {
        Lock::try_acquire(&self.path.join("lock"), &format!("the run {}", self.id), Some(owner))
    }

    /// Gives the process that holds the run's lock, or held it when it was killed.
    pub fn locked_by(&self) -> Option<RunnerIdentity> {
        super::lock::owner_in(&self.path.join("lock")).map(|owner| owner.runner)
    }

    /// Where the children of the process that drives the run are written down.
    pub fn children_path(&self) -> PathBuf {
        self.path.join("children")
    }

    /// Opens the journal to write to it; makes it when the run has none yet. The run's lock must be held.
    pub fn journal(&self, clock: Arc<dyn Clock>) -> Result<FileJournal, JournalError> {
        let path = self.journal_path();
        if path.exists() { FileJournal::open(path, clock) } else { FileJournal::create(path, clock) }
    }

    /// Reads the journal without touching it; empty when the run has none yet.
    pub fn records(&self) -> Result<Vec<Record>, JournalError> {
        let path = self.journal_path();
        if path.exists() { Ok(FileJournal::look(&path)?.records) } else { Ok(Vec::new()) }
    }

    /// Where a plan stands: `plan.json` is the first, `plan-2.json` the one after.
    fn plan_path(&self, number: usize) -> PathBuf {
        self.path.join(Self::plan_name(number))
    }

    pub(super) fn plan_name(number: usize) -> String {
        if number == 1 { "plan.json".to_owned() } else { format!("plan-{number}.json") }
    }
}

/// Whole or not at all, and on disk before it has its name.
fn write_synced(path: &Path, text: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("json.new");
    let mut file = File::create(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_parent(path)
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunsError {
    let path = path.to_owned();
    move |source| RunsError::Io { operation, path, source }
}
