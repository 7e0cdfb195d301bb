use proptest::prelude::*;

use super::*;

type Split = Vec<(PieceKind, Vec<u8>, Vec<u8>)>;

fn split(text: &[u8], chunk: usize) -> Result<Split, LexError> {
    let mut splitter = Splitter::new(1 << 20);
    let mut pieces = Vec::new();
    let mut take = |splitter: &mut Splitter| -> Result<(), LexError> {
        while splitter.advance()? {
            let piece = splitter.piece();
            pieces.push((piece.kind, piece.raw.to_vec(), piece.sql.to_vec()));
        }
        Ok(())
    };
    for part in text.chunks(chunk) {
        splitter.push(part);
        take(&mut splitter)?;
    }
    splitter.end();
    take(&mut splitter)?;
    Ok(pieces)
}

fn statements(text: &str) -> Vec<String> {
    split(text.as_bytes(), usize::MAX)
        .unwrap()
        .into_iter()
        .filter(|(kind, ..)| *kind == PieceKind::Statement)
        .map(|(_, _, sql)| String::from_utf8_lossy(&sql).into_owned())
        .collect()
}

fn kind(sql: &str) -> Kind {
    let text = format!("{sql};");
    let mut splitter = Splitter::default();
    splitter.push(text.as_bytes());
    splitter.end();
    while splitter.advance().unwrap() {
        if splitter.piece().kind == PieceKind::Statement {
            return splitter.piece().classify();
        }
    }
    panic!("no statement in {sql}")
}

fn name(name: &str) -> Name {
    Name { database: None, name: name.to_owned() }
}

fn error(text: &str) -> String {
    split(text.as_bytes(), usize::MAX).unwrap_err().to_string()
}

#[test]
fn a_delimiter_inside_quotes_or_comments_ends_nothing() {
    assert_eq!(
        statements("SELECT 'a;''b\\';', \"c;\\\"\", `d;``;` -- e;'\n, # f;'\n /* g;' */ 1; SELECT 2;"),
        ["SELECT 'a;''b\\';', \"c;\\\"\", `d;``;` -- e;'\n, # f;'\n /* g;' */ 1", "SELECT 2"]
    );
}

#[test]
fn delimiter_lines_rule_what_ends_a_statement() {
    assert_eq!(
        statements(
            "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN SELECT 1; END ;;\ndelimiter ;\nSELECT 2;\nDELIMITER //\nSELECT 8/2//\n"
        ),
        ["CREATE PROCEDURE p() BEGIN SELECT 1; END", "SELECT 2", "SELECT 8/2"]
    );
    assert!(error("DELIMITER \nSELECT 1;").contains("`DELIMITER` names no usable delimiter (line 1, byte 0"));
}

#[test]
fn executable_comments_are_statements_and_plain_ones_are_not() {
    let text = "/* no; */\n/*!40101 SET NAMES utf8mb4 */;\n/*M!100100 SET x=1 */;/*!50003 CREATE*/ /*!50017 DEFINER=`a;b`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW /* it's; */ SET @x=1 */;";
    assert_eq!(statements(text).len(), 3);
    assert_eq!(split(text.as_bytes(), usize::MAX).unwrap()[0].0, PieceKind::Comment);
}

#[test]
fn the_sandbox_line_is_recognised_in_both_spellings() {
    for text in ["/*!999999\\- enable the sandbox mode */ \n", "/*M!999999\\- enable the sandbox mode */ \n"]
    {
        let pieces = split(text.as_bytes(), 1).unwrap();
        assert_eq!(pieces[0].0, PieceKind::Sandbox);
        assert_eq!(pieces[1].0, PieceKind::Blank);
        assert_eq!(pieces.len(), 2);
    }
}

#[test]
fn what_a_reader_of_binary_logs_writes_is_split_at_its_own_delimiter() {
    let text = "DELIMITER /*!*/;\n# at 4\n/*!\\C utf8mb3 *//*!*/;\nSET @@session.sql_mode=1049600/*!*/;\n\
                INSERT INTO t VALUES ('\\')/*!*/;\nBINLOG '\nAA==\n'/*!*/;\nDELIMITER ;\nROLLBACK /* x */;\n";
    assert_eq!(
        statements(text),
        [
            "SET @@session.sql_mode=1049600",
            "INSERT INTO t VALUES ('\\')",
            "BINLOG '\nAA==\n'",
            "ROLLBACK /* x */"
        ]
    );
}

