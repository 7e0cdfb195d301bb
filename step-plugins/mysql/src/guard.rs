//! A child that streams: ended when the step that reads from it is cancelled or dropped.

use std::sync::Arc;
use std::time::Duration;

use rekindle_engine::host::{RunningProcess, TerminateReason};
use rekindle_engine::step::{StepContext, StepError};

use crate::stall::Patience;

/// How long a child may take to end when it is asked to.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Runs work that may block on a thread for such.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StepError::permanent(error.to_string()))
}

type Terminator = Arc<dyn Fn(TerminateReason, Duration) + Send + Sync>;

/// Ends a child's group when it is dropped before its work is done: by a timeout, or a second signal.
pub(crate) struct TerminateOnDrop(Option<Terminator>);

impl TerminateOnDrop {
    /// Watches over a child.
    pub(crate) fn of(process: &dyn RunningProcess) -> Self {
        Self(Some(process.terminator()))
    }

    /// Stops watching: the child has ended.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }

    /// Waits for the work; when the operator cancels, ends the child, after which the work ends by itself.
    pub(crate) async fn unless_cancelled<T>(self, cx: &StepContext, work: impl Future<Output = T>) -> T {
        let cancelled = async {
            cx.cancel().cancelled().await;
            (TerminateReason::Cancelled, None)
        };
        self.unless(cancelled, work).await.0
    }

    /// As [`Self::unless_cancelled`], and ends a child that is silent for too long. Then gives the error that says so.
    pub(crate) async fn unless_silent<T>(
        self,
        cx: &StepContext,
        patience: &Patience<'_>,
        work: impl Future<Output = T>,
    ) -> (T, Option<StepError>) {
        let ended = async {
            tokio::select! {
                () = cx.cancel().cancelled() => (TerminateReason::Cancelled, None),
                () = patience.waiting.longer_than(patience.limit) => {
                    // Asked before it is ended: afterwards its sessions are gone.
                    (TerminateReason::TimedOut, Some(patience.at_an_end().await))
                }
            }
        };
        self.unless(ended, work).await
    }

    async fn unless<T>(
        self,
        ended: impl Future<Output = (TerminateReason, Option<StepError>)>,
        work: impl Future<Output = T>,
    ) -> (T, Option<StepError>) {
        tokio::pin!(work);
        let (done, why) = tokio::select! {
            done = &mut work => (done, None),
            (reason, why) = ended => {
                if let Some(terminate) = self.0.clone() {
                    let _ = blocking(move || terminate(reason, GRACE)).await;
                }
                (work.await, why)
            }
        };
        self.disarm();
        (done, why)
    }
}

impl Drop for TerminateOnDrop {
    fn drop(&mut self) {
        if let Some(terminate) = self.0.take() {
            // Waits for the group's end: not on a thread of the runtime.
            std::thread::spawn(move || terminate(TerminateReason::TimedOut, GRACE));
        }
    }
}
