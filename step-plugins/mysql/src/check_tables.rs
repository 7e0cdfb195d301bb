//! Tables that the server itself finds damaged (`CHECK TABLE`): an inventory in, words out.

use rekindle_backup::inventory::Inventory;
use rekindle_engine::step::{StepContext, StepError};

use crate::connection::{Server, quote_identifier};

/// How closely it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Not at every row, where the engine knows how.
    Quick,
    /// At all of it.
    Whole,
}

/// Says of each table that is damaged what the server says of it. Views and engines that can't be checked are none.
///
/// # Errors
/// When the server can't be asked, and when the operator cancels.
pub(crate) async fn damaged(
    server: &mut Server,
    found: &Inventory,
    look: Look,
    cx: &StepContext,
) -> Result<Vec<String>, StepError> {
    let how = match look {
        Look::Quick => " QUICK",
        Look::Whole => "",
    };
    let mut damaged = Vec::new();
    for (database, held) in &found.databases {
        for table in held.tables.keys() {
            if cx.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            let name = format!("{}.{}", quote_identifier(database), quote_identifier(table));
            let what = format!("check the table {database}.{table}");
            let said: Vec<(String, String, String, String)> =
                server.session.rows(&what, &format!("CHECK TABLE {name}{how}")).await?;
            let errors = said.iter().filter(|(_, _, kind, text)| {
                kind.eq_ignore_ascii_case("error") || (kind == "status" && text != "OK")
            });
            damaged
                .extend(errors.map(|(_, _, _, text)| format!("table {database}.{table} is damaged: {text}")));
        }
    }
    Ok(damaged)
}
