//! Time as the operating system tells it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rekindle_engine::host::Clock;

/// The system's clock, and tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
