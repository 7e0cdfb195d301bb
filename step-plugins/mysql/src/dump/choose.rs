//! What of a server is dumped: from its survey and the parameters to names that are there. Pure.

use std::collections::BTreeSet;

use rekindle_backup::inventory::{Inventory, table_named};
use rekindle_engine::step::StepError;

use super::survey::{Relation, Survey, Versioned, some};
use super::{DumpParams, DumpScope};

/// The names of tables that are left out stand on the client's command line, which the system bounds (2 MiB on
/// Linux, `execve(2)`, with the environment).
const MOST_LEFT_OUT_BYTES: usize = 1 << 20;

/// What is dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Its databases.
    pub(super) databases: Vec<String>,
    /// The only tables of these; nothing when it is all that they have.
    pub(super) tables: Option<BTreeSet<(String, String)>>,
    /// What is left out of these databases, as `database.table`.
    pub(super) left_out: Vec<String>,
    /// Those of its tables whose old rows are kept.
    pub(super) versioned: Vec<Versioned>,
}

impl Chosen {
    /// Chooses from what a server has.
    ///
    /// # Errors
    /// When something that is named is not there, when there is nothing, and when the client can't dump it.
    pub(super) fn of(params: &DumpParams, survey: &Survey) -> Result<Self, StepError> {
        if let Some(event) = survey.endless_events.first()
            && params.scope.has_events()
        {
            return Err(StepError::permanent(format!(
                "the event {event} has `;;` in its body, on which mariadb-dump never ends"
            ))
            .help(
                "change the event so that no two semicolons stand side by side, also in strings and comments",
            ));
        }
        if survey.databases.is_empty() {
            return Err(StepError::permanent(format!("`{}` has no databases to dump", params.target))
                .help("check that it is the server you mean, and that the account may see its databases"));
        }
        let mut chosen = match params.scope {
            DumpScope::All | DumpScope::SchemaOnly => {
                Self { databases: survey.databases.clone(), ..Self::default() }
            }
            DumpScope::Databases => databases(params, survey)?,
            DumpScope::Tables => tables(params, survey)?,
        };
        let versioned = survey.versioned.iter().filter(|one| chosen.has(&one.database, &one.table));
        chosen.versioned = versioned.cloned().collect();
        Ok(chosen)
    }

    /// Tells whether a table is dumped.
    pub(super) fn has(&self, database: &str, table: &str) -> bool {
        match &self.tables {
            Some(tables) => tables.contains(&(database.to_owned(), table.to_owned())),
            None => self.databases.iter().any(|name| name == database),
        }
    }

    /// Proves that a dump of some tables has these and nothing else: what was made or dropped while it began would be
    /// in it, or not, in silence.
    pub(super) fn check(&self, dumped: &Inventory) -> Result<(), StepError> {
        let Some(wanted) = &self.tables else { return Ok(()) };
        let mut found = BTreeSet::new();
        let mut others = Vec::new();
        for (name, database) in &dumped.databases {
            found.extend(database.tables.keys().map(|table| (name.clone(), table.clone())));
            others
                .extend(database.views.iter().chain(&database.sequences).map(|one| format!("{name}.{one}")));
        }
        let shown = |(database, table): &(String, String)| format!("{database}.{table}");
        others.extend(found.difference(wanted).map(shown));
        let missing: Vec<String> = wanted.difference(&found).map(shown).collect();
        let what = match (missing.as_slice(), others.as_slice()) {
            ([], []) => return Ok(()),
            ([], others) => format!("{} came with it", some(others)),
            (missing, _) => format!("{} was not there any more", some(missing)),
        };
        Err(StepError::transient(format!("the dump is not of the tables that were named: {what}"))
            .help("tables were made, dropped or renamed while it began: run it again"))
    }
}

fn databases(params: &DumpParams, survey: &Survey) -> Result<Chosen, StepError> {
    let missing = params.databases.iter().find(|name| !survey.databases.contains(name));
    match missing {
        None => Ok(Chosen { databases: params.databases.clone(), ..Chosen::default() }),
        Some(name) => Err(StepError::permanent(format!("`{}` has no database `{name}`", params.target))
            .help(format!("it has {}", some(&survey.databases)))),
    }
}

