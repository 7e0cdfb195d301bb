//! A point in the binary logs that a backup has to lie before, and whether it does. Pure.

use rekindle_backup::binlog::{Gtid, Place, log_number};
use rekindle_backup::catalogue::Summary;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepError;
use schemars::JsonSchema;
use serde::Deserialize;

/// A position in the binary logs of a server. An empty `log` counts as none given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogPosition {
    /// The log: `bin.000012`.
    pub log: String,
    /// Where in it.
    #[serde(default)]
    pub position: u64,
    /// Whose log, as the server's folder below `binlogs/CLUSTER/` is called. When absent or empty that of the server that
    /// the newest backup is of.
    #[serde(default)]
    pub server: String,
}

/// What a backup has to lie before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Point {
    /// This transaction: it must not be in it.
    Transaction(Gtid),
    /// This position, which it may stand at.
    Position { place: Place, server: String },
}

impl Point {
    /// Reads what is given.
    ///
    /// # Errors
    /// When it names no transaction, or no position of a log.
    pub(super) fn read(gtid: Option<&str>, position: Option<&LogPosition>) -> Result<Vec<Self>, StepError> {
        let mut points = Vec::new();
        if let Some(text) = gtid.filter(|text| !text.trim().is_empty()) {
            let gtid = Gtid::read(text).ok_or_else(|| {
                StepError::permanent(format!("`before_gtid`: `{text}` is no GTID of one transaction")).help(
                    "MariaDB's look like `0-1-4711`, MySQL's like `3e11fa47-71ca-11e1-9e33-c80aa9429562:4711`",
                )
            })?;
            points.push(Self::Transaction(gtid));
        }
        match position {
            Some(LogPosition { log, position: position @ 1.., server }) if !log.trim().is_empty() => {
                let log = log.trim();
                let number = log_number(log).ok_or_else(|| {
                    StepError::permanent(format!("`before_position`: `{log}` is no name of a binary log"))
                        .help("they look like `bin.000012`; the server tells its own by SHOW BINARY LOGS")
                })?;
                let place = Place { log: log.to_owned(), number, position: *position };
                points.push(Self::Position { place, server: server.clone() });
            }
            Some(LogPosition { log, position: 0, .. }) if log.trim().is_empty() => {}
            None => {}
            Some(_) => {
                return Err(StepError::permanent("`before_position` has only one of `log` and `position`")
                    .help("give both: `{ log: bin.000012, position: 4711 }`"));
            }
        }
        Ok(points)
    }

    /// Says why a backup does not lie before it. `newest` is the server that the newest one is of.
    pub(super) fn refuses(&self, summary: &Summary, newest: &str) -> Option<String> {
        let point = &summary.log_point;
        match self {
            Self::Transaction(gtid) => {
                let its = match gtid {
                    Gtid::Mysql { .. } => Flavour::Mysql,
                    Gtid::Mariadb { .. } => Flavour::Mariadb,
                };
                if its != summary.flavour {
                    return Some(format!("is of a server that has no GTIDs like {gtid}"));
                }
                // A server of MariaDB that logs states none when it has none; one that does not log has none to state.
                let known = point.gtids(summary.flavour).filter(|set| !set.is_empty() || point.log.is_some());
                match known {
                    None => Some(format!("does not know whether it has the transaction {gtid}")),
                    Some(gtids) if gtids.contains(gtid) => {
                        Some(format!("has the transaction {gtid} already"))
                    }
                    Some(_) => None,
                }
            }
            Self::Position { place, server } => {
                let (of, server) = (&point.server, if server.is_empty() { newest } else { server });
                if server != of {
                    return Some(format!("is of `{of}`, and knows no position of `{server}`"));
                }
                let Some(its) = point.place() else {
                    return Some("does not know its place in the binary logs".to_owned());
                };
                if series(&its.log) != series(&place.log) {
                    return Some(format!("is of {}, and the logs are called otherwise", its.log));
                }
                let is_later = (its.number, its.position) > (place.number, place.position);
                is_later.then(|| format!("is of {} at {}, which is too late", its.log, its.position))
            }
        }
    }
}

/// Gives what the names of a server's logs have in common: `bin` of `bin.000012`.
fn series(log: &str) -> &str {
    log.rsplit_once('.').map_or(log, |(series, _)| series)
}
