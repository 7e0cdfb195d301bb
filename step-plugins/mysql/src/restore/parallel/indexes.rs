//! `SHOW CREATE TABLE` → which secondary indexes can be made after the rows, and how.
//!
//! An index that is made from sorted rows costs a fraction of one that grows row by row.

use std::collections::BTreeSet;

use rekindle_backup::sql::unquote_identifier;

use super::queue::Sharing;
use crate::connection::quote_identifier;

/// What the definition of a table says about how to load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whether several sessions may insert its rows.
    pub(super) sharing: Sharing,
    /// Definitions of the indexes that are made after the rows, as they stand in `CREATE TABLE`.
    pub(super) deferred: Vec<Index>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    name: String,
    /// `` KEY `a` (`a`) ``
    definition: String,
}

/// What makes a table one that is loaded as it is: its `ALTER TABLE` copies, or may not be given at all.
const LEFT_AS_IT_IS: [&str; 5] =
    ["GENERATED ALWAYS AS", "WITH SYSTEM VERSIONING", " ROW START", "PERIOD FOR", "WITHOUT OVERLAPS"];

/// Reads a definition.
///
/// Left inline are what has no order of its own to sort by (FULLTEXT, SPATIAL), what the rows need (the key of an
/// `AUTO_INCREMENT` column, the primary key and whatever stands in for it), and what a foreign key of this table
/// needs. Whether one of another table needs an index, the server tells when it is to be dropped. Servers keep
/// indexes in the order in which they came: none is deferred that stands before one that stays.
pub(super) fn plan(create: &str) -> Plan {
    let is_innodb = create.lines().any(|line| line.starts_with(") ENGINE=InnoDB"));
    let primary = create.lines().find_map(|line| line.strip_prefix("  PRIMARY KEY ("));
    let (Some(primary), true) = (primary, is_innodb) else {
        return Plan { sharing: Sharing::Alone, deferred: Vec::new() };
    };
    if LEFT_AS_IT_IS.iter().any(|words| create.contains(words)) {
        return Plan { sharing: Sharing::Alone, deferred: Vec::new() };
    }
    let needed = needed_columns(create, primary);
    let mut deferred = Vec::new();
    for prefix in ["  UNIQUE KEY ", "  KEY "] {
        let of_class = create.lines().filter(|line| line.starts_with(prefix)).collect::<Vec<_>>();
        let run = of_class.iter().rev().map_while(|line| index(line, prefix, &needed)).collect::<Vec<_>>();
        deferred.extend(run.into_iter().rev());
    }
    Plan { sharing: Sharing::Together, deferred }
}

/// Columns that an index begins with which has to be there all the time.
fn needed_columns(create: &str, primary: &str) -> BTreeSet<String> {
    let first = |text: &str| unquote_identifier(text.as_bytes()).map(|(name, _)| name);
    let mut needed = BTreeSet::new();
    for line in create.lines() {
        if let Some((_, columns)) = line.split_once("FOREIGN KEY (") {
            needed.extend(first(columns));
        }
        if line.starts_with("  `") && line.to_ascii_uppercase().contains(" AUTO_INCREMENT") {
            let column = first(line.trim_start());
            if column != first(primary) {
                needed.extend(column);
            }
        }
    }
    needed
}

fn index(line: &str, prefix: &str, needed: &BTreeSet<String>) -> Option<Index> {
    let definition = line.trim().trim_end_matches(',').to_owned();
    let rest = line.strip_prefix(prefix)?;
    let (name, length) = unquote_identifier(rest.as_bytes())?;
    let columns = rest.get(length..)?.trim_start().strip_prefix('(')?;
    // An expression or a hash instead of a column stays as it is.
    let (column, _) = unquote_identifier(columns.as_bytes())?;
    let stays = needed.contains(&column) || definition.contains("USING HASH");
    (!stays).then_some(Index { name, definition })
}

/// Gives the statement that takes the indexes away from an empty table.
pub(super) fn drop_all(table: &str, indexes: &[Index]) -> String {
    let parts: Vec<_> =
        indexes.iter().map(|index| format!("DROP INDEX {}", quote_identifier(&index.name))).collect();
    format!("ALTER TABLE {table} {}", parts.join(", "))
}

/// Gives the statement that makes them.
pub(super) fn add_all(table: &str, indexes: &[Index]) -> String {
    let parts: Vec<_> = indexes.iter().map(|index| format!("ADD {}", index.definition)).collect();
    format!("ALTER TABLE {table} {}", parts.join(", "))
}

