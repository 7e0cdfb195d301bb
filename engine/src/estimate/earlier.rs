//! Finds the earlier runs that tell something about a plan.

use super::History;
use crate::journal::{Event, RunDirectory, Runs};
use crate::plan::Plan;

/// How many runs of the same runbook and environment are read.
const RUNS_LIMIT: usize = 20;
/// How many runs of any kind are looked at to find them.
const LOOKED_AT_LIMIT: usize = 200;
/// How many bytes of journals are read in all.
const READ_LIMIT_BYTES: u64 = 64 << 20;

/// Reads the last runs of the plan's runbook in its environment.
///
/// A run that can't be read is passed over, since `rekindle runs` tells what is wrong with it and a plan can do
/// without estimates. The work is bounded by the number of runs and of bytes.
pub fn earlier(runs: &Runs, plan: &Plan) -> History {
    let mut history = History::default();
    let mut left_bytes = READ_LIMIT_BYTES;
    let directories = runs.list().unwrap_or_default();
    for run in directories.iter().rev().take(LOOKED_AT_LIMIT) {
        if history.runs() == RUNS_LIMIT {
            break;
        }
        let Ok(journal) = std::fs::metadata(run.journal_path()) else { continue };
        let Some(left) = left_bytes.checked_sub(journal.len()) else { break };
        left_bytes = left;
        learn(&mut history, run, plan);
    }
    history
}

fn learn(history: &mut History, run: &RunDirectory, plan: &Plan) -> Option<()> {
    let records = run.records().ok()?;
    let Event::RunStarted { runbook, environment, .. } = &records.first()?.event else { return None };
    if *runbook != plan.runbook.name || *environment != plan.settings.name {
        return None;
    }
    history.learn(&run.plan().ok()?, &records);
    Some(())
}
