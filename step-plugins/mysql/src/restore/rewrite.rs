//! Statements of a dump under other names: `CREATE DATABASE`, and what foreign keys name.

use rekindle_backup::sql::{Escapes, Kind, Name, Token, Tokens, quote_identifier};

use super::loaded::TableName;

/// Gives `CREATE DATABASE` for another name.
pub(super) fn create_database(sql: &[u8], name: &str) -> Vec<u8> {
    let mut tokens = Tokens::new(sql, Escapes::default());
    while let Some(token) = tokens.next() {
        if let Token::Identifier(quoted) = token {
            let end = tokens.position();
            return [&sql[..end - quoted.len()], quote_identifier(name).as_bytes(), &sql[end..]].concat();
        }
    }
    sql.to_vec()
}

/// Whether foreign keys and checks keep their names: a database has each name once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConstraintNames {
    Keep,
    LeaveOut,
}

/// Gives `CREATE TABLE` with each referenced table named in full, so that it means the same in any database.
///
/// `resolve` gets the database, when the statement names one, and the table.
pub(super) fn create_table(
    sql: &[u8],
    names: ConstraintNames,
    resolve: impl Fn(Option<&str>, &str) -> TableName,
) -> Vec<u8> {
    let mut tokens = Tokens::new(sql, Escapes::default());
    let (mut out, mut copied) = (Vec::with_capacity(sql.len() + 64), 0);
    while let Some(token) = tokens.next() {
        let is_reference = token.is("REFERENCES");
        let is_named = token.is("CONSTRAINT") && names == ConstraintNames::LeaveOut;
        if !is_reference && !is_named {
            continue;
        }
        let after = tokens.position();
        let Some(first) = tokens.next().and_then(|token| token.name()) else { break };
        let mut database = None;
        let mut table = first;
        let mut ahead = tokens.clone();
        if is_reference && ahead.next() == Some(Token::Mark(b'.')) {
            tokens.next();
            if let Some(second) = tokens.next().and_then(|token| token.name()) {
                database = Some(std::mem::replace(&mut table, second));
            }
        }
        out.extend_from_slice(&sql[copied..after]);
        copied = tokens.position();
        if is_reference {
            let (database, table) = resolve(database.as_deref(), &table);
            out.extend_from_slice(
                format!(" {}.{}", quote_identifier(&database), quote_identifier(&table)).as_bytes(),
            );
        }
    }
    out.extend_from_slice(&sql[copied..]);
    out
}

/// Gives `CREATE TRIGGER`, `CREATE PROCEDURE`, `CREATE EVENT` and their like for another database: dumps keep the
/// database in their names where whoever made them wrote it. Their bodies stay as they are.
pub(super) fn create_in(sql: &[u8], kind: &Kind, database: &str, other: &str) -> Vec<u8> {
    let mut tokens = Tokens::new(sql, Escapes::default());
    let (mut out, mut copied) = (Vec::with_capacity(sql.len() + 64), 0);
    while let Some(token) = tokens.next() {
        if ends_head(kind, token) {
            break;
        }
        let (Token::Word(raw) | Token::Identifier(raw)) = token else { continue };
        let end = tokens.position();
        if token.name().as_deref() == Some(database) && tokens.clone().next() == Some(Token::Mark(b'.')) {
            out.extend_from_slice(&sql[copied..end - raw.len()]);
            out.extend_from_slice(quote_identifier(other).as_bytes());
            copied = end;
        }
    }
    out.extend_from_slice(&sql[copied..]);
    out
}

/// Tells whether a statement changes what a database is by default, as clients write it around triggers and routines of
/// another collation. Gives where in the statement the database's name is.
pub(super) fn altered_database(sql: &[u8], kind: &Kind) -> Option<std::ops::Range<usize>> {
    if !matches!(kind, Kind::Other(verb) if verb == "ALTER") {
        return None;
    }
    let mut tokens = Tokens::new(sql, Escapes::default());
    let is_of_database = tokens.next()?.is("ALTER")
        && tokens.next().is_some_and(|word| word.is("DATABASE") || word.is("SCHEMA"));
    let (Token::Word(name) | Token::Identifier(name)) = tokens.next().filter(|_| is_of_database)? else {
        return None;
    };
    let end = tokens.position();
    Some(end - name.len()..end)
}