fn tables(params: &DumpParams, survey: &Survey) -> Result<Chosen, StepError> {
    let find = |database: &str, name: &str| {
        let is_it = |one: &&Relation| one.database == database && one.name == name;
        survey.relations.iter().find(is_it).filter(|one| survey.databases.contains(&one.database))
    };
    let mut tables = BTreeSet::new();
    for name in &params.tables {
        let found = table_named(name, find);
        match found {
            Some(one) if one.is_table => tables.insert((one.database.clone(), one.name.clone())),
            Some(_) => {
                return Err(StepError::permanent(format!("`{name}` of `{}` is no table", params.target))
                    .help("views and sequences are dumped with their database: `scope: databases`"));
            }
            None => return Err(missing(name, params, survey)),
        };
    }
    let databases: BTreeSet<String> = tables.iter().map(|(database, _)| database.clone()).collect();
    let is_left_out = |one: &&Relation| {
        databases.contains(&one.database) && !tables.contains(&(one.database.clone(), one.name.clone()))
    };
    let left_out: Vec<String> = survey
        .relations
        .iter()
        .filter(is_left_out)
        .map(|one| format!("{}.{}", one.database, one.name))
        .collect();
    if left_out.iter().map(String::len).sum::<usize>() > MOST_LEFT_OUT_BYTES {
        return Err(StepError::permanent(format!(
            "the databases of these tables have {} others, too many for the client to leave out",
            left_out.len()
        ))
        .help("dump the databases whole (`scope: databases`): a restore takes single tables out of them"));
    }
    Ok(Chosen {
        databases: databases.into_iter().collect(),
        tables: Some(tables),
        left_out,
        ..Chosen::default()
    })
}

fn missing(name: &str, params: &DumpParams, survey: &Survey) -> StepError {
    let error = StepError::permanent(format!("`{}` has no table `{name}`", params.target));
    let of_database = |one: &&Relation| {
        survey.databases.contains(&one.database) && name.starts_with(&format!("{}.", one.database))
    };
    let near: Vec<String> = survey
        .relations
        .iter()
        .filter(of_database)
        .map(|one| format!("{}.{}", one.database, one.name))
        .collect();
    if near.is_empty() {
        return error.help(format!(
            "a table is named `database.table`; its databases are {}",
            some(&survey.databases)
        ));
    }
    error.help(format!("its database has {}", some(&near)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn survey() -> Survey {
        let relation = |database: &str, name: &str, is_table| Relation {
            database: database.to_owned(),
            name: name.to_owned(),
            is_table,
        };
        Survey {
            databases: vec!["a.b".to_owned(), "shop".to_owned()],
            relations: vec![
                relation("a.b", "c.d", true),
                relation("mysql", "user", true),
                relation("shop", "items", true),
                relation("shop", "names", false),
                relation("shop", "orders", true),
            ],
            ..Survey::default()
        }
    }

    fn chosen(names: &[&str]) -> Result<Chosen, StepError> {
        let params =
            json!({ "target": "primary", "store": "s", "name": "some", "scope": "tables", "tables": names });
        Chosen::of(&serde_json::from_value(params).unwrap(), &survey())
    }

    #[test]
    fn names_may_have_dots_and_the_rest_is_left_out() {
        let found = chosen(&["shop.orders", "a.b.c.d"]).unwrap();
        assert_eq!(found.databases, ["a.b", "shop"]);
        assert_eq!(found.left_out, ["shop.items", "shop.names"]);
        assert!(found.has("a.b", "c.d") && found.has("shop", "orders") && !found.has("shop", "items"));
    }

    #[test]
    fn what_is_no_table_of_the_server_is_refused() {
        let refused = |name| {
            let error = chosen(&[name]).unwrap_err();
            format!("{error}: {}", error.help.as_deref().unwrap())
        };
        insta::assert_snapshot!(refused("shop.order"), @"`primary` has no table `shop.order`: its database has shop.items, shop.names, shop.orders");
        insta::assert_snapshot!(refused("orders"), @"`primary` has no table `orders`: a table is named `database.table`; its databases are a.b, shop");
        insta::assert_snapshot!(refused("shop.names"), @"`shop.names` of `primary` is no table: views and sequences are dumped with their database: `scope: databases`");
        insta::assert_snapshot!(refused("mysql.user"), @"`primary` has no table `mysql.user`: a table is named `database.table`; its databases are a.b, shop");
    }

    #[test]
    fn more_than_a_command_line_holds_is_not_left_out() {
        let mut survey = survey();
        survey.relations.extend((0..20_000).map(|n| Relation {
            database: "shop".to_owned(),
            name: format!("{n:060}"),
            is_table: true,
        }));
        let params = json!({ "target": "primary", "store": "s", "name": "some", "scope": "tables",
            "tables": ["shop.orders"] });
        let error = Chosen::of(&serde_json::from_value(params).unwrap(), &survey).unwrap_err();
        insta::assert_snapshot!(error, @"the databases of these tables have 20002 others, too many for the client to leave out");
    }

    #[test]
    fn a_dump_of_other_tables_than_were_named_is_none() {
        let wanted = chosen(&["shop.orders"]).unwrap();
        let check = |databases: serde_json::Value| {
            let inventory = serde_json::from_value(json!({ "databases": databases })).unwrap();
            wanted.check(&inventory).map_err(|error| error.to_string())
        };
        let table = json!({ "rows": 1 });
        check(json!({ "shop": { "tables": { "orders": table } } })).unwrap();
        insta::assert_snapshot!(check(json!({ "shop": { "tables": { "orders": table, "new": table } } })).unwrap_err(), @"the dump is not of the tables that were named: shop.new came with it");
        insta::assert_snapshot!(check(json!({ "shop": { "tables": {}, "views": ["v"] } })).unwrap_err(), @"the dump is not of the tables that were named: shop.orders was not there any more");
    }
}
