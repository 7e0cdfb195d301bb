use std::io::Read as _;

use super::*;
use crate::manifest::{DumpIndex, MANIFEST_FORMAT, Member, ObjectEntry, ObjectRole, Tool};

const DUMP: &str = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n--\n-- Host: localhost\n/*!40101 SET NAMES utf8mb4 */;\n\
-- CHANGE MASTER TO MASTER_LOG_FILE='bin.000001', MASTER_LOG_POS=4692;\n\n--\n-- Current Database: `shop`\n--\n\nCREATE DATABASE `shop`;\n\nUSE `shop`;\n\n\
--\n-- Table structure for table `a`\n--\n\nDROP TABLE IF EXISTS `a`;\nCREATE TABLE `a` (`id` int);\n\n--\n-- Dumping data for table `a`\n--\n\n\
LOCK TABLES `a` WRITE;\nINSERT INTO `a` VALUES (1,'x'),(2,'),(');\nINSERT INTO `a` VALUES (3,'\\'');\nUNLOCK TABLES;\n\
DELIMITER ;;\n/*!50003 CREATE*/ /*!50003 TRIGGER tr BEFORE INSERT ON a FOR EACH ROW begin\n-- Table structure for table `fooled`\nset @x=1; end */;;\nDELIMITER ;\n\
--\n-- Table structure for table `b`\n--\n\nCREATE TABLE `b` (`id` int);\n\n\
--\n-- Temporary table structure for view `v`\n--\n\n/*!50001 CREATE VIEW `v` AS SELECT\n 1 AS `id` */;\n\
--\n-- Final view structure for view `v`\n--\n\n/*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50001 VIEW `v` AS select 1 */;\n\
-- SET GLOBAL gtid_slave_pos='0-1-33';\n\n-- Dump completed on 2026-11-22 16:28:08\n";

fn write(text: &[u8], member_bytes: usize) -> Result<(Vec<u8>, WrittenDump), DumpWriteError> {
    let options = WriterOptions { threads: 2, member_bytes, ..WriterOptions::default() };
    let mut writer = DumpWriter::new(Vec::new(), options)?;
    for chunk in text.chunks(7) {
        writer.write(chunk)?;
    }
    writer.finish()
}

fn index(written: &WrittenDump) -> DumpIndex {
    DumpIndex {
        format: MANIFEST_FORMAT,
        object: ObjectEntry {
            name: "full.sql.gz".into(),
            size_bytes: written.size_bytes,
            sha256: written.sha256.clone(),
            role: ObjectRole::Full,
        },
        uncompressed_bytes: written.text_bytes,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        consistent_point: written.point.clone(),
        inventory: written.inventory.clone(),
        members: written.members.clone(),
        tool: Tool { name: "mariadb-dump".into(), version: String::new(), command: String::new() },
        physical: None,
    }
}

#[test]
fn the_object_is_plain_gzip_of_the_exact_text() {
    let (object, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&object[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, DUMP);
    assert_eq!(written.size_bytes, object.len() as u64);
    assert_eq!(written.text_bytes, DUMP.len() as u64);
}

#[test]
fn every_section_is_a_member_that_reads_by_itself() {
    let (object, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let show = |m: &Member| {
        let bytes = usize::try_from(m.offset).unwrap()..usize::try_from(m.offset + m.size_bytes).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&object[bytes]).read_to_string(&mut text).unwrap();
        assert_eq!(crc32fast::hash(text.as_bytes()), m.crc32);
        assert_eq!(text, DUMP[usize::try_from(m.text_offset).unwrap()..][..text.len()]);
        let first = text.lines().find(|line| line.len() > 2).unwrap().trim_end().to_owned();
        format!("{:?} {:?} {} {first}", m.database, m.table, m.rows)
    };
    insta::assert_snapshot!(written.members.iter().map(show).collect::<Vec<_>>().join("\n"), @r#"
    None None 0 /*M!999999\- enable the sandbox mode */
    Some("shop") None 0 -- Current Database: `shop`
    Some("shop") Some("a") 0 -- Table structure for table `a`
    Some("shop") Some("a") 3 -- Dumping data for table `a`
    Some("shop") Some("a") 0 DELIMITER ;;
    Some("shop") Some("b") 0 -- Table structure for table `b`
    Some("shop") None 0 -- Temporary table structure for view `v`
    Some("shop") None 0 -- Final view structure for view `v`
    Some("shop") None 0 -- Dump completed on 2026-11-22 16:28:08
    "#);
}

#[test]
fn the_inventory_and_the_coordinates_are_read_from_the_text() {
    let (_, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let shop = &written.inventory.databases["shop"];
    assert_eq!(shop.tables["a"].rows, Some(3));
    assert_eq!(shop.tables["b"].rows, Some(0));
    assert_eq!(shop.tables.len(), 2, "no stand-in, no fooled one");
    assert!(shop.views.contains("v"));
    assert_eq!(shop.triggers["tr"].table, "a");
    assert_eq!(written.point.binlog_file.as_deref(), Some("bin.000001"));
    assert_eq!(written.point.binlog_position, Some(4692));
    assert_eq!(written.point.gtid.as_deref(), Some("0-1-33"));
}

#[test]
fn mysql_coordinates_are_read_too() {
    let text = "-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='b.000003', SOURCE_LOG_POS=157;\n\n/* SET @@GLOBAL.GTID_PURGED='+aa:1-5,\nbb:1-2';*/\n\n-- Dump completed on x\n";
    let (_, written) = write(text.as_bytes(), 1 << 20).unwrap();
    assert_eq!(written.point.binlog_file.as_deref(), Some("b.000003"));
    assert_eq!(written.point.binlog_position, Some(157));
    assert_eq!(written.point.gtid.as_deref(), Some("aa:1-5,bb:1-2"));
}

#[test]
fn a_dump_without_its_trailer_is_not_whole() {
    for text in [
        "",
        "SELECT 1;\n",
        &DUMP.replace("-- Dump completed", "-- Dump complete"),
        &format!("{DUMP}SELECT 1;\n"),
        &format!("{DUMP}-- and more\n\n"),
        "SELECT '-- Dump completed';\n",
    ] {
        let error = write(text.as_bytes(), 1 << 20).unwrap_err();
        assert!(matches!(error, DumpWriteError::NoTrailer { .. }), "{text}: {error}");
    }
}

#[test]
fn a_dump_cut_inside_a_statement_is_refused_by_place() {
    let cut = DUMP.find("INSERT").unwrap() + 30;
    let error = write(&DUMP.as_bytes()[..cut], 1 << 20).unwrap_err();
    assert!(matches!(error, DumpWriteError::Sql(_)), "{error}");
}

#[test]
fn content_that_is_whole_is_found_whole() {
    for member_bytes in [1, 100, 1 << 20] {
        let (object, written) = write(DUMP.as_bytes(), member_bytes).unwrap();
        let report = check_content(&object[..], Some(&index(&written))).unwrap();
        assert_eq!(report.inventory, written.inventory);
        assert_eq!(report.size_bytes, written.size_bytes);
        assert_eq!(report.text_bytes, written.text_bytes);
        assert_eq!(report.members, written.members.len());
        assert_eq!(report.statements, written.statements);
        assert_eq!(check_content(&object[..], None).unwrap().point, written.point);
    }
}

#[test]
fn one_flipped_byte_anywhere_is_found_and_the_table_named() {
    let (object, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let index = index(&written);
    for at in 0..object.len() {
        let mut damaged = object.clone();
        damaged[at] ^= 0x20;
        let member = index.members.iter().rev().find(|m| m.offset <= at as u64).unwrap();
        let error = check_content(&damaged[..], Some(&index)).unwrap_err().to_string();
        // RFC 1952: a member's header carries nothing of the text, only the hash of the object tells.
        if let Some(table) = &member.table
            && at as u64 - member.offset > 9
        {
            // The bits that fill up a member's last byte carry nothing either.
            assert!(
                error.contains(&format!("shop.{table}")) || error.contains("sha256"),
                "byte {at}: {error}"
            );
        }
    }
}

#[test]
fn a_truncated_object_or_garbage_after_it_is_refused() {
    let (object, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    for length in 0..object.len() {
        assert!(check_content(&object[..length], None).is_err(), "{length}");
    }
    let mut longer = object.clone();
    longer.extend_from_slice(b"garbage");
    insta::assert_snapshot!(
        check_content(&longer[..], Some(&index(&written))).unwrap_err().to_string().replace(&object.len().to_string(), "N"),
        @"at byte N stands no gzip member but something else"
    );
    let last = usize::try_from(written.members.last().unwrap().offset).unwrap();
    assert!(matches!(check_content(&object[..last], None), Err(ContentError::NoTrailer)));
}

#[test]
fn a_member_that_was_replaced_by_a_valid_one_is_found() {
    let (object, written) = write(DUMP.replace("(3,'\\'')", "(4,'\\'')").as_bytes(), 1 << 20).unwrap();
    let (_, other) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let error = check_content(&object[..], Some(&index(&other))).unwrap_err();
    assert!(
        error.to_string().contains("gzip member 3 is not the one in the index: its CRC-32 is"),
        "{error}"
    );
    assert!(error.to_string().ends_with("(in table shop.a)"), "{error}");
    assert!(check_content(&object[..], Some(&index(&written))).is_ok());
}

#[test]
fn nothing_of_a_damaged_member_is_given_out() {
    let (object, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let member = &written.members[3];
    let mut damaged = object.clone();
    // The member's own CRC-32 is wrong; its text decompresses well.
    damaged[usize::try_from(member.offset + member.size_bytes).unwrap() - 8] ^= 1;
    let mut given = Vec::new();
    let error = VerifiedText::new(&damaged[..]).read_to_end(&mut given).unwrap_err();
    assert_eq!(GzipError::of(&error).unwrap().member(), Some(3));
    assert_eq!(given.len() as u64, member.text_offset);

    let mut whole = String::new();
    VerifiedText::new(&object[..]).read_to_string(&mut whole).unwrap();
    assert_eq!(whole, DUMP);
}

#[test]
fn members_are_split_into_statements_one_by_one_whatever_their_size() {
    for member_bytes in [1, 100, 1 << 20] {
        let (object, written) = write(DUMP.as_bytes(), member_bytes).unwrap();
        let mut verbs = Vec::new();
        let mut text = Vec::new();
        for member in &written.members {
            let begin = usize::try_from(member.offset).unwrap();
            let bytes = &object[begin..begin + usize::try_from(member.size_bytes).unwrap()];
            let opened = MemberText::open(bytes, member).unwrap();
            text.extend_from_slice(opened.text());
            for statement in &opened.statements {
                assert!(!opened.sql(statement).is_empty());
                verbs.push(statement.kind.verb().to_owned());
            }
            let is_last = Some(member) == written.members.last();
            assert_eq!(opened.trailer_is_last, is_last);
        }
        assert_eq!(text, DUMP.as_bytes());
        insta::allow_duplicates! {
            insta::assert_snapshot!(verbs.join(", "), @"SET, CREATE DATABASE, USE, DROP TABLE, CREATE TABLE, LOCK TABLES, INSERT, INSERT, UNLOCK TABLES, CREATE TRIGGER, CREATE TABLE, CREATE VIEW, CREATE VIEW");
        }
    }
}

#[test]
fn a_member_is_refused_for_any_byte_that_was_not_written() {
    let (object, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let member = &written.members[3];
    let begin = usize::try_from(member.offset).unwrap();
    let bytes = &object[begin..begin + usize::try_from(member.size_bytes).unwrap()];
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1;
        assert!(matches!(MemberText::open(&damaged, member), Err(MemberDamage::Hash { .. })), "byte {at}");
    }
    assert!(matches!(MemberText::open(&bytes[1..], member), Err(MemberDamage::Hash { .. })));
    let unproven = Member { sha256: None, ..member.clone() };
    assert_eq!(MemberText::open(bytes, &unproven).unwrap_err(), MemberDamage::Unproven);
    // A member that is whole and not the one of the index.
    for text_bytes in [member.text_bytes - 1, member.text_bytes + 1] {
        let other = Member { text_bytes, ..member.clone() };
        assert!(matches!(MemberText::open(bytes, &other), Err(MemberDamage::Text { .. })));
    }
}

#[test]
fn the_outline_tells_definition_rows_and_triggers_of_a_table_apart() {
    let (_, written) = write(DUMP.as_bytes(), 100).unwrap();
    let index = index(&written);
    let outline = Outline::of(&index).unwrap();
    assert_eq!(index.members[outline.head.end].database.as_deref(), Some("shop"));
    let tables: Vec<_> =
        outline.tables.iter().map(|t| (t.table.as_str(), t.rows.len(), t.rest.len())).collect();
    assert_eq!(tables, [("a", 2, 1), ("b", 0, 0)]);
    let rows: u64 = index.members[outline.tables[0].rows.clone()].iter().map(|member| member.rows).sum();
    assert_eq!(rows, 3);
    let all = outline.head.len() + outline.others.len();
    let of_tables: usize =
        outline.tables.iter().map(|t| t.definition.len() + t.rows.len() + t.rest.len()).sum();
    assert_eq!(all + of_tables, index.members.len(), "every member is of something");
}

#[test]
fn members_that_leave_a_byte_unproven_have_no_outline() {
    let (_, written) = write(DUMP.as_bytes(), 1 << 20).unwrap();
    let spoilt: [fn(&mut DumpIndex); 5] = [
        |index| index.members.clear(),
        |index| index.members[2].sha256 = None,
        |index| index.members[1].offset += 1,
        |index| drop(index.members.pop()),
        |index| index.object.size_bytes += 1,
    ];
    for spoil in spoilt {
        let mut index = index(&written);
        assert!(Outline::of(&index).is_some());
        spoil(&mut index);
        assert_eq!(Outline::of(&index), None);
    }
}

/// Gives other rows for the table `a`, and counts them.
struct Others(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl RowText for Others {
    fn instead(&mut self, database: &str, table: &str, rows: u64) -> std::io::Result<Option<Vec<Vec<u8>>>> {
        self.0.lock().unwrap().push(format!("{database}.{table} {rows}"));
        let statements = ["INSERT INTO `a` VALUES (8,';')", "INSERT INTO `a` VALUES (9,'9')"];
        Ok((rows > 1).then(|| statements.map(|text| text.as_bytes().to_vec()).to_vec()))
    }

    fn over(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap().push("over".to_owned());
        Ok(())
    }
}

#[test]
fn other_text_takes_the_place_of_rows_and_nothing_else_changes() {
    let asked = std::sync::Arc::default();
    let writer = DumpWriter::new(Vec::new(), WriterOptions::default()).unwrap();
    let mut writer = writer.with_row_text(Box::new(Others(std::sync::Arc::clone(&asked))));
    for chunk in DUMP.as_bytes().chunks(11) {
        writer.write(chunk).unwrap();
    }
    writer.end_part().unwrap();
    let (object, written) = writer.finish().unwrap();

    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&object[..]).read_to_string(&mut text).unwrap();
    assert_eq!(
        text,
        DUMP.replace("VALUES (1,'x'),(2,'),(');", "VALUES (8,';');\nINSERT INTO `a` VALUES (9,'9');")
    );
    assert_eq!(written.text_bytes, text.len() as u64);
    assert_eq!(written.inventory.databases["shop"].tables["a"].rows, Some(3));
    assert_eq!(*asked.lock().unwrap(), ["shop.a 2", "shop.a 1", "over", "over"]);
}

/// The section of a view, as clients write it.
fn view(name: &str, query: &str, check: &str) -> String {
    format!(
        "--\n-- Final view structure for view `{name}`\n--\n\n/*!50001 DROP VIEW IF EXISTS `{name}`*/;\n\
         /*!50001 SET @saved_col_connection     = @@collation_connection */;\n\
         /*!50001 SET collation_connection      = utf8mb4_0900_ai_ci */;\n/*!50001 CREATE ALGORITHM=UNDEFINED */\n\
         /*!50001 VIEW `{name}` AS {query} */{check};\n\
         /*!50001 SET collation_connection      = @saved_col_connection */;\n\n"
    )
}

const WITH_CHECK: &str = "\n/*!50002 WITH CASCADED CHECK OPTION */";
const USE_SHOP: &str = "--\n-- Current Database: `shop`\n--\n\nUSE `shop`;\n\n";
const FOOTER: &str = "/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n\n-- Dump completed on 2026-11-29 06:28:08\n";

#[test]
fn views_with_check_option_stand_behind_all_others_and_behind_each_other() {
    let first = view("a", "select `c`.`id` AS `id` from `c`", WITH_CHECK);
    let quoted = view("b", "select 'CHECK OPTION' AS `x`", "");
    let middle = view("c", "select `d`.`id` AS `id` from `d`", WITH_CHECK);
    let base = view("d", "select 1 AS `id`", "");
    let use_other = USE_SHOP.replace("shop", "z");
    let other = view("e", "select `d`.`id` AS `id` from `shop`.`d`", "");
    let text = format!("{USE_SHOP}{first}{quoted}{middle}{base}{use_other}{other}{FOOTER}");

    let (object, written) = write(text.as_bytes(), 1 << 20).unwrap();

    let mut moved = String::new();
    flate2::read::MultiGzDecoder::new(&object[..]).read_to_string(&mut moved).unwrap();
    let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let wanted =
        format!("{USE_SHOP}{quoted}{base}{use_other}{other}{USE_SHOP}{middle}{USE_SHOP}{first}{FOOTER}");
    assert_eq!(lines(&moved), lines(&wanted));
    assert_eq!(written.inventory.databases["shop"].views.len(), 4);
    assert_eq!(written.text_bytes, moved.len() as u64);
}

#[test]
fn a_view_stands_behind_those_that_it_is_over_by_way_of_others_or_by_the_same_name_elsewhere() {
    let over_others = view("c", "select `b`.`id` AS `id` from `b`", WITH_CHECK);
    let between = view("b", "select `z`.`id` AS `id` from `z`", "");
    let base = view("z", "select `t`.`id` AS `id` from `t`", WITH_CHECK);
    let namesake = view("v", "select `v`.`id` AS `id` from `y`.`v`", WITH_CHECK);
    let use_other = USE_SHOP.replace("shop", "y");
    let elsewhere = view("v", "select `t`.`id` AS `id` from `t`", WITH_CHECK);
    let text = format!("{USE_SHOP}{between}{over_others}{namesake}{base}{use_other}{elsewhere}{FOOTER}");

    let (object, _) = write(text.as_bytes(), 1 << 20).unwrap();

    let mut moved = String::new();
    flate2::read::MultiGzDecoder::new(&object[..]).read_to_string(&mut moved).unwrap();
    let at = |section: &str| moved.find(section.trim_end()).unwrap();
    assert!(at(&base) < at(&over_others), "{moved}");
    assert!(at(&elsewhere) < at(&namesake), "{moved}");
}

#[test]
fn views_that_need_not_move_stay_as_they_are() {
    let text = format!(
        "{USE_SHOP}{}{}{FOOTER}",
        view("b", "select 1", ""),
        view("a", "select `b`.`c` from `b`", "")
    );
    let (object, _) = write(text.as_bytes(), 1 << 20).unwrap();
    let mut same = String::new();
    flate2::read::MultiGzDecoder::new(&object[..]).read_to_string(&mut same).unwrap();
    assert_eq!(same, text);
}
