//! The statements of a dump of one table → the same for a table of another name. Pure.

use rekindle_backup::sql::Kind;

use crate::connection::quote_identifier;

/// Gives the statement to send; nothing when it is of no use here.
///
/// # Errors
/// When the statement is none that the clients write for a table.
pub(super) fn rewrite(
    sql: &[u8],
    kind: &Kind,
    table: &str,
    new_name: &str,
) -> Result<Option<Vec<u8>>, String> {
    let verb = match kind {
        Kind::CreateTable(_) => "CREATE TABLE",
        Kind::Insert { .. } => "INSERT INTO",
        Kind::Set => return Ok(Some(sql.to_vec())),
        Kind::Lock | Kind::Unlock => return Ok(None),
        other => return Err(format!("{} in the dump of a table", other.verb())),
    };
    let old = format!("{verb} {} ", quote_identifier(table));
    let rest = sql.strip_prefix(old.as_bytes()).ok_or_else(|| format!("a {verb} of something else"))?;
    let mut new = format!("{verb} {} ", quote_identifier(new_name)).into_bytes();
    if verb == "CREATE TABLE" {
        new.extend(without_constraint_names(&String::from_utf8_lossy(rest)).into_bytes());
    } else {
        new.extend_from_slice(rest);
    }
    Ok(Some(new))
}

/// Leaves foreign keys out and lets the server name checks: both kinds of names are taken by the table that may still
/// be there. Servers write each definition on a line of its own (`SHOW CREATE TABLE`).
fn without_constraint_names(definition: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in definition.lines() {
        let constraint = line.trim_start().strip_prefix("CONSTRAINT `");
        let after_name = constraint.and_then(|rest| rest.split_once("` ")).map(|(_, after)| after);
        match after_name {
            Some(after) if after.starts_with("FOREIGN KEY ") => {}
            Some(after) if after.starts_with("CHECK ") => lines.push(format!("  {after}")),
            Some(_) | None => {
                if line.starts_with(')')
                    && let Some(last) = lines.last_mut()
                    && last.ends_with(',')
                {
                    last.pop();
                }
                lines.push(line.to_owned());
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_gets_another_name() {
        let create = "CREATE TABLE `o``rders` (\n  `id` int NOT NULL COMMENT 'CREATE TABLE `o``rders` (',\n  \
                      PRIMARY KEY (`id`),\n  CONSTRAINT `c` CHECK (`id` > 0),\n  CONSTRAINT `f` FOREIGN KEY (`id`) \
                      REFERENCES `x` (`id`)\n) ENGINE=InnoDB";
        let named = rekindle_backup::sql::Name { database: None, name: "o`rders".to_owned() };
        let text = |sql: &str, kind: &Kind| {
            rewrite(sql.as_bytes(), kind, "o`rders", "new")
                .map(|new| new.map(|new| String::from_utf8(new).unwrap()))
        };
        insta::assert_snapshot!(text(create, &Kind::CreateTable(named.clone())).unwrap().unwrap(), @r"
        CREATE TABLE `new` (
          `id` int NOT NULL COMMENT 'CREATE TABLE `o``rders` (',
          PRIMARY KEY (`id`),
          CHECK (`id` > 0)
        ) ENGINE=InnoDB
        ");
        let insert = Kind::Insert { table: named, rows: 1 };
        assert_eq!(
            text("INSERT INTO `o``rders` VALUES ('`o``rders`')", &insert).unwrap().unwrap(),
            "INSERT INTO `new` VALUES ('`o``rders`')"
        );
        assert!(text("INSERT INTO `other` VALUES (1)", &insert).is_err());
        assert!(text("DROP DATABASE x", &Kind::DropDatabase("x".to_owned())).is_err());
    }
}
