//! What a server remembers of a replay: which one, from where to where, and what it was like before.

use rekindle_backup::layout::BackupUri;
use serde::{Deserialize, Serialize};

use super::ReplayBinlogsOutputs;
use crate::connection::Server;
use crate::error::ServerError;
use crate::fence::Before;
use crate::marker::{self, Slot};
use crate::restore;

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// The backup's files are in place, and the server stays fenced for a replay of which nothing is known yet.
    Awaited,
    /// Transactions are being sent.
    Replaying,
    /// Everything is there, and the server is as it was before.
    Complete,
}

/// Which replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) backup: BackupUri,
    /// How far, with what is left out; empty while a replay is awaited.
    pub(super) goal: String,
    pub(super) stage: Stage,
    pub(super) before: Before,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<ReplayBinlogsOutputs>,
}

impl Marker {
    /// Reads it, if there is one.
    pub(super) async fn read(server: &mut Server) -> Result<Option<Self>, ServerError> {
        marker::read(server, Slot::REPLAY).await
    }

    /// Writes it, in place of an older one.
    pub(super) async fn write(&self, server: &mut Server) -> Result<(), ServerError> {
        marker::write(server, Slot::REPLAY, self).await
    }
}

/// Leaves a server fenced for a replay, which finds what it was like before.
pub(crate) async fn await_replay(
    server: &mut Server,
    backup: &BackupUri,
    before: &Before,
) -> Result<(), ServerError> {
    let (backup, before) = (backup.clone(), before.clone());
    Marker { backup, goal: String::new(), stage: Stage::Awaited, before, outputs: None }.write(server).await
}

/// A replay that was begun, or is awaited, and did not end.
pub(crate) struct Unfinished {
    /// What the server was like before.
    pub(crate) before: Before,
    /// Which one it is, for people.
    pub(crate) name: String,
}

impl Unfinished {
    /// Tells whether a server is in the middle of a replay, of any backup and to any end, or fenced for one.
    pub(crate) async fn on(server: &mut Server) -> Result<Option<Self>, ServerError> {
        Ok(Marker::read(server).await?.and_then(|Marker { backup, goal, stage, before, .. }| {
            let name = match stage {
                Stage::Awaited => format!("a restore of {backup}, fenced for a replay of binary logs"),
                Stage::Replaying => format!("an unfinished replay of {goal} after {backup}"),
                Stage::Complete => return None,
            };
            Some(Self { before, name })
        }))
    }
}

/// Reads what has to be put back at the end: what the server was like before the first attempt, also one that was to go
/// elsewhere, or before the restore that left its fence for this.
pub(super) async fn look_before(server: &mut Server) -> Result<Before, ServerError> {
    Ok(match Unfinished::on(server).await? {
        Some(earlier) => earlier.before,
        None => match restore::fenced_for_replay(server).await? {
            Some(before) => before,
            None => Before::look(server).await?,
        },
    })
}