/// Gives `ALTER DATABASE` for another one; nothing when the statement is none.
pub(super) fn alter_database(sql: &[u8], kind: &Kind, other: &str) -> Option<Vec<u8>> {
    let name = altered_database(sql, kind)?;
    Some([&sql[..name.start], quote_identifier(other).as_bytes(), &sql[name.end..]].concat())
}

/// Tells whether the names are over: `… ON t FOR EACH ROW`, `p(`, `e ON SCHEDULE`.
fn ends_head(kind: &Kind, token: Token<'_>) -> bool {
    match kind {
        Kind::Trigger { .. } => token.is("FOR"),
        Kind::Routine { .. } => token == Token::Mark(b'(') || token.is("AS") || token.is("IS"),
        Kind::Event(_) => token.is("ON"),
        Kind::CreateDatabase(_)
        | Kind::DropDatabase(_)
        | Kind::Use(_)
        | Kind::CreateTable(_)
        | Kind::DropTable(_)
        | Kind::Insert { .. }
        | Kind::View(_)
        | Kind::StandIn(_)
        | Kind::Sequence(_)
        | Kind::Account
        | Kind::Lock
        | Kind::Unlock
        | Kind::SetGtid(_)
        | Kind::ChangeMaster
        | Kind::Set
        | Kind::Other(_) => true,
    }
}

/// Tells whether a statement names something of this database in full: `` `shop`.`orders` ``.
pub(super) fn names_database(sql: &[u8], database: &str) -> bool {
    let mut tokens = Tokens::new(sql, Escapes::default());
    while let Some(token) = tokens.next() {
        let is_it = token.name().is_some_and(|name| name.eq_ignore_ascii_case(database));
        if is_it && tokens.clone().next() == Some(Token::Mark(b'.')) {
            return true;
        }
    }
    false
}

/// Tells whether a statement would change something of this database, whatever database is in use.
pub(super) fn changes_database(sql: &[u8], kind: &Kind, database: &str) -> bool {
    let is_of = |name: &Name| name.database.as_ref().is_some_and(|of| of.eq_ignore_ascii_case(database));
    match kind {
        Kind::CreateTable(name)
        | Kind::DropTable(name)
        | Kind::Insert { table: name, .. }
        | Kind::View(name)
        | Kind::StandIn(name)
        | Kind::Sequence(name) => is_of(name),
        Kind::Other(_) => names_database(sql, database),
        // Triggers, routines and events are made in the other database by `create_in`.
        Kind::Trigger { .. }
        | Kind::Routine { .. }
        | Kind::Event(_)
        | Kind::CreateDatabase(_)
        | Kind::DropDatabase(_)
        | Kind::Use(_)
        | Kind::Account
        | Kind::Lock
        | Kind::Unlock
        | Kind::SetGtid(_)
        | Kind::ChangeMaster
        | Kind::Set => false,
    }
}

#[cfg(test)]
mod tests {
    use rekindle_backup::sql::Pieces;

    use super::*;

    const TABLE: &str = "CREATE TABLE `c` (\n  `id` int COMMENT 'REFERENCES `x`',\n  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `p` (`id`),\n  CONSTRAINT `g` FOREIGN KEY (`id`) REFERENCES `other`.`q` (`id`)\n) ENGINE=InnoDB";

    fn written(names: ConstraintNames) -> String {
        let resolve =
            |database: Option<&str>, table: &str| (database.unwrap_or("sh`op").to_owned(), table.to_owned());
        String::from_utf8(create_table(TABLE.as_bytes(), names, resolve)).unwrap()
    }

