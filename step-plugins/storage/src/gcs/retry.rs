//! Requests that are tried again, in one way for both clients: bounded in time and number, as the server asks, and
//! so that it can be seen.

use std::time::Duration;

use rekindle_engine::host::StoreErrorKind;

use super::{GcsStore, errors};
use crate::bucket::patience::{LONGEST_BACKOFF, LONGEST_WAIT, Patience};
use crate::failure::Failure;
use crate::naming::random;

/// Sends a request until it succeeds, fails in a way that will not pass, or was tried often enough. The clients
/// have no limit of time of their own: `sent_bytes` says how much more of it than an answer takes is due.
pub(super) async fn patiently<T, F>(
    store: &GcsStore,
    sent_bytes: usize,
    request: impl Fn() -> F,
) -> Result<T, Failure>
where
    F: Future<Output = google_cloud_storage::Result<T>>,
{
    let on_the_way = Duration::from_secs(sent_bytes as u64 / store.patience.slowest_bytes_per_second);
    let limit = store.patience.answer + on_the_way;
    let mut tries = 0;
    loop {
        tries += 1;
        // The clients' futures are large.
        let (failure, come_back) = match tokio::time::timeout(limit, Box::pin(request())).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => (errors::failure(&error), errors::come_back(&error)),
            Err(_) => (errors::timed_out(limit), None),
        };
        if failure.kind != StoreErrorKind::Unavailable {
            return Err(failure);
        }
        tracing::warn!(
            store = store.url,
            why = failure.why,
            "a request to the store failed and may be tried again"
        );
        if tries >= store.patience.attempts {
            return Err(failure);
        }
        tokio::time::sleep(wait(&store.patience, tries, come_back)).await;
    }
}

/// Gives the pause after so many tries. One half of it is left to chance, so that many clients do not all come
/// back at the same moment.
fn wait(patience: &Patience, tries: u32, come_back: Option<Duration>) -> Duration {
    if let Some(asked) = come_back {
        return asked.min(LONGEST_WAIT);
    }
    let doubled = patience.first_wait.saturating_mul(1 << tries.saturating_sub(1).min(16));
    let half = doubled.min(LONGEST_BACKOFF) / 2;
    half + half.mul_f64(f64::from(u32::try_from(random() >> 32).unwrap_or_default()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::wait;
    use crate::bucket::patience::Patience;

    #[test]
    fn waits_double_up_to_a_limit_unless_the_server_asks() {
        let patience = Patience::default();
        for (tries, least, most) in [(1, 500, 1000), (2, 1000, 2000), (5, 8000, 16_000), (30, 10_000, 20_000)]
        {
            let waited = wait(&patience, tries, None).as_millis();
            assert!((least..=most).contains(&waited), "{tries}: {waited}");
        }
        assert_eq!(wait(&patience, 1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(wait(&patience, 1, Some(Duration::from_hours(7))), Duration::from_mins(1));
    }
}
