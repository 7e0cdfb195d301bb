//! Where runs are: the state directory of this machine, and the store of journals when the environment names one.

use std::path::Path;
use std::sync::Arc;

use rekindle_engine::diagnostic::Diagnostic;
use rekindle_engine::environment::Settings;
use rekindle_engine::host::World;
use rekindle_engine::id::RunId;
use rekindle_engine::journal::{
    Event, Fence, Journal, LeaseFiles, LeaseStore, Outcome, Record, RunDirectory, Runs, RunsError, StoredRuns,
};
use rekindle_engine::plan::{Group, Plan};
use rekindle_engine::runbook::OnConflict;
use rekindle_engine::step::open_store;
use rekindle_storage::conditions::{self, ConditionsError};

use crate::failure::Failure;
use crate::project::{EnvironmentArg, load_environment};
use crate::{output, world};

const OUT_OF_REACH: &str = "the journal is kept in this store: bring it within reach, and nothing is lost";

const NO_CONDITIONS: &str = "two runners could both hold a lock there; keep journals in a store that heeds `If-None-Match` \
     and `If-Match`, as Amazon S3, Google Cloud Storage, MinIO and folders do, or leave out `journal:` to keep them on \
     this machine";

/// Where runs are kept. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Place {
    runs: Runs,
    stored: Option<StoredRuns>,
}

/// A run that a command is about, and where it is kept.
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) directory: RunDirectory,
}

/// Where else than in the state directory a run may be.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Elsewhere {
    /// The environment of a run that was begun on another machine: its journal's store is asked too
    #[arg(short, long, value_name = "ENV", env = "REKINDLE_ENVIRONMENT", global = true)]
    pub(crate) environment: Option<String>,
}

/// What a command wants of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// To know how it goes: what this machine knows is better than nothing.
    Look,
    /// To go on with it: only the truth will do.
    Drive,
}

impl Place {
    /// Finds out from an environment where its runs are.
    pub(crate) async fn of(state_dir: &Path, settings: &Settings, world: &World) -> Result<Self, Failure> {
        Self::with(Runs::new(state_dir), settings, world).await
    }

    /// Finds out from an environment where else than on this machine its runs are.
    pub(crate) async fn with(runs: Runs, settings: &Settings, world: &World) -> Result<Self, Failure> {
        let Some(journal) = &settings.journal else { return Ok(Self { runs, stored: None }) };
        let store = open_store(world, settings, &journal.store).await.map_err(|error| {
            let help = error.help.clone().unwrap_or_else(|| OUT_OF_REACH.to_owned());
            Failure::input(error.to_string()).help(help)
        })?;
        Ok(Self { stored: Some(StoredRuns::new(store, runs.clone())), runs })
    }

    /// Proves that the store of journals heeds the conditions of writes: else two runners could both hold a lock.
    pub(crate) async fn prove_conditions(&self) -> Result<(), Failure> {
        let Some(stored) = &self.stored else { return Ok(()) };
        conditions::prove(stored.store()).await.map_err(|error| match error {
            ConditionsError::Store(error) => failed(&error.into()),
            ConditionsError::Ignored { .. } => {
                let unfit = Diagnostic::new("rekindle::store::no_conditions", error.to_string());
                vec![unfit.help(NO_CONDITIONS)].into()
            }
        })
    }

    /// Gives all runs that have not come to their end, as far as they can be read.
    pub(crate) async fn unfinished(&self) -> Result<Vec<(RunDirectory, Vec<Record>)>, RunsError> {
        if let Some(stored) = &self.stored {
            bring_here(stored, &self.runs).await?;
        }
        let read = |run: RunDirectory| match run.records() {
            Ok(records) => Some((run, records)),
            Err(error) => {
                tracing::warn!("run {}: {error}", run.id());
                None
            }
        };
        let ended = |records: &[Record]| {
            matches!(records.last(), Some(Record { event: Event::RunFinished { .. }, .. }))
        };
        let all = self.runs.list()?.into_iter().filter_map(read);
        Ok(all.filter(|(_, records)| !ended(records)).collect())
    }

    /// Makes a new run.
    pub(crate) async fn create(&self, plan: &Plan, world: &World) -> Result<RunDirectory, Failure> {
        let clock = world.clock.as_ref();
        match &self.stored {
            Some(stored) => stored.create(plan, clock).await.map_err(|error| failed(&error)),
            None => self.runs.create(plan, clock).map_err(|error| {
                Failure::input(error.to_string()).help("choose another place with --state-dir")
            }),
        }
    }

