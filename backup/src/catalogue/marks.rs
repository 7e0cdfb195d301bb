//! Marks of backups: read with the state they are in, and changed against that state only.

use rekindle_engine::host::{ObjectStore, Stamp, StoreErrorKind};

use super::{CatalogueError, unwritable};
use crate::layout::{BackupUri, KEEP_MARK};
use crate::mark::{MARK_FORMAT, Mark};
use crate::sealed;

/// The largest mark that is read.
const MAX_MARK_BYTES: usize = 1 << 20;

/// A mark as it lies in the store.
#[derive(Debug, Clone)]
pub struct StoredMark {
    /// What it says, or why that can't be known.
    pub mark: Result<Mark, CatalogueError>,
    /// The state it was read in.
    pub stamp: Stamp,
}

/// Gives why a mark keeps its backup from being pruned, if it does. One that can't be read keeps too.
pub fn why_kept(mark: &Result<Mark, CatalogueError>) -> Option<String> {
    match mark {
        Ok(mark) => mark.keep.then(|| mark.reason.clone()),
        Err(error) => Some(error.to_string()),
    }
}

/// Reads the mark of a backup; `None` when nobody said anything of it.
pub async fn load_mark(
    store: &dyn ObjectStore,
    uri: &BackupUri,
) -> Result<Option<StoredMark>, CatalogueError> {
    let Some((bytes, stamp)) = store.read_stamped(&uri.key(KEEP_MARK)?, MAX_MARK_BYTES).await? else {
        return Ok(None);
    };
    let mark = sealed::open::<Mark>(&bytes).map_err(|error| unwritable(uri, KEEP_MARK, &error));
    let mark = mark.and_then(|mark| match mark.format {
        format if format > MARK_FORMAT => Err(CatalogueError::Damaged {
            uri: uri.clone(),
            name: KEEP_MARK.to_owned(),
            why: format!("it has format {format}, but this version reads up to {MARK_FORMAT}"),
        }),
        _ => Ok(mark),
    });
    Ok(Some(StoredMark { mark, stamp }))
}

/// Stores a mark in place of the state `expected`; tells whether it was still in that state.
pub async fn store_mark(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    expected: Option<&Stamp>,
    mark: &Mark,
) -> Result<bool, CatalogueError> {
    let bytes = sealed::seal(mark).map_err(|error| unwritable(uri, KEEP_MARK, &error))?;
    match store.swap(&uri.key(KEEP_MARK)?, expected, bytes.into()).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind, StoreErrorKind::Changed | StoreErrorKind::AlreadyExists) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
