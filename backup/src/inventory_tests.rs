use super::*;

fn shop() -> Inventory {
    let trigger = Trigger { table: "a".into(), timing: "BEFORE".into(), event: "INSERT".into() };
    let database = Database {
        tables: [
            ("a".to_owned(), Table { rows: Some(3), checksum: None }),
            ("b".to_owned(), Table { rows: None, checksum: None }),
        ]
        .into(),
        views: ["v".to_owned()].into(),
        triggers: [("tr".to_owned(), trigger)].into(),
        routines: ["PROCEDURE p".to_owned()].into(),
        ..Database::default()
    };
    Inventory { databases: [("shop".to_owned(), database)].into(), ..Inventory::default() }
}

fn differences(found: &Inventory) -> String {
    shop().compare(found).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_inventory_equals_itself() {
    assert_eq!(differences(&shop()), "");
}

#[test]
fn every_difference_is_named() {
    let mut found = shop();
    found.databases.insert("other".to_owned(), Database::default());
    let database = found.databases.get_mut("shop").unwrap();
    database.tables.insert("a".to_owned(), Table { rows: Some(2), checksum: None });
    database.tables.remove("b");
    database.tables.insert("c".to_owned(), Table { rows: Some(0), checksum: None });
    database.views.clear();
    database.triggers.get_mut("tr").unwrap().timing = "AFTER".to_owned();
    database.routines.insert("FUNCTION p".to_owned());
    insta::assert_snapshot!(differences(&found), @r"
    database other is too much
    table shop.b is missing
    table shop.c is too much
    the rows of table shop.a: expected 3, found 2
    trigger shop.tr: expected BEFORE INSERT on a, found AFTER INSERT on a
    view v of shop is missing
    routine FUNCTION p of shop is too much
    ");
    insta::assert_snapshot!(differences(&Inventory::default()), @"database shop is missing");
}

#[test]
fn rows_that_were_not_counted_are_not_compared() {
    let mut found = shop();
    let tables = &mut found.databases.get_mut("shop").unwrap().tables;
    tables.insert("a".to_owned(), Table { rows: None, checksum: None });
    tables.insert("b".to_owned(), Table { rows: Some(9), checksum: None });
    assert_eq!(differences(&found), "");
}

#[test]
fn the_marker_of_a_restore_is_no_difference() {
    let mut found = shop();
    found.databases.insert(MARKER_DATABASE.to_owned(), Database::default());
    assert_eq!(differences(&found), "");
}

#[test]
fn checksums_are_compared_where_both_have_one() {
    let with = |sum: Option<&str>| {
        let mut shop = shop();
        let table = Table { rows: Some(3), checksum: sum.map(str::to_owned) };
        shop.databases.get_mut("shop").unwrap().tables.insert("a".to_owned(), table);
        shop
    };
    let differences = |one: Option<&str>, other| {
        with(one).compare(&with(other)).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(differences(Some("7"), Some("7")), [""; 0]);
    assert_eq!(differences(Some("7"), None), [""; 0]);
    assert_eq!(differences(Some("7"), Some("8")), ["the checksum of table shop.a: expected 7, found 8"]);
}

#[test]
fn checksums_are_taken_over_by_name() {
    let mut taken = shop();
    taken.databases.get_mut("shop").unwrap().tables.get_mut("a").unwrap().checksum = Some("7".to_owned());
    taken.databases.insert("other".to_owned(), Database::default());
    let mut into = shop();
    assert_eq!(into.shared_checksum_count(&taken), 0);
    into.take_checksums(taken.clone());
    assert_eq!((into.checksum_count(), into.shared_checksum_count(&taken)), (1, 1));
    assert_eq!(into.databases.len(), 1);
}