    /// Takes back a run of which nothing was begun.
    pub(crate) async fn forget(&self, run: &RunDirectory) {
        match &self.stored {
            Some(stored) => stored.forget(run).await,
            None => run.forget(),
        }
    }

    /// Opens a run's journal to write to it, as long as `fence` holds.
    pub(crate) async fn journal(
        &self,
        run: &RunDirectory,
        fence: Arc<dyn Fence>,
        world: &World,
    ) -> Result<Arc<dyn Journal>, RunsError> {
        let clock = Arc::clone(&world.clock);
        Ok(match &self.stored {
            Some(stored) => Arc::new(stored.journal(run, fence, clock).await?),
            None => Arc::new(run.journal(clock)?),
        })
    }

    /// Keeps the plan that a run is to go on under.
    pub(crate) async fn add_plan(&self, run: &RunDirectory, plan: &Plan) -> Result<(), RunsError> {
        match &self.stored {
            Some(stored) => stored.add_plan(run, plan).await,
            None => run.add_plan(plan).map(drop),
        }
    }

    /// Gives the place of the locks.
    pub(crate) fn leases(&self) -> Arc<dyn LeaseStore> {
        match &self.stored {
            Some(stored) => Arc::new(stored.leases()),
            None => Arc::new(LeaseFiles::new(self.runs.locks())),
        }
    }

    /// Gives the group that a run takes: its plan's, or, where other machines may drive it too, one of its own.
    pub(crate) fn group(&self, plan: &Plan, run: &RunId) -> Option<Group> {
        let own = || Group { name: format!("run/{run}"), on_conflict: OnConflict::Fail };
        plan.concurrency.clone().or_else(|| self.stored.as_ref().map(|_| own()))
    }

    /// Gives another run as it is now, if it can be had.
    pub(crate) async fn other(&self, run: &RunId) -> Option<RunDirectory> {
        match &self.stored {
            Some(stored) => stored.fetch(run).await.ok(),
            None => self.runs.open(run).ok(),
        }
    }

    /// Gives what is known of runs on this machine.
    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    fn name(&self) -> String {
        let folder = self.runs.folder();
        match &self.stored {
            Some(stored) => format!("{} and in {}", folder.display(), stored.url()),
            None => folder.display().to_string(),
        }
    }

    /// Brings what this machine knows of a run up to date.
    async fn refresh(&self, directory: &RunDirectory, want: Want) -> Result<(), Failure> {
        let Some(stored) = &self.stored else { return Ok(()) };
        match (stored.fetch(directory.id()).await, want) {
            (Ok(_), _) => Ok(()),
            (Err(RunsError::Store(error)), Want::Look) => {
                output::error(&format!("warning: {error}\nwarning: this is what this machine knows\n"));
                Ok(())
            }
            (Err(error), _) => Err(failed(&error)),
        }
    }
}

/// Finds a run to go on with it: by its id, the beginning of it, or `latest`.
pub(crate) async fn find(
    state_dir: &Path,
    name: &str,
    elsewhere: &Elsewhere,
    world: &World,
) -> Result<Found, Failure> {
    find_for(Want::Drive, state_dir, name, elsewhere, world).await
}

/// Finds a run to look at it.
pub(crate) async fn look(
    state_dir: &Path,
    name: &str,
    elsewhere: &Elsewhere,
) -> Result<RunDirectory, Failure> {
    if let Some(here) = find_here(state_dir, name, elsewhere)? {
        return Ok(here.directory);
    }
    Ok(find_for(Want::Look, state_dir, name, elsewhere, &world::world()?).await?.directory)
}

/// Finds a run whose journal is kept on this machine alone: that takes no store, and so nothing that opens one.
pub(crate) fn find_here(
    state_dir: &Path,
    name: &str,
    elsewhere: &Elsewhere,
) -> Result<Option<Found>, Failure> {
    if elsewhere.environment.is_some() {
        return Ok(None);
    }
    let place = Place { runs: Runs::new(state_dir), stored: None };
    let run = choose(ids(&place.runs)?, name, &place)?;
    let directory = place.runs.open(&run).map_err(|error| failed(&error))?;
    let is_here = directory.plan().map_err(|error| failed(&error))?.settings.journal.is_none();
    Ok(is_here.then_some(Found { place, directory }))
}

