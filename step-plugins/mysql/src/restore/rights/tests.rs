//! What each version asks of an account.

use rekindle_backup::inventory::Inventory;
use serde_json::json;

use super::judge::definer_setters;
use super::*;

const OWN: &str = "ann@%";

/// A shop with one of everything: its view is ann's own, the rest is of others.
fn shop() -> Inventory {
    let trigger = json!({ "table": "a", "timing": "BEFORE", "event": "INSERT" });
    serde_json::from_value(json!({ "databases": { "shop": {
        "tables": { "a": {} }, "views": ["v"], "triggers": { "keep": trigger },
        "routines": ["FUNCTION one", "PROCEDURE tidy"], "events": ["nightly"],
        "definers": {
            "VIEW v": "ann@%", "TRIGGER keep": "root@localhost", "FUNCTION one": "bob@%",
            "PROCEDURE tidy": "gone@%", "EVENT nightly": "bob@%"
        },
    }}}))
    .unwrap()
}

fn can(rows: &[&str]) -> Can {
    let rows: Vec<String> = rows.iter().map(|row| format!("GRANT {row} TO `ann`@`%`")).collect();
    Can {
        account: OWN.to_owned(),
        grants: Some(Grants::read(&rows)),
        distrusts: true,
        accounts: None,
        system_accounts: BTreeSet::new(),
    }
}

fn version(text: &str) -> ServerVersion {
    ServerVersion::read(text, "").unwrap()
}

fn told(refusal: Option<Refusal>) -> String {
    refusal.map_or_else(|| "nothing".to_owned(), |refusal| refusal.problem().to_string())
}

