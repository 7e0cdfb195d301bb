//! A replica's status: from the row of `SHOW REPLICA STATUS`, in the old words or the new, to [`ReplicaStatus`].

use mysql_async::prelude::Queryable as _;
use mysql_async::{Row, Value};

use super::statements::Dialect;
use crate::connection::Server;
use crate::error::ServerError;

/// An error of one of a replica's threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ThreadError {
    /// The server's error number.
    pub(crate) code: u32,
    /// Its text.
    pub(crate) message: String,
}

/// How a replica remembers where it is in its source's binary log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowsBy {
    /// By GTID.
    Gtid,
    /// By file and position.
    FilePosition,
}

/// How a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplicaStatus {
    /// Its source's host.
    pub(crate) host: String,
    /// Its source's port.
    pub(crate) port: u16,
    /// Whether the thread that reads from the source is connected.
    pub(crate) receives: bool,
    /// Whether the thread that applies runs.
    pub(crate) applies: bool,
    /// How it remembers where it is.
    pub(crate) follows_by: FollowsBy,
    /// How far it is behind, when it knows.
    pub(crate) seconds_behind: Option<u64>,
    /// Whether it has applied everything that it has received.
    pub(crate) has_applied_all: bool,
    /// Why it does not receive.
    pub(crate) receive_error: Option<ThreadError>,
    /// Why it does not apply.
    pub(crate) apply_error: Option<ThreadError>,
}

impl ReplicaStatus {
    /// Asks a server; `None` when it has no source.
    pub(crate) async fn read(server: &mut Server) -> Result<Option<Self>, ServerError> {
        let query = Dialect::of(&server.version).show_status();
        let row: Option<Row> = server
            .session
            .conn
            .query_first(query)
            .await
            .map_err(|error| server.session.error("tell its replica status", &error))?;
        Ok(row.map(|row| Self::of(&Columns(&row))))
    }

    fn of(row: &Columns<'_>) -> Self {
        let text = |name: &str| row.text(name).unwrap_or_default();
        let number = |name: &str| row.text(name).and_then(|text| text.parse::<u64>().ok());
        let error = |code: &str, message: &str| {
            let code = number(code).and_then(|code| u32::try_from(code).ok()).filter(|code| *code != 0)?;
            Some(ThreadError { code, message: text(message) })
        };
        let received = (row.text("Master_Log_File"), number("Read_Master_Log_Pos"));
        let applied = (row.text("Relay_Master_Log_File"), number("Exec_Master_Log_Pos"));
        Self {
            host: text("Master_Host"),
            port: number("Master_Port").and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
            receives: text("Slave_IO_Running") == "Yes",
            applies: text("Slave_SQL_Running") == "Yes",
            follows_by: match (text("Auto_Position").as_str(), text("Using_Gtid").as_str()) {
                ("1", _) | (_, "Slave_Pos" | "Current_Pos") => FollowsBy::Gtid,
                _ => FollowsBy::FilePosition,
            },
            seconds_behind: number("Seconds_Behind_Master"),
            has_applied_all: received == applied,
            receive_error: error("Last_IO_Errno", "Last_IO_Error"),
            apply_error: error("Last_SQL_Errno", "Last_SQL_Error"),
        }
    }

    /// Tells whether it receives and applies. How far it is, its GTIDs tell: MySQL moves its file positions only after it has
    /// told that a GTID is applied.
    pub(crate) fn runs(&self) -> bool {
        self.receives && self.applies && self.receive_error.is_none() && self.apply_error.is_none()
    }

    /// Says why it has not caught up; `None` when it has.
    pub(crate) fn not_caught_up(&self) -> Option<String> {
        if let Some(error) = self.apply_error.as_ref().or(self.receive_error.as_ref()) {
            return Some(format!("replication has error {}: {}", error.code, error.message));
        }
        if !self.receives {
            return Some("it is not connected to its source".to_owned());
        }
        if !self.applies {
            return Some("its applier does not run".to_owned());
        }
        match self.seconds_behind {
            Some(0) if self.has_applied_all => None,
            Some(seconds) => Some(format!("it is {seconds} s behind its source")),
            None => Some("it does not know how far it is behind its source".to_owned()),
        }
    }
}

/// A row by its column names in the old words; MySQL from 8.0.22 on has the new ones.
struct Columns<'a>(&'a Row);

impl Columns<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let renamed = name.replace("Master", "Source").replace("Slave", "Replica");
        let columns = self.0.columns_ref();
        let index = columns.iter().position(|column| {
            let found = column.name_str();
            found == name || found == renamed.as_str()
        })?;
        match self.0.as_ref(index)? {
            Value::NULL => None,
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> ReplicaStatus {
        ReplicaStatus {
            host: "db-1".to_owned(),
            port: 3306,
            receives: true,
            applies: true,
            follows_by: FollowsBy::Gtid,
            seconds_behind: Some(0),
            has_applied_all: true,
            receive_error: None,
            apply_error: None,
        }
    }

    #[test]
    fn caught_up_is_all_received_and_all_applied() {
        assert_eq!(status().not_caught_up(), None);
        for worse in [
            ReplicaStatus { receives: false, ..status() },
            ReplicaStatus { applies: false, ..status() },
            ReplicaStatus { seconds_behind: None, ..status() },
            ReplicaStatus { seconds_behind: Some(3), ..status() },
            ReplicaStatus { has_applied_all: false, ..status() },
        ] {
            assert!(worse.not_caught_up().is_some(), "{worse:?}");
        }
        let error = ThreadError { code: 1236, message: "not in the binlog".to_owned() };
        let broken = ReplicaStatus { receive_error: Some(error), ..status() };
        insta::assert_snapshot!(broken.not_caught_up().unwrap(), @"replication has error 1236: not in the binlog");
    }
}