async fn find_for(
    want: Want,
    state_dir: &Path,
    name: &str,
    elsewhere: &Elsewhere,
    world: &World,
) -> Result<Found, Failure> {
    let place = of_environment(state_dir, elsewhere, world).await?;
    let mut known = ids(&place.runs)?;
    if let Some(stored) = &place.stored {
        known.extend(stored.list().await.map_err(|error| failed(&error))?);
        // The text of an id begins with its time.
        known.sort();
        known.dedup();
    }
    let run = choose(known, name, &place)?;
    let Ok(directory) = place.runs.open(&run) else {
        // Only the store has named it.
        let stored = place.stored.as_ref().ok_or_else(|| unknown(name, &place))?;
        let directory = stored.fetch(&run).await.map_err(|error| failed(&error))?;
        return Ok(Found { place, directory });
    };
    let plan = directory.plan().map_err(|error| failed(&error))?;
    let place = Place::of(state_dir, &plan.settings, world).await?;
    place.refresh(&directory, want).await?;
    Ok(Found { place, directory })
}

/// Lists all runs that this machine or the environment's store knows, oldest first.
pub(crate) async fn list(state_dir: &Path, elsewhere: &Elsewhere) -> Result<Vec<RunDirectory>, Failure> {
    let place = match elsewhere.environment {
        Some(_) => of_environment(state_dir, elsewhere, &world::world()?).await?,
        None => Place { runs: Runs::new(state_dir), stored: None },
    };
    if let Some(stored) = &place.stored {
        bring_here(stored, &place.runs).await.map_err(|error| failed(&error))?;
    }
    place.runs.list().map_err(|error| failed(&error))
}

/// Brings what this machine knows of the runs in a store up to date.
async fn bring_here(stored: &StoredRuns, runs: &Runs) -> Result<(), RunsError> {
    for run in stored.list().await? {
        if runs.open(&run).is_ok_and(|known| has_succeeded(&known)) {
            continue;
        }
        if let Err(error) = stored.fetch(&run).await {
            output::error(&format!("warning: run {run}: {error}\n"));
        }
    }
    Ok(())
}

/// Says whether nothing can be added to a run any more.
fn has_succeeded(run: &RunDirectory) -> bool {
    let succeeded = |outcome| matches!(outcome, Outcome::Succeeded | Outcome::SucceededWithWarnings);
    run.records().is_ok_and(|records| {
        matches!(records.last(), Some(Record { event: Event::RunFinished { outcome }, .. }) if succeeded(*outcome))
    })
}

async fn of_environment(state_dir: &Path, elsewhere: &Elsewhere, world: &World) -> Result<Place, Failure> {
    match &elsewhere.environment {
        Some(name) => {
            let environment = load_environment(&EnvironmentArg { environment: name.clone() })?;
            Place::of(state_dir, &environment.settings, world).await
        }
        None => Ok(Place { runs: Runs::new(state_dir), stored: None }),
    }
}

fn ids(runs: &Runs) -> Result<Vec<RunId>, Failure> {
    let all = runs.list().map_err(|error| failed(&error))?;
    Ok(all.iter().map(|run| run.id().clone()).collect())
}

fn choose(mut known: Vec<RunId>, name: &str, place: &Place) -> Result<RunId, Failure> {
    if name == "latest" {
        return known.pop().ok_or_else(|| Failure::input(format!("there is no run under {}", place.name())));
    }
    known.retain(|run| run.as_str().starts_with(name));
    match known.len() {
        1 => Ok(known.remove(0)),
        0 => Err(unknown(name, place)),
        count => {
            Err(Failure::input(format!("{count} runs begin with `{name}`")).help("write more of the id"))
        }
    }
}

fn unknown(name: &str, place: &Place) -> Failure {
    let help = match place.stored {
        Some(_) => "`rekindle runs -e ENV` lists all runs",
        None => {
            "`rekindle runs` lists all runs of this machine; one that was begun elsewhere is found with -e ENV \
             when that environment keeps its journal in a store"
        }
    };
    Failure::input(format!("there is no run `{name}` under {}", place.name())).help(help)
}

fn failed(error: &RunsError) -> Failure {
    let failure = Failure::input(error.to_string());
    match error {
        RunsError::Store(_) => failure.help(OUT_OF_REACH),
        RunsError::Journal(error) => match error.help() {
            Some(help) => failure.help(help),
            None => failure,
        },
        RunsError::NotFound { .. }
        | RunsError::NotStored { .. }
        | RunsError::Lock(_)
        | RunsError::OtherPlan { .. }
        | RunsError::Plan { .. }
        | RunsError::Io { .. } => failure,
    }
}
