//! A part of a backup: which databases and tables, and under which names they come back.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_backup::dump::{Outline, TableMembers};
use rekindle_backup::inventory::{Inventory, MARKER_DATABASE, table_named};
use rekindle_backup::manifest::DumpIndex;
use rekindle_engine::step::StepError;
use serde::{Deserialize, Serialize};

use super::Params;
use super::loaded::TableName;

/// What is taken out of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Whole databases: name in the backup → name on the server.
    pub(super) databases: BTreeMap<String, String>,
    /// Single tables.
    pub(super) tables: Vec<TablePart>,
}

/// A table by its name in the backup and the one on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TablePart {
    pub(super) from: TableName,
    pub(super) to: TableName,
}

impl TablePart {
    /// Tells whether its triggers come along: their names, and what they are on, are those of the table.
    pub(super) fn has_triggers(&self) -> bool {
        self.from.1 == self.to.1
    }
}

/// Writes `database.table` for people.
pub(super) fn shown((database, table): &TableName) -> String {
    format!("{database}.{table}")
}

impl Part {
    /// Reads what a runbook asks for; nothing when it is the whole.
    ///
    /// # Errors
    /// When the backup has no such database or table, or two of them would get one name.
    pub(super) fn of(params: &Params, backup: &Inventory) -> Result<Option<Self>, StepError> {
        if !params.is_partial() {
            if params.rename.is_empty() {
                return Ok(None);
            }
            return Err(StepError::permanent("`rename` is for databases and tables that are named")
                .help("name them under `databases` or `tables`"));
        }
        let mut part = Self::default();
        let mut unused: BTreeSet<&str> = params.rename.keys().map(String::as_str).collect();
        for name in &params.databases {
            if !backup.databases.contains_key(name) {
                return Err(missing(&format!("database `{name}`"), backup));
            }
            unused.remove(name.as_str());
            let to = params.rename.get(name).unwrap_or(name);
            part.databases.insert(name.clone(), to.clone());
        }
        for name in &params.tables {
            let from = find(name, backup).ok_or_else(|| missing(&format!("table `{name}`"), backup))?;
            let of_database = params.rename.get(&from.0);
            unused.remove(from.0.as_str());
            unused.remove(name.as_str());
            let to = match params.rename.get(name) {
                Some(to) => split(to)?,
                None => (of_database.unwrap_or(&from.0).clone(), from.1.clone()),
            };
            part.tables.push(TablePart { from, to });
        }
        if let Some(name) = unused.first() {
            return Err(StepError::permanent(format!("`rename` names `{name}`, which is not restored"))
                .help("name it under `databases` or `tables` as well"));
        }
        part.check()?;
        Ok(Some(part))
    }

    fn check(&self) -> Result<(), StepError> {
        let twice = |name: &str| {
            StepError::permanent(format!("two things would be restored as `{name}`"))
                .help("give one of them another name with `rename`")
        };
        let mut seen = BTreeSet::new();
        for to in self.databases.values() {
            if !seen.insert(to) {
                return Err(twice(to));
            }
        }
        let mut tables = BTreeSet::new();
        for table in &self.tables {
            if seen.contains(&table.to.0) || !tables.insert(&table.to) {
                return Err(twice(&shown(&table.to)));
            }
        }
        Ok(())
    }

    /// Gives the database that tables of this one are loaded into, before they are moved to their place.
    pub(super) fn scratch(&self, database: &str) -> Option<String> {
        let all: BTreeSet<&str> = self.tables.iter().map(|table| table.from.0.as_str()).collect();
        let number = all.iter().position(|name| *name == database)?;
        Some(format!("{MARKER_DATABASE}.{}", number + 1))
    }

    /// Gives all of them.
    pub(super) fn scratches(&self) -> BTreeSet<String> {
        self.tables.iter().filter_map(|table| self.scratch(&table.from.0)).collect()
    }

    /// Tells whether this is one of its tables, and which.
    pub(super) fn table(&self, table: &TableMembers) -> Option<&TablePart> {
        self.tables.iter().find(|part| part.from.0 == table.database && part.from.1 == table.table)
    }

    /// Gives the name that a table of the backup has on the server, also one that is not restored.
    pub(super) fn name_of(&self, database: &str, table: &str) -> TableName {
        let moved = self.tables.iter().find(|part| part.from.0 == database && part.from.1 == table);
        match (moved, self.databases.get(database)) {
            (Some(part), _) => part.to.clone(),
            (None, Some(to)) => (to.clone(), table.to_owned()),
            (None, None) => (database.to_owned(), table.to_owned()),
        }
    }

    /// Leaves only its members.
    pub(super) fn narrow(&self, outline: &Outline, index: &DumpIndex) -> Outline {
        let is_of =
            |database: Option<&String>| database.is_some_and(|name| self.databases.contains_key(name));
        let mut outline = outline.clone();
        outline.tables.retain(|table| is_of(Some(&table.database)) || self.table(table).is_some());
        outline
            .others
            .retain(|number| index.members.get(*number).is_some_and(|m| is_of(m.database.as_ref())));
        outline
    }

