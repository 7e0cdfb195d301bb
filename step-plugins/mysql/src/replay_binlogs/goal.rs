//! How far to replay: from what a runbook says to one goal.

use jiff::Timestamp;
use rekindle_backup::binlog::{Gtid, Segment, Transaction, log_number};
use rekindle_engine::step::StepError;

use super::Until;

/// How far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// Before the first transaction of this time or later.
    Time(Timestamp),
    /// After this transaction.
    After(Gtid),
    /// Before this transaction.
    Before(Gtid),
    /// Before the transaction that ends after this position.
    Position { log: String, number: u64, position: u64 },
    /// As far as the archive reaches.
    End,
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(time) => write!(f, "{time}"),
            Self::After(gtid) => write!(f, "the end of transaction {gtid}"),
            Self::Before(gtid) => write!(f, "the beginning of transaction {gtid}"),
            Self::Position { log, position, .. } => write!(f, "position {position} of {log}"),
            Self::End => f.write_str("the end of the archive"),
        }
    }
}

impl Goal {
    /// Reads the one field that is given.
    pub(super) fn read(until: &Until) -> Result<Self, StepError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let position = until.position.filter(|position| *position > 0);
        let mut goals = Vec::new();
        if let Some(time) = given(&until.time) {
            goals.push(read_time(&time)?);
        }
        if let Some(gtid) = given(&until.gtid) {
            goals.push(Self::After(read_gtid(&gtid)?));
        }
        if let Some(gtid) = given(&until.before_gtid) {
            goals.push(Self::Before(read_gtid(&gtid)?));
        }
        match (given(&until.log), position) {
            (Some(log), Some(position)) => match log_number(&log) {
                Some(number) => goals.push(Self::Position { log, number, position }),
                None => return Err(StepError::permanent(format!("`{log}` is no name of a binary log"))),
            },
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                return Err(StepError::permanent("`until` has only one of `log` and `position`")
                    .help("give both: `until: { log: bin.000012, position: 4711 }`"));
            }
        }
        if until.end {
            goals.push(Self::End);
        }
        match (goals.pop(), goals.is_empty()) {
            (Some(goal), true) => Ok(goal),
            (None, _) => Err(StepError::permanent("`until` does not say how far").help(
                "give a `time`, a `gtid`, a `before_gtid`, a `log` with its `position`, or `end: true`",
            )),
            (Some(_), false) => {
                Err(StepError::permanent("`until` says how far in more than one way")
                    .help("give one of them"))
            }
        }
    }

    /// Tells whether the first transaction that is not kept may be in a segment.
    pub(super) fn may_be_in(&self, segment: &Segment) -> bool {
        match self {
            Self::Time(time) => segment.last_at.is_some_and(|last| last >= *time),
            Self::After(gtid) | Self::Before(gtid) => segment.after_it().is_none_or(|after| {
                after.contains(gtid) && !segment.before().is_some_and(|set| set.contains(gtid))
            }),
            Self::Position { number, position, .. } => {
                segment.number > *number || (segment.number == *number && segment.to >= *position)
            }
            Self::End => false,
        }
    }

    /// Tells whether a transaction is the first one that is not kept; `reached` is set by the one that is the goal.
    pub(super) fn ends_before(
        &self,
        segment: &Segment,
        transaction: &Transaction,
        reached: &mut bool,
    ) -> bool {
        match self {
            Self::Time(time) => i64::from(transaction.at) >= time.as_second(),
            Self::After(gtid) => {
                if *reached {
                    return true;
                }
                *reached = transaction.gtid.as_ref() == Some(gtid);
                false
            }
            Self::Before(gtid) => transaction.gtid.as_ref() == Some(gtid),
            Self::Position { number, position, .. } => {
                segment.number > *number || (segment.number == *number && transaction.end > *position)
            }
            Self::End => false,
        }
    }
}

