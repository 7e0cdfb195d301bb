//! Object stores, the catalogue of backups, and the step kinds that work on backups.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod fault_bench;
#[cfg(test)]
mod proxy_tests;
#[cfg(test)]
mod real;
#[cfg(test)]
mod testing;

mod bucket;
pub mod conditions;
mod copy;
mod download;
mod encrypted;
#[cfg(test)]
mod encrypted_backup_tests;
mod ensure_bucket;
mod failure;
pub mod file;
mod find;
pub mod gcs;
pub mod lifecycle;
mod looking;
mod mark;
mod naming;
mod prune;
mod publish;
mod reading;
mod remembering;
pub mod s3;
mod stores;
mod transfer;
mod upload;
mod verify;

use rekindle_engine::step::Registry;

pub use copy::{CopyOutputs, CopyParams, CopyStep};
pub use download::{DownloadOutputs, DownloadParams, DownloadStep};
pub use ensure_bucket::{EnsureBucketOutputs, EnsureBucketParams, EnsureBucketStep};
pub use file::{FileStore, FileStores};
pub use find::{FindOutputs, FindParams, FindStep, LogPosition, Wanted};
pub use gcs::GcsStore;
pub use lifecycle::{LifecycleOutputs, LifecycleParams, LifecycleStep};
pub use mark::{MarkOutputs, MarkParams, MarkStep};
pub use prune::{Fate, PruneOutputs, PruneParams, PruneStep};
pub use publish::{PublishOutputs, PublishParams, PublishStep};
/// What backups a store holds; shared with the crates that restore and compare them.
pub use rekindle_backup::catalogue;
pub use s3::S3Store;
pub use stores::EveryStore;
pub use transfer::IfExists;
pub use upload::{UploadOutputs, UploadParams, UploadStep};
pub use verify::{VerifyOutputs, VerifyParams, VerifyStep};

/// Adds the step kinds of this crate: `backup.publish`, `backup.find`, `backup.verify`, `backup.copy`,
/// `backup.mark`, `backup.prune`, `store.upload`, `store.download`, `store.ensure-bucket` and `store.lifecycle`.
pub fn register(registry: &mut Registry) {
    registry.register(PublishStep);
    registry.register(FindStep);
    registry.register(VerifyStep);
    registry.register(CopyStep);
    registry.register(MarkStep);
    registry.register(PruneStep);
    registry.register(UploadStep);
    registry.register(DownloadStep);
    registry.register(EnsureBucketStep);
    registry.register(LifecycleStep);
}
