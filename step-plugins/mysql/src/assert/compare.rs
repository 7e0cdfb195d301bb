//! Two live servers: the same objects, as many rows, and the same checksum of every table.

use std::time::Duration;

use rekindle_backup::inventory::Inventory;
use rekindle_engine::step::{Progress, StepContext, StepError};

use crate::checksum::checksum;
use crate::connection::Server;
use crate::inventory;

/// How often tables that differ are looked at again: one that is being written to, or that a replica has not
/// caught up with yet, is equal a moment later.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Compares, and gives every difference by name; also how many tables have been compared.
pub(super) async fn compare(
    one: &mut Server,
    one_inventory: &Inventory,
    other: &mut Server,
    cx: &StepContext,
) -> Result<(Vec<String>, usize), StepError> {
    if one.version.flavour != other.version.flavour {
        return Err(StepError::permanent(format!(
            "`{}` is {} and `{}` is {}: their checksums can't be compared",
            one.session.target(),
            one.version,
            other.session.target(),
            other.version
        )));
    }
    let other_inventory = inventory::read(&mut other.session).await?;
    let mut differences: Vec<String> =
        one_inventory.compare(&other_inventory).iter().map(ToString::to_string).collect();
    let tables = common_tables(one_inventory, &other_inventory);
    for (done, (database, table)) in tables.iter().enumerate() {
        if cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        let note = format!("table {database}.{table}, {done} of {}", tables.len());
        cx.progress(Progress { note, ..Progress::default() });
        if let Some(difference) = compare_table(database, table, one, other, cx).await? {
            differences.push(difference);
        }
    }
    Ok((differences, tables.len()))
}

fn common_tables(one: &Inventory, other: &Inventory) -> Vec<(String, String)> {
    one.databases
        .iter()
        .filter_map(|(name, database)| Some((name, database, other.databases.get(name)?)))
        .flat_map(|(name, database, other)| {
            let tables = database.tables.keys().filter(|table| other.tables.contains_key(*table));
            tables.map(move |table| (name.clone(), table.clone()))
        })
        .collect()
}

async fn compare_table(
    database: &str,
    table: &str,
    one: &mut Server,
    other: &mut Server,
    cx: &StepContext,
) -> Result<Option<String>, StepError> {
    let mut found = (None, None);
    for look in 1..=LOOKS {
        found = (
            checksum(&mut one.session, database, table).await?,
            checksum(&mut other.session, database, table).await?,
        );
        if found.0.is_some() && found.0 == found.1 {
            return Ok(None);
        }
        if look < LOOKS {
            cx.world().clock.sleep(PAUSE).await;
        }
    }
    let show = |sum: Option<String>| sum.unwrap_or_else(|| "no checksum".to_owned());
    Ok(Some(format!(
        "the rows of table {database}.{table} differ: checksum {} in `{}`, {} in `{}`",
        show(found.0),
        one.session.target(),
        show(found.1),
        other.session.target()
    )))
}
