//! How far the archived binary logs of a store bring its backups.

use jiff::Timestamp;
use rekindle_backup::binlog::archive;
use rekindle_backup::catalogue;
use rekindle_backup::manifest::BackupKind;
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::{StepContext, StepError};

use super::{NewestBackup, Replayable};
use crate::replay_binlogs::{Reach, reach};

/// What was found, and what makes it less than it could be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Logs {
    pub(super) replayable: Option<Replayable>,
    pub(super) warning: Option<String>,
}

/// Looks at the logs that `mysql.replay-binlogs` would replay onto the newest logical one of `verified`, or onto the
/// newest physical one where that comes further: only the server's own machine restores it.
///
/// What can't be read is a warning: the backups alone are still worth something.
pub(super) async fn look(store: &dyn ObjectStore, verified: &[NewestBackup], cx: &StepContext) -> Logs {
    let newest = |kind: BackupKind| verified.iter().find(move |one| one.kind == kind);
    let logical = match newest(BackupKind::Logical) {
        Some(newest) => look_onto(store, newest, cx).await,
        None => Logs::default(),
    };
    let Some(physical) = newest(BackupKind::Physical) else { return logical };
    let physical = look_onto(store, physical, cx).await;
    let until = |logs: &Logs| logs.replayable.as_ref().map(|one| one.until);
    if until(&physical) > until(&logical) || logical == Logs::default() { physical } else { logical }
}

async fn look_onto(store: &dyn ObjectStore, newest: &NewestBackup, cx: &StepContext) -> Logs {
    match reach_of(store, newest).await {
        Ok(None) => Logs::default(),
        Ok(Some(reach)) => weigh(reach, newest, cx.world().clock.now()),
        Err(error) => Logs { warning: Some(useless(newest, &error.message)), ..Logs::default() },
    }
}

async fn reach_of(store: &dyn ObjectStore, newest: &NewestBackup) -> Result<Option<Reach>, StepError> {
    let timelines = archive::load(store, &newest.uri.cluster).await?;
    if timelines.is_empty() {
        return Ok(None);
    }
    let manifest = catalogue::load_manifest(store, &newest.uri).await?;
    reach(&timelines, &manifest)
}

/// A gap ends what can be reached, and whoever looks should hear of it before the day that they need what is after it.
pub(super) fn weigh(reach: Reach, newest: &NewestBackup, now: Timestamp) -> Logs {
    // Servers tell whole seconds.
    let until = reach.until.filter(|until| until.as_second() >= newest.recovery_point.as_second());
    let replayable = until.map(|until| Replayable {
        uri: newest.uri.clone(),
        kind: newest.kind,
        until,
        age_seconds: u64::try_from(now.duration_since(until).as_secs()).unwrap_or(0),
    });
    let warning = reach.gap.map(|gap| match until {
        Some(until) => format!("the archived binary logs bring {} to {until} only: {gap}", newest.uri),
        None => useless(newest, &gap),
    });
    Logs { replayable, warning }
}

fn useless(newest: &NewestBackup, why: &str) -> String {
    format!("the archived binary logs can't bring {} forward: {why}", newest.uri)
}