    /// Gives what the server must hold of it, by the names there.
    pub(super) fn expected(&self, backup: &Inventory) -> Inventory {
        let mut expected = Inventory::default();
        for (from, to) in &self.databases {
            let database = backup.databases.get(from).cloned().unwrap_or_default();
            expected.databases.insert(to.clone(), database);
        }
        for table in &self.tables {
            let Some(database) = backup.databases.get(&table.from.0) else { continue };
            let into = expected.databases.entry(table.to.0.clone()).or_default();
            let rows = database.tables.get(&table.from.1).cloned().unwrap_or_default();
            into.tables.insert(table.to.1.clone(), rows);
            if table.has_triggers() {
                let of_table = database.triggers.iter().filter(|(_, trigger)| trigger.table == table.from.1);
                for (name, trigger) in of_table {
                    into.triggers.insert(name.clone(), trigger.clone());
                    let definer = database.definers.get_key_value(&format!("TRIGGER {name}"));
                    into.definers.extend(definer.map(|(what, definer)| (what.clone(), definer.clone())));
                }
            }
        }
        expected
    }

    /// Leaves of what a server holds only what is of it.
    pub(super) fn retain(&self, found: &mut Inventory) {
        let whole: BTreeSet<&String> = self.databases.values().collect();
        let tables: BTreeSet<&TableName> = self.tables.iter().map(|table| &table.to).collect();
        found.databases.retain(|name, database| {
            if whole.contains(name) {
                return true;
            }
            let is_of = |table: &String| tables.contains(&(name.clone(), table.clone()));
            database.tables.retain(|table, _| is_of(table));
            database.triggers.retain(|_, trigger| is_of(&trigger.table));
            database.views.clear();
            database.routines.clear();
            database.events.clear();
            database.sequences.clear();
            !database.tables.is_empty()
        });
    }
}

/// Finds `database.table`; either may have dots in its name.
fn find(name: &str, backup: &Inventory) -> Option<TableName> {
    table_named(name, |database, table| {
        let found = backup.databases.get(database)?;
        found.tables.contains_key(table).then(|| (database.to_owned(), table.to_owned()))
    })
}

fn split(name: &str) -> Result<TableName, StepError> {
    match name.split_once('.') {
        Some((database, table)) if !database.is_empty() && !table.is_empty() => {
            Ok((database.to_owned(), table.to_owned()))
        }
        Some(_) | None => Err(StepError::permanent(format!("`{name}` is no name for a table"))
            .help("write `database.table`, as in `shop.orders_before`")),
    }
}

fn missing(what: &str, backup: &Inventory) -> StepError {
    let names: Vec<_> = backup.databases.keys().take(5).map(String::as_str).collect();
    StepError::permanent(format!("the backup has no {what}"))
        .help(format!("its databases are {}; a table is named `database.table`", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backup() -> Inventory {
        let table = json!({ "rows": 1 });
        serde_json::from_value(json!({ "databases": {
            "shop": { "tables": { "orders": table, "items": table },
                "triggers": { "keep": { "table": "orders", "timing": "BEFORE", "event": "DELETE" } } },
            "a.b": { "tables": { "c.d": table } },
        }}))
        .unwrap()
    }

    #[allow(clippy::needless_pass_by_value)]
    fn part(more: serde_json::Value) -> Result<Option<Part>, StepError> {
        let mut params = json!({ "backup": "backup://primary/shop/b1", "target": "new" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Part::of(&serde_json::from_value(params).unwrap(), &backup())
    }

    fn refused(more: serde_json::Value) -> String {
        part(more).unwrap_err().to_string()
    }

    #[test]
    fn names_may_have_dots_and_change() {
        assert_eq!(part(json!({})).unwrap(), None);
        let found = part(json!({
            "databases": ["a.b"], "tables": ["shop.orders", "shop.items"],
            "rename": { "a.b": "ab", "shop": "old", "shop.items": "shop.items_before" }
        }));
        let found = found.unwrap().unwrap();
        let to: Vec<_> = found.tables.iter().map(|table| shown(&table.to)).collect();
        assert_eq!(to, ["old.orders", "shop.items_before"]);
        assert_eq!(found.name_of("a.b", "c.d"), ("ab".to_owned(), "c.d".to_owned()));
        assert_eq!(found.scratch("shop").as_deref(), Some("rekindle_restore.1"));
        let expected = found.expected(&backup());
        assert_eq!(expected.databases["old"].triggers.len(), 1);
        assert_eq!(expected.databases["shop"].triggers.len(), 0);
        assert_eq!(part(json!({ "tables": ["a.b.c.d"] })).unwrap().unwrap().tables[0].from.1, "c.d");
    }

    #[test]
    fn what_is_not_there_or_would_collide_is_refused() {
        insta::assert_snapshot!(refused(json!({ "tables": ["shop.order"] })), @"the backup has no table `shop.order`");
        insta::assert_snapshot!(refused(json!({ "databases": ["shp"] })), @"the backup has no database `shp`");
        insta::assert_snapshot!(refused(json!({ "databases": ["shop"], "rename": { "shpo": "x" } })), @"`rename` names `shpo`, which is not restored");
        insta::assert_snapshot!(refused(json!({ "databases": ["shop", "a.b"], "rename": { "a.b": "shop" } })), @"two things would be restored as `shop`");
        insta::assert_snapshot!(refused(json!({ "databases": ["shop"], "tables": ["shop.orders"] })), @"two things would be restored as `shop.orders`");
        insta::assert_snapshot!(refused(json!({ "tables": ["shop.orders"], "rename": { "shop.orders": "x" } })), @"`x` is no name for a table");
        insta::assert_snapshot!(refused(json!({ "rename": { "a": "x" } })), @"`rename` is for databases and tables that are named");
    }
}
