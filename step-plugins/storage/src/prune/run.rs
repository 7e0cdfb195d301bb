//! The same decisions, shown beforehand and carried out.

use rekindle_engine::step::{Progress, StepContext, StepError};

use super::binlogs;
use super::sweep::{self, Sweep};
use super::{Fate, PruneOutputs, PruneParams};

/// Gives a line for each backup, and for everything else that would go, as the store is now.
pub(super) async fn preview(params: &PruneParams, cx: &StepContext) -> Result<Vec<String>, StepError> {
    let store = cx.store(&params.store).await?;
    let sweep = Sweep::decide(&*store, params, cx).await?;
    let decisions = sweep
        .decisions
        .iter()
        .map(|one| format!("{} {}: {}", if one.keep { "keep" } else { "remove" }, one.uri.id, one.reason));
    let leftovers = sweep.leftovers.iter().map(sweep::leftover_fate);
    let logs = sweep.logs.unneeded.iter().map(binlogs::fate);
    let strays = sweep.logs.strays.iter().map(binlogs::stray_fate);
    let abandoned = sweep.abandoned.iter().map(sweep::abandoned_fate);
    let removed = leftovers.chain(logs).chain(strays).chain(abandoned);
    Ok(decisions.chain(removed.map(|fate| format!("remove {}: {}", fate.id, fate.reason))).collect())
}

/// Decides anew and removes.
pub(super) async fn run(params: &PruneParams, cx: &StepContext) -> Result<PruneOutputs, StepError> {
    let store = cx.store(&params.store).await?;
    let Sweep { decisions, leftovers, logs, found, looked_at, abandoned_before, abandoned: _ } =
        Sweep::decide(&*store, params, cx).await?;
    let mut outputs = PruneOutputs::default();
    let mut doomed = Vec::new();
    for decision in decisions {
        let fate = Fate { id: decision.uri.id.clone(), reason: decision.reason };
        if decision.keep {
            cx.log(&format!("keep {}: {}", fate.id, fate.reason));
            outputs.kept.push(fate);
        } else {
            doomed.push((decision.uri, fate, true));
        }
    }
    doomed.extend(leftovers.into_iter().map(|one| {
        let fate = sweep::leftover_fate(&one);
        (one.uri, fate, false)
    }));
    // The oldest first: what a cancelled run has not removed yet is worth the most.
    for (uri, mut fate, published) in doomed.into_iter().rev() {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        if published && let Some(why) = sweep::kept_since(&*store, &uri).await? {
            cx.warn(&format!("{} was marked meanwhile and stays: {why}", fate.id));
            fate.reason = format!("marked: {why}");
            outputs.kept.push(fate);
            continue;
        }
        if published && let Some(run) = sweep::used_since(&uri, cx).await? {
            cx.warn(&format!("{} stays: run {run} has begun to work with it", fate.id));
            fate.reason = format!("in use by run {run}");
            outputs.kept.push(fate);
            continue;
        }
        cx.progress(Progress { note: format!("removing {}", fate.id), ..Progress::default() });
        sweep::remove(&*store, &uri).await?;
        cx.log(&format!("removed {}: {}", fate.id, fate.reason));
        outputs.removed.insert(0, fate);
    }
    let removed = outputs.removed.iter().map(|fate| fate.id.clone()).collect();
    let cluster = params.cluster.as_deref().unwrap_or(cx.settings().cluster());
    sweep::remember(&*store, cluster, found, &removed, looked_at).await;
    // After the backups: logs without their backup are worth nothing, a backup without its logs still something.
    outputs.removed_binlogs = binlogs::remove(&*store, logs.unneeded, cx).await?;
    outputs.removed_unfinished = binlogs::remove_strays(&*store, logs.strays, cx).await?;
    // Asked anew: somebody may have gone on with one meanwhile.
    for write in store.remove_abandoned(abandoned_before).await? {
        let fate = sweep::abandoned_fate(&write);
        cx.log(&format!("removed {}: {}", fate.id, fate.reason));
        outputs.removed_unfinished.push(fate);
    }
    Ok(outputs)
}