/// Reads a time that says its offset or its zone.
fn read_time(text: &str) -> Result<Goal, StepError> {
    let text = text.trim();
    let read = text
        .parse::<Timestamp>()
        .or_else(|error| text.parse::<jiff::Zoned>().map(|zoned| zoned.timestamp()).map_err(|_| error));
    let time = read.map_err(|_| {
        StepError::permanent(format!("`{text}` is no time that means one moment everywhere")).help(
            "write it with its offset or zone: `2026-11-22T15:35:00Z`, `2026-11-22T16:35:00+01:00`, \
             `2026-11-22T16:35:00[Europe/Berlin]`",
        )
    })?;
    if time.subsec_nanosecond() != 0 {
        return Err(StepError::permanent(format!(
            "`{text}` has parts of a second, and binary logs have none"
        ))
        .help("give a whole second, or the `gtid` of a transaction"));
    }
    Ok(Goal::Time(time))
}

/// Reads the GTID of one transaction.
pub(super) fn read_gtid(text: &str) -> Result<Gtid, StepError> {
    Gtid::read(text).ok_or_else(|| {
        StepError::permanent(format!("`{text}` is no GTID of one transaction"))
            .help("MariaDB's look like `0-1-4711`, MySQL's like `3e11fa47-71ca-11e1-9e33-c80aa9429562:4711`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(until: serde_json::Value) -> String {
        match Goal::read(&serde_json::from_value(until).unwrap()) {
            Ok(goal) => goal.to_string(),
            Err(error) => format!("{error}; {}", error.help.as_deref().unwrap_or_default()),
        }
    }

    #[test]
    fn a_time_means_one_moment_whatever_the_zone_of_the_runner_is() {
        for text in [
            "2027-03-28T01:30:00Z",
            "2027-03-28T03:30:00+02:00",
            "2027-03-28T03:30:00[Europe/Berlin]",
            "2027-03-28T10:30:00+09:00[Asia/Seoul]",
        ] {
            assert_eq!(read(serde_json::json!({ "time": text })), "2027-03-28T01:30:00Z", "{text}");
        }
        insta::assert_snapshot!(read(serde_json::json!({ "time": "2027-03-28 03:30:00" })), @"`2027-03-28 03:30:00` is no time that means one moment everywhere; write it with its offset or zone: `2026-11-22T15:35:00Z`, `2026-11-22T16:35:00+01:00`, `2026-11-22T16:35:00[Europe/Berlin]`");
        insta::assert_snapshot!(read(serde_json::json!({ "time": "2027-03-28T03:30:00.5Z" })), @"`2027-03-28T03:30:00.5Z` has parts of a second, and binary logs have none; give a whole second, or the `gtid` of a transaction");
    }

    #[test]
    fn how_far_is_said_in_one_way() {
        insta::assert_snapshot!(read(serde_json::json!({})), @"`until` does not say how far; give a `time`, a `gtid`, a `before_gtid`, a `log` with its `position`, or `end: true`");
        insta::assert_snapshot!(read(serde_json::json!({ "end": true, "gtid": "0-1-5" })), @"`until` says how far in more than one way; give one of them");
        insta::assert_snapshot!(read(serde_json::json!({ "log": "bin.000012" })), @"`until` has only one of `log` and `position`; give both: `until: { log: bin.000012, position: 4711 }`");
        insta::assert_snapshot!(read(serde_json::json!({ "gtid": "0-1-5,1-1-1" })), @"`0-1-5,1-1-1` is no GTID of one transaction; MariaDB's look like `0-1-4711`, MySQL's like `3e11fa47-71ca-11e1-9e33-c80aa9429562:4711`");
        assert_eq!(
            read(serde_json::json!({ "time": "", "gtid": "0-1-5", "position": 0 })),
            "the end of transaction 0-1-5"
        );
        assert_eq!(
            read(serde_json::json!({ "log": "bin.000012", "position": 5 })),
            "position 5 of bin.000012"
        );
    }
}