    #[test]
    fn what_a_foreign_key_names_is_named_in_full() {
        insta::assert_snapshot!(written(ConstraintNames::Keep), @"
        CREATE TABLE `c` (
          `id` int COMMENT 'REFERENCES `x`',
          CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `sh``op`.`p` (`id`),
          CONSTRAINT `g` FOREIGN KEY (`id`) REFERENCES `other`.`q` (`id`)
        ) ENGINE=InnoDB
        ");
        insta::assert_snapshot!(written(ConstraintNames::LeaveOut), @"
        CREATE TABLE `c` (
          `id` int COMMENT 'REFERENCES `x`',
          CONSTRAINT FOREIGN KEY (`id`) REFERENCES `sh``op`.`p` (`id`),
          CONSTRAINT FOREIGN KEY (`id`) REFERENCES `other`.`q` (`id`)
        ) ENGINE=InnoDB
        ");
    }

    #[test]
    fn what_was_made_with_its_database_in_its_name_is_made_in_another() {
        let written = |sql: &str| {
            let text = format!("DELIMITER ;;\n{sql} ;;\n");
            let mut pieces = Pieces::new(text.as_bytes(), 1 << 20);
            pieces.next_piece().unwrap();
            let kind = pieces.next_piece().unwrap().unwrap().classify();
            String::from_utf8(create_in(sql.as_bytes(), &kind, "shop", "a`b")).unwrap()
        };
        insta::assert_snapshot!(
            written("/*!50003 CREATE*/ /*!50017 DEFINER=`shop`@`%`*/ /*!50003 TRIGGER shop.x BEFORE INSERT ON `shop`.`t` FOR EACH ROW insert into shop.u values (1) */"),
            @"/*!50003 CREATE*/ /*!50017 DEFINER=`shop`@`%`*/ /*!50003 TRIGGER `a``b`.x BEFORE INSERT ON `a``b`.`t` FOR EACH ROW insert into shop.u values (1) */"
        );
        insta::assert_snapshot!(written("CREATE PROCEDURE `shop`.`p`(a int) select * from shop.t"), @"CREATE PROCEDURE `a``b`.`p`(a int) select * from shop.t");
        insta::assert_snapshot!(written("CREATE EVENT shop . e ON SCHEDULE EVERY 1 DAY DO call shop.p()"), @"CREATE EVENT `a``b` . e ON SCHEDULE EVERY 1 DAY DO call shop.p()");
        insta::assert_snapshot!(written("CREATE TRIGGER `x` BEFORE INSERT ON `shop` FOR EACH ROW set @a = 1"), @"CREATE TRIGGER `x` BEFORE INSERT ON `shop` FOR EACH ROW set @a = 1");
    }

    #[test]
    fn what_clients_write_around_routines_of_another_collation_is_for_the_other_database() {
        let written = |sql: &str| {
            let text = format!("{sql};\n");
            let kind = Pieces::new(text.as_bytes(), 1 << 20).next_piece().unwrap().unwrap().classify();
            alter_database(sql.as_bytes(), &kind, "a`b").map(|sql| String::from_utf8(sql).unwrap())
        };
        let sql = "ALTER DATABASE `shop` CHARACTER SET latin1 COLLATE latin1_swedish_ci";
        assert_eq!(
            written(sql).unwrap(),
            "ALTER DATABASE `a``b` CHARACTER SET latin1 COLLATE latin1_swedish_ci"
        );
        assert_eq!(written("ALTER TABLE `shop` DISABLE KEYS"), None);
    }

    #[test]
    fn a_database_gets_another_name() {
        let sql = b"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET utf8mb4 */";
        let written = String::from_utf8(create_database(sql, "b`c")).unwrap();
        assert_eq!(
            written,
            "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `b``c` /*!40100 DEFAULT CHARACTER SET utf8mb4 */"
        );
        assert!(names_database(b"CREATE VIEW `v` AS select `a`.`t`.`x` from `a`.`t`", "a"));
        assert!(!names_database(b"CREATE VIEW `v` AS select 'a.b', `a` from `t`", "a"));
    }

    #[test]
    fn what_would_change_another_database_than_the_one_in_use_is_known() {
        let changes = |sql: &str| {
            let text = format!("{sql};\n");
            let kind = Pieces::new(text.as_bytes(), 1 << 20).next_piece().unwrap().unwrap().classify();
            changes_database(sql.as_bytes(), &kind, "shop")
        };
        for sql in [
            "CREATE TABLE `shop`.`t` (id int)",
            "DROP TABLE IF EXISTS shop.t",
            "INSERT INTO shop . t VALUES (1)",
            "TRUNCATE TABLE Shop.t",
            "DELETE FROM `shop`.t",
            "ALTER TABLE shop.t DISABLE KEYS",
            "CREATE VIEW shop.v AS select 1",
        ] {
            assert!(changes(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO `t` VALUES ('shop.t', `shop`)",
            "CREATE VIEW `v` AS select `shop`.`t`.`x` from `shop`.`t`",
            "CREATE TABLE `t` (CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `shop`.`u` (`id`))",
            "DROP TABLE IF EXISTS `shop`",
        ] {
            assert!(!changes(sql), "{sql}");
        }
    }
}
