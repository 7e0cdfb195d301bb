//! From the size of servers and the time of one restore to the time of another.

use std::time::Duration;

use rekindle_backup::manifest::Flavour;
use rekindle_backup::verdict::Drill;
use rekindle_engine::environment::Settings;

use crate::connection::{Server, quote_identifier};
use crate::error::ServerError;
use crate::inventory::is_user_database;

/// Whether a server's statistics may be made anew for a better estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistics {
    /// `ANALYZE TABLE` every table: right after a restore there are none yet.
    Renew,
    /// Take those that are there: nothing is written.
    AsTheyAre,
}

/// Gives the bytes of data and indexes outside the system databases, as the server estimates them.
pub(super) async fn data_bytes(server: &mut Server, statistics: Statistics) -> Result<u64, ServerError> {
    let session = &mut server.session;
    if server.version.is_at_least(Flavour::Mysql, (8, 0, 0)) {
        let fresh = "SET SESSION information_schema_stats_expiry = 0";
        session.run("show statistics as they are", fresh).await?;
    }
    let tables = "SELECT table_schema, table_name, COALESCE(data_length + index_length, 0) \
         FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')";
    let mut sizes: Vec<(String, String, u64)> = session.rows("tell the size of its tables", tables).await?;
    sizes.retain(|(database, ..)| is_user_database(database));
    if statistics == Statistics::Renew {
        for (database, table, _) in &sizes {
            let name = format!("{}.{}", quote_identifier(database), quote_identifier(table));
            let statement = format!("ANALYZE NO_WRITE_TO_BINLOG TABLE {name}");
            session.run(&format!("look at the size of {database}.{table}"), &statement).await?;
        }
        sizes = session.rows("tell the size of its tables", tables).await?;
        sizes.retain(|(database, ..)| is_user_database(database));
    }
    Ok(sizes.iter().map(|(_, _, bytes)| bytes).sum())
}

/// Says how long a recovery is expected to take, and whether that keeps the promise of the environment.
pub(super) fn words(drill: &Drill, production_bytes: u64, settings: &Settings) -> (String, Option<String>) {
    let Some(predicted) = drill.predict_ms(production_bytes).map(Duration::from_millis) else {
        return ("there was nothing to restore, so nothing is predicted".to_owned(), None);
    };
    let told = format!(
        "restoring {} of data and indexes took {} here; {} would take about {}",
        mebibytes(drill.data_bytes),
        seconds(Duration::from_millis(drill.restore_ms)),
        mebibytes(production_bytes),
        seconds(predicted)
    );
    let promised = settings.objectives.as_ref().and_then(|objectives| objectives.rto);
    let broken = promised.filter(|rto| predicted > rto.0).map(|rto| {
        format!(
            "the RTO of {rto} can't be kept: the restore alone of {} takes about {}",
            mebibytes(production_bytes),
            seconds(predicted)
        )
    });
    (told, broken)
}

fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB)
}

fn seconds(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    match tenths / 600 {
        0 => format!("{}.{} s", tenths / 10, tenths % 10),
        minutes => format!("{minutes} min {} s", tenths % 600 / 10),
    }
}

#[cfg(test)]
mod tests {
    use rekindle_engine::environment::Objectives;
    use rekindle_engine::values::{DurationText, parse_duration};

    use super::*;

    #[test]
    fn a_promise_that_the_drill_does_not_bear_out_is_told() {
        let drill = Drill { restore_ms: 30_000, data_bytes: 3 << 20, checksums: 0, server: String::new() };
        let promised = |rto: &str| Settings {
            objectives: Some(Objectives {
                rto: Some(DurationText(parse_duration(rto).unwrap())),
                rpo: None,
                recovery_window: None,
            }),
            ..Settings::default()
        };
        let (told, broken) = words(&drill, 9 << 20, &promised("1m"));
        insta::assert_snapshot!(told, @"restoring 3.0 MiB of data and indexes took 30.0 s here; 9.0 MiB would take about 1 min 30 s");
        insta::assert_snapshot!(broken.unwrap(), @"the RTO of 1m can't be kept: the restore alone of 9.0 MiB takes about 1 min 30 s");
        assert_eq!(words(&drill, 9 << 20, &promised("2m")).1, None);
        assert_eq!(words(&drill, 9 << 20, &Settings::default()).1, None);
        let nothing = Drill { data_bytes: 0, ..drill };
        assert_eq!(words(&nothing, 9, &promised("1m")).1, None);
    }
}
