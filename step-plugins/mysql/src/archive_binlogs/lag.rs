//! How far an archive is behind its server: the last segment and the newest log in, seconds out.

use jiff::Timestamp;
use rekindle_backup::binlog::Segment;
use rekindle_engine::step::StepError;

use crate::binlogs::server::{self, ServerLog};
use crate::connection::Server;

/// How far it is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lag {
    /// Since when nothing is promised.
    pub(super) rpo_seconds: u64,
    /// The same, and 0 while the server has logged nothing more.
    pub(super) lag_seconds: u64,
}

/// Where an archive ends.
#[derive(Debug, Clone, Copy)]
struct End<'a> {
    log: &'a str,
    number: u64,
    to: u64,
    ends_log: bool,
}

/// What the newest log of a server says of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Level,
    /// All before the newest log is archived, and nothing of it.
    BeforeNewest,
    Behind,
}

impl Lag {
    /// Measures it. All until `covered` is archived, and `last` is the end of that.
    ///
    /// # Errors
    /// When the server can't be asked.
    pub(super) async fn measure(
        server: &mut Server,
        last: Option<&Segment>,
        covered: Timestamp,
    ) -> Result<Self, StepError> {
        let now = server::now(server).await?;
        let logs = server::logs(server).await?;
        let end = last.map(|last| End {
            log: &last.log,
            number: last.number,
            to: last.to,
            ends_log: last.ends_log,
        });
        let is_level = match (standing(end, logs.last()), logs.last()) {
            (Standing::Level, _) => true,
            (Standing::BeforeNewest, Some(log)) => server::has_nothing(server, &log.name).await?,
            (Standing::BeforeNewest, None) | (Standing::Behind, _) => false,
        };
        Ok(Self::of(now, covered, is_level))
    }

    fn of(now: Timestamp, covered: Timestamp, is_level: bool) -> Self {
        // A server whose clock was turned back is behind nothing.
        let rpo_seconds = u64::try_from(now.duration_since(covered).as_secs()).unwrap_or(0);
        Self { rpo_seconds, lag_seconds: if is_level { 0 } else { rpo_seconds } }
    }
}

fn standing(end: Option<End<'_>>, newest: Option<&ServerLog>) -> Standing {
    match (end, newest) {
        (Some(end), Some(log)) if end.log == log.name && end.to == log.size_bytes => Standing::Level,
        (Some(end), Some(log)) if end.log != log.name && end.ends_log && log.number == end.number + 1 => {
            Standing::BeforeNewest
        }
        _ => Standing::Behind,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rekindle_backup::manifest::Flavour;

    use super::*;
    use crate::binlogs::testing::{Lab, tell};
    use crate::testing::{on_both, server_of};

    #[test]
    fn an_archive_is_level_with_what_the_newest_log_has() {
        let end = |number, to, ends_log| {
            let log = if number == 7 { "bin.000007" } else { "bin.000008" };
            Some(End { log, number, to, ends_log })
        };
        let newest = ServerLog { name: "bin.000008".to_owned(), number: 8, size_bytes: 400 };
        for (case, end, expected) in [
            ("all of it", end(8, 400, false), Standing::Level),
            ("a part of it", end(8, 300, false), Standing::Behind),
            ("all before it", end(7, 900, true), Standing::BeforeNewest),
            ("a part of the one before it", end(7, 900, false), Standing::Behind),
            ("nothing", None, Standing::Behind),
        ] {
            assert_eq!(standing(end, Some(&newest)), expected, "{case}");
        }
        let later = ServerLog { name: "bin.000010".to_owned(), number: 10, ..newest };
        assert_eq!(standing(end(8, 400, true), Some(&later)), Standing::Behind);
        assert_eq!(standing(end(8, 400, true), None), Standing::Behind);
    }

    #[test]
    fn what_is_level_lags_by_nothing_however_long_ago_it_was_covered() {
        let covered: Timestamp = "2026-11-22T16:00:00Z".parse().unwrap();
        for (seconds, is_level, expected) in
            [(90.0, false, (90, 90)), (90.9, true, (90, 0)), (0.9, false, (0, 0)), (-5.0, false, (0, 0))]
        {
            let now = covered + jiff::SignedDuration::from_secs_f64(seconds);
            let lag = Lag::of(now, covered, is_level);
            assert_eq!((lag.rpo_seconds, lag.lag_seconds), expected, "{seconds} s");
        }
    }

    on_both!(a_row_written_after_the_last_look_makes_a_lag);
    async fn a_row_written_after_the_last_look_makes_a_lag(flavour: Flavour) {
        let server = server_of(flavour, "primary").await;
        let lab = Lab::of(&[&server]);
        tell(&server, &["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]).await;
        let mut open = server.login().connect().await.unwrap();
        // The log that is written, and then one that has ended.
        for (more, row) in
            [(serde_json::json!({ "follow": true, "stop_after": "0s" }), 1), (serde_json::json!({}), 2)]
        {
            let covered = lab.try_archive(more).await.unwrap().covered_until.unwrap();
            let last = lab.timelines().await.remove(0).segments.pop().unwrap();
            tokio::time::sleep(Duration::from_millis(1100)).await;
            let before = Lag::measure(&mut open, Some(&last), covered).await.unwrap();
            assert!(before.rpo_seconds > 0 && before.lag_seconds == 0, "{before:?}");

            tell(&server, &[&format!("INSERT INTO shop.t VALUES ({row})")]).await;

            let after = Lag::measure(&mut open, Some(&last), covered).await.unwrap();
            assert!(after.lag_seconds > 0 && after.lag_seconds == after.rpo_seconds, "{after:?}");
        }
        open.session.close().await;
    }
}