/// Gives a definition without the number that the next row gets: rows move it on.
pub(super) fn bare(create: &str) -> String {
    let Some(at) = create.find("\n) ENGINE=") else { return create.to_owned() };
    let (columns, options) = create.split_at(at);
    let kept: Vec<_> = options.split(' ').filter(|word| !word.starts_with("AUTO_INCREMENT=")).collect();
    format!("{columns}{}", kept.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[&str], options: &str) -> String {
        format!("CREATE TABLE `t` (\n  {}\n) {options}", lines.join(",\n  "))
    }

    fn deferred(lines: &[&str]) -> String {
        let plan = plan(&table(lines, "ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4"));
        plan.deferred.iter().map(|index| index.definition.as_str()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn secondary_indexes_come_after_the_rows() {
        let lines = [
            "`id` int(11) NOT NULL AUTO_INCREMENT",
            "`a` int(11)",
            "PRIMARY KEY (`id`)",
            "UNIQUE KEY `u` (`a`)",
            "KEY `k``1` (`a`,`id`)",
        ];
        insta::assert_snapshot!(deferred(&lines), @"UNIQUE KEY `u` (`a`); KEY `k``1` (`a`,`id`)");
        let plan = plan(&table(&lines, "ENGINE=InnoDB"));
        insta::assert_snapshot!(drop_all("`s`.`t`", &plan.deferred), @"ALTER TABLE `s`.`t` DROP INDEX `u`, DROP INDEX `k``1`");
        insta::assert_snapshot!(add_all("`s`.`t`", &plan.deferred), @"ALTER TABLE `s`.`t` ADD UNIQUE KEY `u` (`a`), ADD KEY `k``1` (`a`,`id`)");
        assert_eq!(plan.sharing, Sharing::Together);
    }

    #[test]
    fn what_the_rows_need_stays_and_so_does_the_order() {
        let id = "`id` int(11) NOT NULL AUTO_INCREMENT";
        let part = [
            "`p` int(11)",
            id,
            "PRIMARY KEY (`p`,`id`)",
            "KEY `a` (`p`)",
            "KEY `id` (`id`)",
            "KEY `z` (`p`,`id`)",
        ];
        insta::assert_snapshot!(deferred(&part), @"KEY `z` (`p`,`id`)");
        let foreign = [
            id,
            "PRIMARY KEY (`id`)",
            "KEY `a` (`a`)",
            "KEY `b` (`b`)",
            "KEY `c` (`c`)",
            "CONSTRAINT `f` FOREIGN KEY (`b`) REFERENCES `o` (`id`)",
        ];
        insta::assert_snapshot!(deferred(&foreign), @"KEY `c` (`c`)");
        let others = [
            id,
            "PRIMARY KEY (`id`)",
            "KEY `a` (`a`)",
            "KEY `e` ((`a` + 1))",
            "FULLTEXT KEY `t` (`x`)",
            "SPATIAL KEY `s` (`g`)",
        ];
        assert_eq!(deferred(&others), "");
        let hash = [id, "PRIMARY KEY (`id`)", "UNIQUE KEY `h` (`x`) USING HASH"];
        assert_eq!(deferred(&hash), "");
    }

    #[test]
    fn some_tables_are_loaded_as_they_are() {
        let alone = Plan { sharing: Sharing::Alone, deferred: Vec::new() };
        let keyed = ["`id` int(11)", "PRIMARY KEY (`id`)", "KEY `a` (`id`)"];
        assert_eq!(plan(&table(&keyed, "ENGINE=MyISAM")), alone);
        assert_eq!(plan(&table(&["`id` int(11)", "UNIQUE KEY `a` (`id`)"], "ENGINE=InnoDB")), alone);
        let generated = [
            "`id` int(11)",
            "`g` int(11) GENERATED ALWAYS AS (`id`) VIRTUAL",
            "PRIMARY KEY (`id`)",
            "KEY `g` (`g`)",
        ];
        assert_eq!(plan(&table(&generated, "ENGINE=InnoDB")), alone);
        assert_eq!(plan(&table(&keyed, "ENGINE=InnoDB WITH SYSTEM VERSIONING")), alone);
    }

    #[test]
    fn the_next_number_is_no_part_of_a_definition() {
        let lines = ["`a` varchar(9) COMMENT 'AUTO_INCREMENT=1 x'"];
        assert_eq!(
            bare(&table(&lines, "ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=x")),
            table(&lines, "ENGINE=InnoDB DEFAULT CHARSET=x")
        );
    }
}
