//! What a backup covers, by its manifest, and what that says of others.

use serde_json::json;

use super::Covers;
use crate::manifest::Manifest;

/// A manifest as it was written before anybody asked what it covers: with objects of these roles.
fn covers(roles: &[&str]) -> Covers {
    let object = |role: &&str| json!({ "name": role, "size_bytes": 1, "sha256": "", "role": role });
    let table = json!({ "rows": 1 });
    let manifest: Manifest = serde_json::from_value(json!({
        "format": 1, "id": "a", "kind": "logical", "cluster": "shop",
        "server": {
            "flavour": "mariadb", "version": "10.11", "version_comment": "", "server_id": 1, "log_bin": true,
        },
        "started_at": "2026-11-22T15:00:00Z", "finished_at": "2026-11-22T15:00:00Z", "consistent_point": {},
        "objects": roles.iter().map(object).collect::<Vec<_>>(), "tools": [],
        "inventory": { "databases": {
            "crm": { "tables": { "a.b": table, "c": table } },
            "empty": {},
            "x.y": { "tables": { "z": table } },
        } },
    }))
    .unwrap();
    Covers::of(&manifest)
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_objects_of_a_backup_tell_what_it_covers() {
    let told = [
        &["full", "index", "schema", "index", "facts", "instructions"][..],
        &["files", "index", "facts", "instructions"],
        &["databases", "index", "facts"],
        &["tables", "index", "facts"],
        &["databases", "tables", "full"],
        &["databases", "tables"],
        &["schema", "index", "facts"],
    ];
    insta::assert_snapshot!(told.map(|roles| covers(roles).to_string()).join("\n"), @r"
    everything
    everything
    only crm, empty, x.y
    only crm.a.b, crm.c, x.y.z
    everything
    only crm.a.b, crm.c, x.y.z
    only the schema
    ");
}

#[test]
fn a_database_is_held_only_where_all_of_it_is() {
    for (roles, databases, tables) in [
        (&["full"][..], [true, true, true], [true, true, true]),
        (&["databases"], [true, true, false], [true, true, false]),
        (&["tables"], [false, false, false], [true, true, false]),
        (&["schema"], [false, false, false], [false, false, false]),
    ] {
        let covers = covers(roles);
        assert_eq!(
            ["crm", "empty", "shop"].map(|name| covers.may_hold_database(name)),
            databases,
            "{roles:?}"
        );
        let names = ["crm.a.b", "x.y.z", "shop.orders"];
        assert_eq!(names.map(|name| covers.may_hold_table(name)), tables, "{roles:?}");
    }
    assert!(covers(&["databases"]).may_hold_table("empty.made_since"), "only its inventory knows");
    assert!(!covers(&["tables"]).may_hold_table("crm.d"));
}

#[test]
fn what_is_written_is_held_against_what_is_covered() {
    let all = texts(&["x.y", "crm", "empty"]);
    let tables = texts(&["crm.c", "crm.a.b", "x.y.z"]);
    assert!(covers(&["full"]).is_of(&[], &[]));
    assert!(covers(&["databases"]).is_of(&all, &[]));
    assert!(covers(&["tables"]).is_of(&[], &tables));
    assert!(!covers(&["databases"]).is_of(&all[1..], &[]));
    assert!(!covers(&["databases"]).is_of(&[], &all), "a database is no table of that name");
    assert!(!covers(&["full"]).is_of(&all, &[]));
    for roles in [["databases"], ["tables"], ["schema"]] {
        assert!(!covers(&roles).is_of(&[], &[]), "{roles:?}");
    }
}

#[test]
fn only_what_covers_as_much_stands_in_for_another() {
    let [full, databases, tables, schema] =
        [["full"], ["databases"], ["tables"], ["schema"]].map(|roles| covers(&roles));
    for other in [&full, &databases, &tables, &schema] {
        assert!(full.includes(other) && other.includes(other), "{other}");
    }
    assert!(databases.includes(&tables));
    for (one, other) in
        [(&databases, &full), (&tables, &databases), (&databases, &schema), (&schema, &tables)]
    {
        assert!(!one.includes(other), "{one} {other}");
    }
}

#[test]
fn it_is_read_back_as_it_was_written_and_long_ones_are_cut_in_words() {
    let many: Covers = serde_json::from_value(json!({ "part": {
        "crm": "whole", "shop": { "tables": ["a", "b", "c", "d", "e", "f"] },
    } }))
    .unwrap();
    assert_eq!(many.to_string(), "only crm, shop.a, shop.b, shop.c, shop.d and 2 more");
    for covers in [many, covers(&["full"]), covers(&["schema"])] {
        let written = serde_json::to_value(&covers).unwrap();
        assert_eq!(serde_json::from_value::<Covers>(written).unwrap(), covers);
    }
}
