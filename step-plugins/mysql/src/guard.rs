//! A child that streams: ended when the step that reads from it is cancelled or dropped.

use std::sync::Arc;
use std::time::Duration;

use rekindle_engine::host::{RunningProcess, TerminateReason};
use rekindle_engine::step::{StepContext, StepError};

const GRACE: Duration = Duration::from_secs(2);

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

    /// Waits for the work; when the operator cancels, ends the client, after which the work ends by itself.
    pub(crate) async fn unless_cancelled<T>(mut self, cx: &StepContext, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let done = tokio::select! {
            done = &mut work => done,
            () = cx.cancel().cancelled() => {
                if let Some(terminate) = self.0.clone() {
                    let _ = blocking(move || terminate(TerminateReason::Cancelled, GRACE)).await;
                }
                work.await
            }
        };
        self.0 = None;
        done
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
