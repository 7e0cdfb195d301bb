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
            let errors: Vec<&str> = errors.map(|(_, _, _, text)| text.as_str()).collect();
            if !errors.is_empty() {
                damaged.push(format!("table {database}.{table} is damaged: {}", errors.join("; ")));
            }
        }
    }
    Ok(damaged)
}

#[cfg(test)]
pub(crate) mod tests {
    use rekindle_backup::manifest::Flavour;
    use rekindle_engine::testing::context;

    use super::*;
    use crate::binlogs::testing::tell;
    use crate::sandbox::testing::TempServer;
    use crate::testing::{on_both, server_of, world_of};

    /// Makes two tables `marred.rows` and `marred.keys`, beside a sound one, and overwrites what they are named after.
    pub(crate) async fn mar(server: &TempServer) {
        let mut statements = vec!["CREATE DATABASE marred".to_owned()];
        for table in ["rows", "keys", "sound"] {
            statements.push(format!(
                "CREATE TABLE marred.`{table}` (id INT PRIMARY KEY, v VARCHAR(200)) ENGINE=MyISAM"
            ));
            statements.push(format!(
                "INSERT INTO marred.`{table}` VALUES (1, REPEAT('a', 99)), (2, REPEAT('b', 99)), (3, 'c')"
            ));
        }
        statements.push("FLUSH TABLES".to_owned());
        tell(server, &statements.iter().map(String::as_str).collect::<Vec<_>>()).await;
        // The head of the first row, and the only page of the index: its first KiB says what columns there are.
        for (file, from, to) in [("rows.MYD", 0, 40), ("keys.MYI", 1024, 2048)] {
            let path = server.directory().join("data/marred").join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[from..to].fill(0xff);
            std::fs::write(&path, bytes).unwrap();
        }
        tell(server, &["FLUSH TABLES"]).await;
    }

    on_both!(damage_is_told_with_the_name_of_its_table);
    async fn damage_is_told_with_the_name_of_its_table(flavour: Flavour) {
        let server = server_of(flavour, "primary").await;
        mar(&server).await;
        let (world, settings) = world_of(&[("primary", server.login())]);
        let test = context(&world).settings(settings).build();
        let mut open = server.login().connect().await.unwrap();
        let names = crate::inventory::read_names(&mut open.session).await.unwrap();
        // A server remembers damage that it has seen: the quick look comes first.
        let quick = damaged(&mut open, &names, Look::Quick, &test.cx).await.unwrap();
        let [found] = &quick[..] else { panic!("rows are not looked at: {quick:?}") };
        assert!(found.starts_with("table marred.keys is damaged: ") && found.ends_with("Corrupt"), "{found}");

        let whole = damaged(&mut open, &names, Look::Whole, &test.cx).await.unwrap();

        let [keys, rows] = &whole[..] else { panic!("{whole:?}") };
        assert!(keys.starts_with("table marred.keys is damaged: ") && keys.ends_with("Corrupt"), "{keys}");
        assert!(rows.starts_with("table marred.rows is damaged: ") && rows.ends_with("Corrupt"), "{rows}");
    }
}
