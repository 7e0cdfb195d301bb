//! Foreign keys between the tables of a dump: what sessions must not do side by side because of them.
//!
//! MariaDB locks the children of a table besides the table itself when it drops or alters it, in an order that nobody has
//! a say in. Of two `DROP TABLE` one is given up, or both wait for each other and no time-out ends them; so do two
//! `ALTER TABLE` of tables that refer to each other in a circle.

use std::collections::{BTreeSet, HashMap, HashSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use rekindle_engine::step::StepError;

use super::worker::{LARGE_MEMBERS, Load, quoted};
use crate::connection::Server;
use crate::restore::loaded::TableName;
use crate::restore::part::shown;
use crate::restore::patience::Patience;

/// Drops what an earlier try has left of the tables that are to be loaded, one after the other.
pub(super) async fn clear(load: &Load<'_>, server: &mut Server) -> Result<(), StepError> {
    let query = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW'";
    let there: Vec<TableName> = server.session.rows("list its tables", query).await?;
    let there: HashSet<TableName> = there.iter().map(folded).collect();
    for (number, table) in load.tables.iter().enumerate() {
        let name = load.name(table);
        if load.done.get(number) == Some(&true) || !there.contains(&folded(&name)) {
            continue;
        }
        let what = format!("drop the table {}, which an earlier try has left", shown(&name));
        let drop = format!("DROP TABLE IF EXISTS {}", quoted(&name));
        Patience::begin().run(server, &what, &drop).await?;
    }
    Ok(())
}

/// Gives the tables, by their numbers, that refer to each other in a circle. Empty where nothing will be altered: the
/// question makes the server open every table.
pub(super) async fn circles(load: &Load<'_>, server: &mut Server) -> Result<BTreeSet<usize>, StepError> {
    if load.tables.iter().all(|table| table.rows.len() < LARGE_MEMBERS) {
        return Ok(BTreeSet::new());
    }
    let query = "SELECT TABLE_SCHEMA, TABLE_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME \
                 FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL";
    let keys: Vec<(String, String, String, String)> =
        server.session.rows("list its foreign keys", query).await?;
    let names: Vec<TableName> = load.tables.iter().map(|table| load.name(table)).collect();
    let keys =
        keys.into_iter().map(|(database, table, to_database, to)| ((database, table), (to_database, to)));
    Ok(in_circles(&names, keys))
}

fn in_circles(tables: &[TableName], keys: impl Iterator<Item = (TableName, TableName)>) -> BTreeSet<usize> {
    let mut graph = DiGraph::<usize, ()>::new();
    let nodes: HashMap<TableName, NodeIndex> =
        tables.iter().enumerate().map(|(number, name)| (folded(name), graph.add_node(number))).collect();
    for (child, parent) in keys {
        if let (Some(child), Some(parent)) = (nodes.get(&folded(&child)), nodes.get(&folded(&parent))) {
            graph.add_edge(*child, *parent, ());
        }
    }
    let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
    circles.flatten().filter_map(|node| graph.node_weight(node).copied()).collect()
}

/// Names are compared without case: a server may keep them in small letters.
fn folded((database, table): &TableName) -> TableName {
    (database.to_lowercase(), table.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_refer_to_each_other_are_in_a_circle_and_chains_and_selves_are_not() {
        let name = |table: &str| ("s".to_owned(), table.to_owned());
        let tables = ["a", "b", "C", "d", "e", "f"].map(name);
        let keys = [("a", "b"), ("b", "c"), ("C", "a"), ("d", "a"), ("e", "d"), ("f", "f"), ("b", "gone")];
        let keys = keys.map(|(child, parent)| (name(child), name(parent)));
        assert_eq!(in_circles(&tables, keys.into_iter()), BTreeSet::from([0, 1, 2]));
    }
}
