//! Lets later lists of backups know what was written, so that they need not read it.

use rekindle_backup::catalogue;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepContext;

/// Brings the index of a backup's cluster up to date. Where that fails, lists take longer, and say the same.
pub(crate) async fn remember(store: &dyn ObjectStore, uri: &BackupUri, cx: &StepContext) {
    let now = cx.world().clock.now();
    if let Err(error) = catalogue::refresh_index(store, &uri.store, &uri.cluster, now).await {
        tracing::warn!(%error, "the index of the backups could not be written; listing them takes longer");
    }
}
