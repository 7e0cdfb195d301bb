//! When a failed attempt is due again. Pure: the jitter is drawn from names, so a replay agrees with the run.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::id::{RunId, StepId};
use crate::runbook::Retry;

/// Gives `delay × backoff^(failures - 1)`, at most `max_delay`, lengthened by `fraction` of `jitter` of itself.
pub(crate) fn delay(retry: &Retry, failures: u32, fraction: f64) -> Duration {
    let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
    let longest = retry.max_delay.0;
    let plain = Duration::try_from_secs_f64(retry.delay.0.as_secs_f64() * retry.backoff.powi(exponent))
        .map_or(longest, |plain| plain.min(longest));
    let lengthened = plain.as_secs_f64() * (1.0 + retry.jitter.clamp(0.0, 1.0) * fraction);
    Duration::try_from_secs_f64(lengthened).unwrap_or(plain)
}

/// Gives a number from 0 up to 1 that differs between runs, steps and attempts, and is always the same for one.
pub(super) fn fraction(run: &RunId, step: &StepId, attempt: u32) -> f64 {
    let mut hasher = Sha256::new();
    for part in [run.as_str().as_bytes(), step.as_str().as_bytes(), &attempt.to_be_bytes()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    f64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) / (f64::from(u32::MAX) + 1.0)
}

/// Gives a time that much later; the end of time when there is none.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// Gives how long it is from one time to another; nothing when that is past.
pub(super) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{delay, fraction, later, until};
    use crate::runbook::Retry;
    use crate::values::{DurationText, parse_duration};
    use jiff::Timestamp;
    use std::time::Duration;

    fn retry(delay: &str, backoff: f64, max_delay: &str, jitter: f64) -> Retry {
        let text = |text: &str| DurationText(parse_duration(text).unwrap());
        Retry { attempts: 9, delay: text(delay), backoff, max_delay: text(max_delay), jitter }
    }

    #[test]
    fn delays_grow_up_to_the_longest() {
        let retry = retry("2s", 2.0, "10s", 0.0);
        let delays: Vec<_> = (1..=5).map(|failures| delay(&retry, failures, 0.9).as_secs()).collect();
        assert_eq!(delays, [2, 4, 8, 10, 10]);
    }

    #[test]
    fn jitter_lengthens_and_never_shortens() {
        let retry = retry("10s", 1.0, "10s", 0.5);
        assert_eq!(delay(&retry, 1, 0.0), Duration::from_secs(10));
        assert_eq!(delay(&retry, 1, 0.5), Duration::from_millis(12_500));
    }

    #[test]
    fn absurd_factors_end_at_the_longest_delay() {
        for backoff in [f64::INFINITY, f64::NAN, 1e300] {
            assert_eq!(delay(&retry("1s", backoff, "1m", 0.0), u32::MAX, 0.0), Duration::from_mins(1));
        }
    }

    #[test]
    fn the_fraction_is_of_the_names_alone() {
        let one = fraction(&"r".into(), &"s".into(), 1);
        assert!((0.0..1.0).contains(&one));
        assert_eq!(one.to_bits(), fraction(&"r".into(), &"s".into(), 1).to_bits());
        for other in [
            fraction(&"r".into(), &"s".into(), 2),
            fraction(&"rs".into(), &"".into(), 1),
            fraction(&"q".into(), &"s".into(), 1),
        ] {
            assert_ne!(one.to_bits(), other.to_bits());
        }
    }

    #[test]
    fn times_never_overflow() {
        assert_eq!(later(Timestamp::MAX, Duration::MAX), Timestamp::MAX);
        assert_eq!(until(Timestamp::MAX, Timestamp::MIN), Duration::ZERO);
    }
}
