//! A backup that does not even get as far as being compared: the reason in, a bad verdict beside the backup out.

use rekindle_backup::catalogue;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::verdict::{Level, Verdict};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepContext;

/// Stores it. When that fails it is told: the reason itself is the news.
pub(crate) async fn store_bad_end(
    cx: &StepContext,
    store: &dyn ObjectStore,
    backup: &BackupUri,
    why: String,
) {
    let (at, by_run) = (cx.world().clock.now(), cx.run().clone());
    let verdict = Verdict { level: Level::Restore, ok: false, at, by_run, problems: vec![why], drill: None };
    if let Err(error) = catalogue::store_verdict(store, backup, &verdict).await {
        cx.warn(&format!("the verdict could not be stored: {error}"));
    }
}
