//! Traits for the world outside: clock, processes, object stores, secrets. Implemented in `host/`,
//! `step-plugins/storage` and, for tests, [`crate::testing`].

mod body;
mod bucket;
mod clock;
mod masker;
mod others;
mod processes;
mod secret;
mod store;
mod upload;

use std::sync::Arc;

pub use body::{Body, BodyReader, BodySender};
pub use bucket::{Bucket, BucketChange, BucketFacts, LifecycleRule, Setting};
pub use clock::Clock;
pub use masker::Masker;
pub use others::{AtWork, NoOtherRuns, OtherRuns};
pub use processes::{
    CommandSpec, ExitReport, PrivateFile, ProcessError, Processes, RunningProcess, Standby, Stdin,
    TerminateReason,
};
pub use secret::{Secret, SecretError, Secrets};
pub use store::{
    Checksum, ChecksumAlgorithm, Encryption, Key, KeyError, ObjectInfo, ObjectStore, ProviderPlace, PutMode,
    Stamp, StoreError, StoreErrorKind, Stores, Unfinished,
};
pub use upload::{KeepState, Resumption, UploadSource};

/// Everything a run may touch. Cheap to clone.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Child processes.
    pub processes: Arc<dyn Processes>,
    /// Secrets, read when a step needs them.
    pub secrets: Arc<dyn Secrets>,
    /// Object stores by their URL.
    pub stores: Arc<dyn Stores>,
    /// Hides secret values in everything that is written.
    pub masker: Masker,
    /// What other runs are at.
    pub others: Arc<dyn OtherRuns>,
}