#[test]
fn each_version_has_its_own_privilege_for_definers() {
    let asked = |text: &str| {
        let version = version(text);
        let message = told(can(&["SELECT ON *.*"]).definers("new", &version, &shop()));
        let asked = message.split_once("has no ").unwrap().1.split_once(" on *.*").unwrap().0.to_owned();
        for one in definer_setters(&version) {
            let with = can(&[&format!("{one} ON *.*")]);
            assert_eq!(told(with.definers("new", &version, &shop())), "nothing", "{text}: {one}");
        }
        format!("{text}: {asked}; takes {}", definer_setters(&version).join(", "))
    };
    let all = [
        "5.7.44",
        "8.0.36",
        "8.1.0",
        "8.2.0",
        "8.4.3",
        "9.7.0",
        "10.3.39-MariaDB",
        "10.5.1-MariaDB",
        "10.5.25-MariaDB",
        "10.11.14-MariaDB",
        "11.0.0-MariaDB",
        "11.4.2-MariaDB",
        "12.0.1-MariaDB",
    ];
    insta::assert_snapshot!(all.map(asked).join("\n"), @r"
    5.7.44: SUPER; takes SUPER
    8.0.36: SET_USER_ID; takes SET_USER_ID, SUPER
    8.1.0: SET_USER_ID; takes SET_USER_ID, SUPER
    8.2.0: SET_ANY_DEFINER; takes SET_ANY_DEFINER, SUPER, SET_USER_ID
    8.4.3: SET_ANY_DEFINER; takes SET_ANY_DEFINER, SUPER
    9.7.0: SET_ANY_DEFINER; takes SET_ANY_DEFINER, SUPER
    10.3.39-MariaDB: SUPER; takes SUPER
    10.5.1-MariaDB: SUPER; takes SUPER
    10.5.25-MariaDB: SET USER; takes SET USER, SUPER
    10.11.14-MariaDB: SET USER; takes SET USER, SUPER
    11.0.0-MariaDB: SET USER; takes SET USER, SUPER
    11.4.2-MariaDB: SET USER; takes SET USER
    12.0.1-MariaDB: SET USER; takes SET USER
    ");
}

#[test]
fn the_definers_are_named_with_what_is_missing() {
    let told = |can: &Can, text: &str| told(can.definers("new", &version(text), &shop()));
    let mut can = can(&["SELECT ON *.*"]);
    insta::assert_snapshot!(told(&can, "10.11.14-MariaDB"), @r"
    rekindle::restore::missing_privilege: the account 'ann'@'%' of `new` has no SET USER on *.* (/target)
      help: the backup has definers that it may not set: 'bob'@'%' (EVENT shop.nightly), 'gone'@'%' (PROCEDURE shop.tidy), 'root'@'localhost' (TRIGGER shop.keep); nothing was changed; run `GRANT SET USER ON *.* TO 'ann'@'%'`
    ");
    can.accounts = Some(["ann@%", "bob@%", "root@localhost"].map(str::to_owned).into());
    can.system_accounts = ["root@localhost".to_owned()].into();
    insta::assert_snapshot!(told(&can, "9.7.0"), @r"
    rekindle::restore::missing_privilege: the account 'ann'@'%' of `new` has no SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER on *.* (/target)
      help: the backup has definers that it may not set: 'bob'@'%' (EVENT shop.nightly), 'gone'@'%' (PROCEDURE shop.tidy, no such account), 'root'@'localhost' (TRIGGER shop.keep, it has SYSTEM_USER); nothing was changed; run `GRANT SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER ON *.* TO 'ann'@'%'`
    ");
    can.grants = Some(Grants::read(&["GRANT SET_ANY_DEFINER ON *.* TO `ann`@`%`".to_owned()]));
    insta::assert_snapshot!(told(&can, "9.7.0"), @r"
    rekindle::restore::missing_privilege: the account 'ann'@'%' of `new` has no ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER on *.* (/target)
      help: the backup has definers that it may not set: 'gone'@'%' (PROCEDURE shop.tidy, no such account), 'root'@'localhost' (TRIGGER shop.keep, it has SYSTEM_USER); nothing was changed; run `GRANT ALLOW_NONEXISTENT_DEFINER, SYSTEM_USER ON *.* TO 'ann'@'%'`
    ");
    // SUPER stands for the first two, and not for the third.
    can.grants = Some(Grants::read(&["GRANT SUPER ON *.* TO `ann`@`%`".to_owned()]));
    insta::assert_snapshot!(told(&can, "9.7.0"), @r"
    rekindle::restore::missing_privilege: the account 'ann'@'%' of `new` has no SYSTEM_USER on *.* (/target)
      help: the backup has definers that it may not set: 'root'@'localhost' (TRIGGER shop.keep, it has SYSTEM_USER); nothing was changed; run `GRANT SYSTEM_USER ON *.* TO 'ann'@'%'`
    ");
    can.grants = Some(Grants::read(&["GRANT SUPER, SYSTEM_USER ON *.* TO `ann`@`%`".to_owned()]));
    assert_eq!(told(&can, "9.7.0"), "nothing");
    // What can't be told is no reason to refuse.
    can.grants = None;
    assert_eq!(told(&can, "9.7.0"), "nothing");
}

#[test]
fn an_account_may_always_set_itself() {
    let mut own = shop();
    let shop = own.databases.get_mut("shop").unwrap();
    shop.definers = [("VIEW v".to_owned(), "ann@LOCALHOST".to_owned())].into();
    let can = Can { account: "ann@localhost".to_owned(), ..can(&["SELECT ON *.*"]) };
    assert_eq!(told(can.definers("new", &version("9.7.0"), &own)), "nothing");
    own.databases.get_mut("shop").unwrap().definers =
        [("VIEW v".to_owned(), "Ann@localhost".to_owned())].into();
    assert_ne!(told(can.definers("new", &version("9.7.0"), &own)), "nothing", "users differ by case");
}

#[test]
fn a_server_that_logs_takes_functions_and_triggers_by_its_own_rules() {
    let mut shop = shop();
    let mut can = can(&["SELECT ON *.*"]);
    insta::assert_snapshot!(told(can.functions("new", &shop)), @r"
    rekindle::restore::untrusted_functions: the account 'ann'@'%' of `new` has no SUPER on *.*, and the server writes a binary log: it takes no function and no trigger: FUNCTION shop.one, TRIGGER shop.keep (/target)
      help: nothing was changed; run `SET GLOBAL log_bin_trust_function_creators = ON` on `new`, or `GRANT SUPER ON *.* TO 'ann'@'%'`
    ");
    can.grants = Some(Grants::read(&["GRANT SUPER ON *.* TO `ann`@`%`".to_owned()]));
    assert_eq!(told(can.functions("new", &shop)), "nothing");
    shop.databases.get_mut("shop").unwrap().undeclared_functions = ["one".to_owned()].into();
    insta::assert_snapshot!(told(can.functions("new", &shop)), @r"
    rekindle::restore::untrusted_functions: `new` writes a binary log and takes no function that does not say DETERMINISTIC, NO SQL or READS SQL DATA: shop.one (/target)
      help: the server that was backed up trusted whoever made them; nothing was changed; run `SET GLOBAL log_bin_trust_function_creators = ON` on `new`
    ");
    can.distrusts = false;
    assert_eq!(told(can.functions("new", &shop)), "nothing");
}

#[test]
fn what_each_kind_of_object_takes_is_named_by_database() {
    let objects = |rows: &[&str]| told(can(rows).objects("new", &shop()));
    insta::assert_snapshot!(objects(&["CREATE, INSERT, EVENT ON *.*", "TRIGGER ON `shop`.*"]), @r"
    rekindle::restore::missing_privilege: the account 'ann'@'%' of `new` has no CREATE VIEW, CREATE ROUTINE on shop (/target)
      help: without it shop can't be restored, nothing was changed; run `GRANT CREATE VIEW, CREATE ROUTINE ON `shop`.* TO 'ann'@'%'`
    ");
    assert_eq!(objects(&["ALL PRIVILEGES ON `shop`.*"]), "nothing");
    let all = "CREATE, INSERT, CREATE VIEW, CREATE ROUTINE, TRIGGER, EVENT ON *.*";
    assert_eq!(objects(&[all]), "nothing");
    assert_eq!(told(can(&["USAGE ON *.*"]).objects("new", &Inventory::default())), "nothing");
}

#[test]
fn nobody_gives_the_accounts_of_a_backup_what_he_has_not() {
    let granted = |text: &str| serde_json::from_str(&format!(r#"{{"granted":{text}}}"#)).unwrap();
    let can = can(&["SELECT, INSERT ON *.*"]);
    let get = |text: &str, held: &Inventory| told(can.accounts_get("new", &version(text), held));
    let of_root = granted(r#"{"root@localhost":["ALL PRIVILEGES"],"bob@%":["SELECT","SET USER"]}"#);
    insta::assert_snapshot!(get("10.11.14-MariaDB", &of_root), @r"
    rekindle::restore::missing_privilege: the account 'ann'@'%' of `new` has no ALL PRIVILEGES on *.* (/target)
      help: accounts of the backup have it, and it can't give them what it has not itself: 'bob'@'%', 'root'@'localhost'; nothing was changed; run `GRANT ALL PRIVILEGES ON *.* TO 'ann'@'%' WITH GRANT OPTION`
    ");
    insta::assert_snapshot!(get("9.7.0", &granted(r#"{"bob@%":["SUPER","SYSTEM_USER","SELECT"]}"#)), @r"
    rekindle::restore::missing_privilege: the account 'ann'@'%' of `new` has no SUPER, SYSTEM_USER on *.* (/target)
      help: accounts of the backup have it, and it can't give them what it has not itself: 'bob'@'%'; nothing was changed; run `GRANT SUPER, SYSTEM_USER ON *.* TO 'ann'@'%' WITH GRANT OPTION`
    ");
    assert!(get("9.7.0", &of_root).contains("has no SET USER, SUPER on"), "MySQL shows no ALL PRIVILEGES");
    let alone = r#"{"ann@%":["SUPER"],"mariadb.sys@localhost":["SUPER"],"bob@%":["USAGE","BINLOG MONITOR"]}"#;
    assert_eq!(get("10.11.14-MariaDB", &granted(alone)), "nothing");
}

#[test]
fn accounts_are_read_as_facts_have_them() {
    assert_eq!(unquoted("'o''neil'@'10.%'").as_deref(), Some("o'neil@10.%"));
    assert_eq!(unquoted("nobody"), None);
}
