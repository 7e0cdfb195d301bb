//! Time, so that tests own it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Tells and waits for time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Gives the wall-clock time (UTC).
    fn now(&self) -> Timestamp;

    /// Waits for `duration`.
    async fn sleep(&self, duration: Duration);
}