#[test]
fn client_commands_are_refused_by_name_and_place() {
    insta::assert_snapshot!(error("SELECT 1;\n\\! touch /tmp/x\n"), @"the client command `\\!` is no SQL and is refused (line 2, byte 10 of the SQL text)");
    insta::assert_snapshot!(error("system touch /tmp/x\n"), @"the client command `system` is no SQL and is refused (line 1, byte 0 of the SQL text)");
    insta::assert_snapshot!(error("-- x\nSOURCE /etc/passwd\n"), @"the client command `source` is no SQL and is refused (line 2, byte 5 of the SQL text)");
    insta::assert_snapshot!(error("SELECT 1 \\! id\n;"), @"the client command `\\!` is no SQL and is refused (line 1, byte 9 of the SQL text)");
    for text in [
        "\\. x\n",
        "\\u db\n",
        "tee f;",
        "pager less;",
        "connect x;",
        "/*!50001 \\! id */;",
        "-- Table `a\n\\! id`\n",
    ] {
        assert!(error(text).contains("client command"), "{text}");
    }
    assert_eq!(statements("USE db; INSERT INTO t VALUES (\\N,'\\! id');").len(), 2);
}

#[test]
fn a_text_that_ends_too_early_is_an_error_with_its_place() {
    insta::assert_snapshot!(error("SELECT 1;\nSELECT 'abc"), @"the text ends inside a quoted text (line 2, byte 10 of the SQL text)");
    insta::assert_snapshot!(error("SELECT 1"), @"the text ends inside a statement (line 1, byte 0 of the SQL text)");
    insta::assert_snapshot!(error("/* x"), @"the text ends inside a comment (line 1, byte 0 of the SQL text)");
    assert!(split(b"-- Dump completed", 3).is_ok());
}

#[test]
fn a_statement_larger_than_the_limit_is_an_error() {
    let mut splitter = Splitter::new(100);
    splitter.push(b"SELECT 1; SELECT '");
    splitter.push(&[b'x'; 200]);
    assert!(splitter.advance().unwrap());
    assert!(splitter.advance().unwrap());
    assert_eq!(
        splitter.advance().unwrap_err(),
        LexError { kind: LexErrorKind::TooLong(100), offset: 10, line: 1 }
    );
}

#[test]
fn bytes_that_are_no_text_pass_through() {
    let text = b"INSERT INTO t VALUES ('\x00\xff\xfe\\0;'),(x'00');";
    let pieces = split(text, 1).unwrap();
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].1, text);
}

#[test]
fn a_routine_made_without_backslash_escapes_does_not_swallow_the_rest() {
    let text = "/*!50003 SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES' */ ;\nDELIMITER ;;\nCREATE PROCEDURE p() SELECT '\\', \"x\\\" ;;\nDELIMITER ;\n/*!50003 SET sql_mode = @saved_sql_mode */ ;\nINSERT INTO t VALUES ('\\'');\n";
    assert_eq!(statements(text).len(), 4);
}

#[test]
fn a_run_of_comment_lines_is_one_piece() {
    let pieces = split(b"--\n-- Table structure for table `a`\n--\n\nSELECT 1;", 1).unwrap();
    assert_eq!(pieces[0].1, b"--\n-- Table structure for table `a`\n--\n");
    assert_eq!(pieces[1].0, PieceKind::Blank);
}

