//! How far a restore got, kept in the data directory itself: receives a state, keeps it durably.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rekindle_backup::layout::BackupUri;
use rekindle_engine::id::RunId;
use rekindle_engine::step::StepError;
use serde::{Deserialize, Serialize};

use super::{Outputs, Params};
use crate::fence::Before;

/// The marker's name. Servers pass over files that they do not know.
pub(crate) const MARKER: &str = ".rekindle-restore.json";
const NEW_MARKER: &str = ".rekindle-restore.json.new";

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    /// Files come into the work folder: it begins anew.
    Unpacking,
    /// They are consistent.
    Prepared,
    /// The data directory is empty.
    Cleared,
    /// They are in the data directory, with its owner.
    Placed,
    /// The server runs and has everything.
    Complete,
}

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) format: u32,
    pub(super) run: RunId,
    pub(super) backup: BackupUri,
    pub(super) stage: Stage,
    /// Where files are unpacked.
    pub(super) work: PathBuf,
    /// Where what was there is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) aside: Option<PathBuf>,
    /// What the server whose place is taken was like, before it was fenced to archive its logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replaced: Option<Before>,
    /// Whether its logs are archived, all of them.
    #[serde(default)]
    pub(super) archived: bool,
    /// What the restored server was like by its own configuration, before we fenced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<Before>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<Outputs>,
}

impl Marker {
    /// Tells whether it is of this very restore.
    pub(super) fn is_of(&self, params: &Params, run: &RunId) -> bool {
        self.backup == params.backup && self.run == *run
    }

    /// Says what was left, for people.
    pub(super) fn describe(&self) -> String {
        let how_far = match self.stage {
            Stage::Unpacking => "began to unpack",
            Stage::Prepared => "prepared the files",
            Stage::Cleared => "moved the old files aside",
            Stage::Placed => "put the files in place",
            Stage::Complete => "was completed",
        };
        format!("a restore of {} by the run {} {how_far}", self.backup, self.run)
    }

    /// Reads the marker of a data directory.
    pub(super) fn read(data_dir: &Path) -> Result<Option<Self>, StepError> {
        let path = data_dir.join(MARKER);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
                StepError::permanent(format!("{} can't be read: {error}", path.display())).help(
                    "it is of a restore; look at what is there, and remove it when nothing is half restored",
                )
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StepError::permanent(format!("failed to read {}: {error}", path.display()))),
        }
    }

    /// Writes it so that a crash leaves the old one or the new one.
    pub(super) fn write(&self, data_dir: &Path) -> Result<(), StepError> {
        let write = || {
            let draft = data_dir.join(NEW_MARKER);
            let mut file = File::create(&draft)?;
            file.write_all(&serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?)?;
            file.sync_all()?;
            fs::rename(&draft, data_dir.join(MARKER))?;
            File::open(data_dir)?.sync_all()
        };
        write().map_err(|error| {
            let text =
                format!("failed to write the marker of the restore into {}: {error}", data_dir.display());
            StepError::permanent(text).help("check that it is writable and has room, then resume the run")
        })
    }
}

/// Tells which run put the files of a data directory there; nothing when its server made them itself.
pub(crate) fn restored_by(data_dir: &Path) -> Result<Option<RunId>, StepError> {
    Ok(Marker::read(data_dir)?.map(|marker| marker.run))
}

/// Tells whether a name in a data directory is ours, or of the file system.
pub(super) fn is_no_data(name: &std::ffi::OsStr) -> bool {
    [MARKER, NEW_MARKER, "lost+found", super::place::INNER_WORK].iter().any(|ours| name == *ours)
}
