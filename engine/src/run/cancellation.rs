//! The operator's word: first to stop in order, then to stop at once.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// How a run is asked to stop. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    graceful: CancellationToken,
    hard: CancellationToken,
    by: Arc<OnceLock<String>>,
}

impl Cancellation {
    /// Asks once: nothing new starts, running steps are asked to stop and get the grace, `finally` runs. Asked
    /// again: everything stops at once, and `finally` is left for a resumed run. `by` is who or what asked, for
    /// the journal: `SIGINT`, a user name.
    pub fn request(&self, by: &str) {
        if self.by.set(by.to_owned()).is_ok() {
            self.graceful.cancel();
        } else {
            self.hard.cancel();
        }
    }

    /// Becomes true at the first request.
    pub fn graceful(&self) -> &CancellationToken {
        &self.graceful
    }

    /// Becomes true at the second request.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Gives who asked.
    pub(super) fn by(&self) -> String {
        self.by.get().cloned().unwrap_or_default()
    }
}
