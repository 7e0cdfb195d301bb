//! The question that every destroy step asks before it acts: is the group still ours?

use async_trait::async_trait;

use crate::id::RunId;

/// Keeps a runner that has lost its group's lock from destroying anything.
#[async_trait]
pub trait Fence: Send + Sync {
    /// Gives the fencing token, for the journal; none when the plan has no group.
    fn token(&self) -> Option<u64>;

    /// Proves that the lock is still this runner's, and will be for some seconds.
    ///
    /// # Errors
    /// When it was taken over, or when that can't be told any more. Nothing may be destroyed then.
    async fn check(&self) -> Result<(), FenceError>;

    /// Returns once the lock is known to be lost; never when it is not.
    async fn lost(&self) -> FenceError;
}

/// Why a runner must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// Another run, or another runner of this one, has the lock.
    #[error("the lock of the group `{group}` was taken over{}", by.as_ref().map(|run| format!(" by run {run}")).unwrap_or_default())]
    TakenOver {
        /// Which group.
        group: String,
        /// By which run, when it is still held.
        by: Option<RunId>,
    },
    /// The lock ran out, and could not be renewed.
    #[error("the lock of the group `{group}` ran out and could not be renewed: {why}")]
    NotRenewed {
        /// Which group.
        group: String,
        /// What stood in the way.
        why: String,
    },
}

impl FenceError {
    /// Says what to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::TakenOver { .. } => {
                "this runner stopped at once and destroyed nothing more; look at what the other run did before \
                 you resume this one"
            }
            Self::NotRenewed { .. } => {
                "this runner stopped at once and destroyed nothing more; make the place of the locks writable, \
                 then resume the run"
            }
        }
    }
}

/// The fence of a run that excludes nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFence;

#[async_trait]
impl Fence for NoFence {
    fn token(&self) -> Option<u64> {
        None
    }

    async fn check(&self) -> Result<(), FenceError> {
        Ok(())
    }

    async fn lost(&self) -> FenceError {
        std::future::pending().await
    }
}
