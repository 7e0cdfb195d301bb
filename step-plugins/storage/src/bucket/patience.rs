//! How long a store in a bucket is waited for.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// No wait between two tries is longer than this, unless the server asks for it.
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_secs(20);
/// No server makes us wait longer than this between two tries.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Gives how long a server asks to be left alone: seconds, or the time to come back at (RFC 9110, sections 10.2.3 and
/// 5.6.7). A time that is over is none.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// How long things may take, and how often they are tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Tries of one request in all, the first included.
    pub(crate) attempts: u32,
    /// The wait after the first one; it doubles with every further one, up to 20 s, and carries jitter.
    pub(crate) first_wait: Duration,
    /// A host that does not take a connection within this is not there.
    pub(crate) connect: Duration,
    /// The first byte of an answer comes within this; a large part has been taken in by then.
    pub(crate) answer: Duration,
    /// A stream that stands still for so long is cut off.
    pub(crate) stall: Duration,
    /// A part that travels more slowly than this is given up, where the client has no eye on stalls of its own.
    pub(crate) slowest_bytes_per_second: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_wait: Duration::from_secs(1),
            connect: Duration::from_secs(10),
            answer: Duration::from_mins(2),
            stall: Duration::from_secs(30),
            slowest_bytes_per_second: 128 << 10,
        }
    }
}

#[cfg(test)]
impl Patience {
    /// For servers that are made to misbehave.
    pub(crate) fn of_a_test() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(5),
            connect: Duration::from_secs(2),
            answer: Duration::from_secs(2),
            stall: Duration::from_secs(1),
            slowest_bytes_per_second: 2 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::retry_after;

    #[test]
    fn a_server_says_when_to_come_back_in_seconds_or_by_a_date() {
        let now = "2026-11-22T15:00:00Z".parse().unwrap();
        let cases = [
            ("7", Some(7)),
            (" 120 ", Some(120)),
            ("Sun, 22 Nov 2026 15:00:30 GMT", Some(30)),
            ("Sun, 22 Nov 2026 14:59:00 GMT", Some(0)),
            ("soon", None),
            ("-3", None),
            ("", None),
        ];
        for (said, wait) in cases {
            assert_eq!(retry_after(said, now), wait.map(Duration::from_secs), "{said}");
        }
    }
}
