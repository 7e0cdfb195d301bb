//! What the other runs of an environment are at: their journals and locks in, those that have not come to their end
//! out.

use async_trait::async_trait;
use rekindle_engine::environment::Settings;
use rekindle_engine::host::{AtWork, OtherRuns, World};
use rekindle_engine::journal::{Event, Liveness, Record, RunDirectory, Runs};

use super::place::Place;

/// The runs of a state directory, and those of the store that an environment keeps its journals in.
pub(crate) struct Others {
    runs: Runs,
    world: World,
}

impl Others {
    /// Lets the steps of a world know them.
    pub(crate) fn known_to(world: &World, runs: &Runs) -> World {
        let others = Self { runs: runs.clone(), world: world.clone() };
        World { others: std::sync::Arc::new(others), ..world.clone() }
    }
}

#[async_trait]
impl OtherRuns for Others {
    async fn at_work(&self, settings: &Settings) -> Result<Vec<AtWork>, String> {
        let place = Place::with(self.runs.clone(), settings, &self.world).await;
        let place = place.map_err(|failure| failure.message())?;
        let mut at_work = Vec::new();
        for (run, records) in place.unfinished().await.map_err(|error| error.to_string())? {
            if is_alive(&records) || has_its_group(&place, &run).await? {
                at_work.push(AtWork { run: run.id().clone(), says: said(&run, &records) });
            }
        }
        Ok(at_work)
    }
}

/// Tells whether the process that drove a run last is one of this machine and still there.
fn is_alive(records: &[Record]) -> bool {
    let runner = records.iter().rev().find_map(|record| match &record.event {
        Event::RunStarted { runner, .. } | Event::RunResumed { runner, .. } => Some(runner),
        _ => None,
    });
    runner.is_some_and(|runner| rekindle_host::liveness(runner) == Liveness::Alive)
}

/// Tells whether a run holds its group or keeps it, also when its runner was cut off and nobody has taken it since.
async fn has_its_group(place: &Place, run: &RunDirectory) -> Result<bool, String> {
    let Ok(plan) = run.plan() else { return Ok(false) };
    let Some(group) = place.group(&plan, run.id()) else { return Ok(false) };
    let found = place.leases().read(&group.name).await.map_err(|error| error.to_string())?;
    Ok(found.and_then(|(lease, _)| lease.holder).is_some_and(|holder| holder.run == *run.id()))
}

/// Gives all that a run's plans and its journal say.
fn said(run: &RunDirectory, records: &[Record]) -> String {
    let plans = run.plans().unwrap_or_default();
    let plans = plans.iter().map(|plan| plan.to_json());
    let events = records.iter().filter_map(|record| serde_json::to_string(&record.event).ok());
    plans.chain(events).collect::<Vec<_>>().join("\n")
}