#[test]
fn kinds_are_recognised_in_every_wrapping() {
    assert_eq!(
        kind("CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 DEFAULT CHARACTER SET latin1 */"),
        Kind::CreateDatabase("a".into())
    );
    assert_eq!(kind("USE `a``b`"), Kind::Use("a`b".into()));
    assert_eq!(kind("CREATE TABLE `a` (`view` int)"), Kind::CreateTable(name("a")));
    assert_eq!(kind("DROP TABLE IF EXISTS `a`"), Kind::DropTable(name("a")));
    assert_eq!(kind("/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `id` */"), Kind::StandIn(name("v")));
    assert_eq!(
        kind("/*!50001 CREATE TABLE `v` (`id` tinyint NOT NULL) ENGINE=MyISAM */"),
        Kind::StandIn(name("v"))
    );
    assert_eq!(
        kind(
            "/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */"
        ),
        Kind::View(name("v"))
    );
    assert_eq!(
        kind(
            "/*!50003 CREATE*/ /*!50017 DEFINER=`event`@`%`*/ /*!50003 trigger tr before insert on `d`.a for each row set @x=1 */"
        ),
        Kind::Trigger {
            name: name("tr"),
            table: Name { database: Some("d".into()), name: "a".into() },
            timing: "BEFORE".into(),
            event: "INSERT".into()
        }
    );
    assert_eq!(
        kind("CREATE DEFINER=`r`@`%` PROCEDURE `p`()\nSELECT 1"),
        Kind::Routine { what: "PROCEDURE", name: name("p") }
    );
    assert_eq!(
        kind("CREATE OR REPLACE PACKAGE BODY p AS x"),
        Kind::Routine { what: "PACKAGE BODY", name: name("p") }
    );
    assert_eq!(
        kind(
            "/*!50106 CREATE*/ /*!50117 DEFINER=`r`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO SET @x=1 */"
        ),
        Kind::Event(name("e"))
    );
    assert_eq!(kind("CREATE SEQUENCE `s` start with 5"), Kind::Sequence(name("s")));
    assert_eq!(kind("SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'aa:1-5'"), Kind::SetGtid("aa:1-5".into()));
    assert_eq!(kind("GRANT ALL ON *.* TO `a`@`%`"), Kind::Account);
    assert_eq!(kind("LOCK TABLES `a` WRITE"), Kind::Lock);
    assert_eq!(kind("/*!40000 ALTER TABLE `a` DISABLE KEYS */"), Kind::Other("ALTER".into()));
}

#[test]
fn rows_are_counted_by_tuples_not_by_text() {
    let rows = |sql: &str| match kind(sql) {
        Kind::Insert { rows, .. } => rows,
        other => panic!("{other:?}"),
    };
    assert_eq!(rows("INSERT INTO `t` VALUES (1,'),('),(2,'a\\'),('),(3,'''),(')"), 3);
    assert_eq!(rows("INSERT INTO t (`a),(`, b) VALUES\n(NOW(),(1)),\n(2,x'28')"), 2);
    assert_eq!(rows("REPLACE INTO `d`.`t` VALUES (1) /* ,(2) */,(3) -- (4)\n"), 2);
    assert_eq!(rows("INSERT IGNORE INTO t SELECT (1)"), 0);
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&'static [u8]> = vec![
        b"SELECT 1;",
        b"\n",
        b" ",
        b"'a;b'",
        b"\"",
        b"'",
        b"`",
        b"\\",
        b"-- x;\n",
        b"--",
        b"-",
        b"#y;\n",
        b"/*",
        b"*/",
        b"/*!50003 ",
        b"/*M!",
        b"/*M",
        b";",
        b";;",
        b"DELIMITER ;;\n",
        b"delimiter ;\n",
        b"(",
        b")",
        b"\xff\x00",
        b"\xef\xbb\xbf",
        b"/*!999999\\- x */",
        b"SET sql_mode='NO_BACKSLASH_ESCAPES';",
        b"SET sql_mode=@old;",
        b"\\N",
        b"USE a;",
        b"\r\n",
        b"x",
        b"system ",
    ];
    prop_oneof![4 => proptest::sample::select(fixed).prop_map(<[u8]>::to_vec), 1 => proptest::collection::vec(any::<u8>(), 0..6)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn chunks_do_not_matter_and_nothing_is_lost(parts in proptest::collection::vec(fragment(), 0..24), chunk in 1_usize..40) {
        let text = parts.concat();
        let whole = split(&text, usize::MAX);
        prop_assert_eq!(&split(&text, 1), &whole);
        prop_assert_eq!(&split(&text, chunk), &whole);
        if let Ok(pieces) = whole {
            prop_assert_eq!(pieces.iter().flat_map(|(_, raw, _)| raw.clone()).collect::<Vec<_>>(), text);
        }
    }

    #[test]
    fn quoted_names_and_strings_read_back(text in "\\PC{0,20}|[`'\"\\\\;\\x00\n]{0,8}", rows in 1_usize..5) {
        let quoted = quote_identifier(&text);
        prop_assert_eq!(unquote_identifier(quoted.as_bytes()), Some((text.clone(), quoted.len())));
        let tuples = vec![format!("({})", quote_string(&text)); rows].join(",");
        let insert = format!("INSERT INTO {quoted} VALUES {tuples}");
        prop_assert_eq!(kind(&insert), Kind::Insert { table: Name { database: None, name: text }, rows: rows as u64 });
    }
}
