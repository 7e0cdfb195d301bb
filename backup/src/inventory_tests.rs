use super::*;

fn shop() -> Inventory {
    let trigger = Trigger { table: "a".into(), timing: "BEFORE".into(), event: "INSERT".into() };
    let database = Database {
        tables: [("a".to_owned(), Table { rows: Some(3) }), ("b".to_owned(), Table { rows: None })].into(),
        views: ["v".to_owned()].into(),
        triggers: [("tr".to_owned(), trigger)].into(),
        routines: ["PROCEDURE p".to_owned()].into(),
        ..Database::default()
    };
    Inventory { databases: [("shop".to_owned(), database)].into() }
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
    database.tables.insert("a".to_owned(), Table { rows: Some(2) });
    database.tables.remove("b");
    database.tables.insert("c".to_owned(), Table { rows: Some(0) });
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
    tables.insert("a".to_owned(), Table { rows: None });
    tables.insert("b".to_owned(), Table { rows: Some(9) });
    assert_eq!(differences(&found), "");
}

#[test]
fn the_marker_of_a_restore_is_no_difference() {
    let mut found = shop();
    found.databases.insert(MARKER_DATABASE.to_owned(), Database::default());
    assert_eq!(differences(&found), "");
}
