//! An object of a backup as the source of an upload: read by ranges, and judged by the manifest before its end.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::ObjectEntry;
use rekindle_engine::host::{Body, ObjectInfo, ObjectStore};
use rekindle_engine::step::StepError;

use crate::reading::{self, Digest};
use crate::transfer::{Origin, Whole};

/// An object in the store that is copied from.
pub(super) struct Stored {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) uri: BackupUri,
    pub(super) info: ObjectInfo,
    pub(super) object: ObjectEntry,
}

#[async_trait]
impl Origin for Stored {
    fn name(&self) -> &str {
        &self.object.name
    }

    fn size_bytes(&self) -> u64 {
        self.info.size_bytes
    }

    async fn open(&self, range: Range<u64>) -> Result<Body, StepError> {
        let key = &self.info.key;
        let opened = match &self.info.stamp {
            Some(stamp) => self.store.get_stamped(key, stamp, range).await,
            None => self.store.get(key, Some(range)).await,
        };
        Ok(opened?)
    }

    fn broken(&self, error: &io::Error) -> StepError {
        match reading::broken(&*self.store, &self.info.key, error) {
            Ok(flaw) => damaged(&self.uri, &flaw.of(&self.object.name)),
            Err(told) => told,
        }
    }

    fn check(&self, whole: &Whole) -> Result<(), StepError> {
        let digest = Digest { size_bytes: whole.size_bytes, sha256: whole.sha256.clone() };
        match digest.differs_from(&self.object) {
            Some(problem) => Err(damaged(&self.uri, &problem)),
            None => Ok(()),
        }
    }
}

/// Says that a backup can't be copied as it is.
pub(super) fn damaged(uri: &BackupUri, problem: &str) -> StepError {
    StepError::permanent(format!("{uri} can't be copied: {problem}"))
        .help("`rekindle backups verify` tells how much of it is damaged; copy another backup")
}
