//! What a restore writes onto its server: whose data these are, and what the server was like before. It is what the
//! probe reads and what a resumed run goes on from.

use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::RunId;
use serde::{Deserialize, Serialize};

use super::part::Part;
use crate::connection::Server;
use crate::error::ServerError;
use crate::fence;
use crate::marker::{self, Slot};
use crate::replay_binlogs::Unfinished;
use crate::replication::statements::Dialect;

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Statements are being sent: nothing can be said of the server's data but that they are replaceable.
    Loading,
    /// Everything is there and proven equal to the backup; the server is still fenced.
    Loaded,
    /// The fence is gone.
    Complete,
}

/// What the server was like before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    #[serde(flatten)]
    pub(super) fence: fence::Before,
    /// Whether it followed a source: its events are then the source's to run.
    pub(super) replica: bool,
}

impl Before {
    /// Reads what has to be put back at the end.
    pub(super) async fn look(server: &mut Server) -> Result<Self, ServerError> {
        // A replay that was given up leaves its fence.
        let fence = match Unfinished::on(server).await? {
            Some(replay) => replay.before,
            None => fence::Before::look(server).await?,
        };
        let status = Dialect::of(&server.version).show_status();
        let sources: Vec<mysql_async::Row> = server.session.rows("show its replication", &status).await?;
        Ok(Self { fence, replica: !sources.is_empty() })
    }
}

/// Whose data the server holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) backup: BackupUri,
    pub(super) run: RunId,
    pub(super) object: String,
    pub(super) stage: Stage,
    pub(super) before: Before,
    /// Whether what was there is gone, and all there is comes from this backup: tables that are kept as loaded stay.
    #[serde(default)]
    pub(super) emptied: bool,
    /// Whether the fence still stands, for a replay of binary logs to take down.
    #[serde(default)]
    pub(super) fenced: bool,
    /// What is restored of the backup; absent when it is the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part>,
    /// What the step gives, once everything is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<super::Outputs>,
}

impl Marker {
    /// Tells whether this restore of this run wrote it.
    pub(super) fn is_of(&self, params: &super::Params, run: &RunId) -> bool {
        self.backup == params.backup
            && self.object == params.object
            && self.run == *run
            && self.part.is_none()
    }

    /// Gives where it is kept: one that speaks of a part of the server has a place of its own.
    fn slot(&self) -> Slot {
        if self.part.is_some() { Slot::PART } else { Slot::WHOLE }
    }

    /// Writes it, in place of an older one.
    pub(super) async fn write(&self, server: &mut Server) -> Result<(), ServerError> {
        marker::write(server, self.slot(), self).await
    }

    /// Says what it is of, for people.
    pub(super) fn describe(&self) -> String {
        let stage = match self.stage {
            Stage::Loading => "an unfinished restore",
            Stage::Complete if self.fenced => "a restore, fenced for a replay of binary logs,",
            Stage::Loaded | Stage::Complete => "a restore",
        };
        format!("{stage} of {} by run {}", self.backup, self.run)
    }
}

/// Reads the marker of a restore of the whole server, if there is one.
pub(super) async fn read(server: &mut Server) -> Result<Option<Marker>, ServerError> {
    marker::read(server, Slot::WHOLE).await
}

/// Says which restore a server is in the middle of; nothing when it is in none.
pub(crate) async fn under_way(server: &mut Server) -> Result<Option<String>, ServerError> {
    let marker = read(server).await?;
    let open = |marker: &Marker| marker.stage != Stage::Complete || marker.fenced;
    Ok(marker.filter(open).map(|marker| marker.describe()))
}

/// Gives what a server was like before the fence that a restore left on it for a replay.
pub(crate) async fn fenced_for_replay(server: &mut Server) -> Result<Option<fence::Before>, ServerError> {
    Ok(read(server).await?.filter(|marker| marker.fenced).map(|marker| marker.before.fence))
}

/// Hands the fence over to a replay, whose own marker keeps what the server was like.
pub(crate) async fn hand_fence_over(server: &mut Server) -> Result<(), ServerError> {
    match read(server).await? {
        Some(marker) if marker.fenced => Marker { fenced: false, ..marker }.write(server).await,
        Some(_) | None => Ok(()),
    }
}
