//! Servers of this machine: where their files are, and how they are stopped and started.

use super::parse;
use crate::document::Source;
use crate::document::rendering::render;

fn errors(text: &str) -> String {
    match parse(&Source::new("e.yaml", text)) {
        Ok(environment) => panic!("read without a complaint: {environment:?}"),
        Err(errors) => render(&errors),
    }
}

#[test]
fn a_target_says_where_its_files_are_and_how_it_is_stopped_and_started() {
    let text = |local: &str| {
        format!(
            "apiVersion: rekindle/v1\nkind: Environment\nname: e\n\
             targets: {{ a: {{ host: h, user: u, local: {local} }} }}\n"
        )
    };
    let whole = text("{ data_dir: /var/lib/mysql, stop: [systemctl, stop, mariadb], start: [start] }");
    let read = parse(&Source::new("e.yaml", &*whole)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let local = read.settings.targets[0].local.clone().unwrap();
    assert_eq!((local.data_dir.as_str(), local.stop.len(), local.start.len()), ("/var/lib/mysql", 3, 1));
    insta::assert_snapshot!(errors(&text("{ data_dir: var/lib, stop: [], start: [x] }")), @r#"
    rekindle::environment::wrong_value: `data_dir` is no absolute path
      e.yaml:4:54 "*******": this value
      help: write it from the root: `/var/lib/mysql`
    rekindle::environment::wrong_value: `stop` is empty
      e.yaml:4:69 "**": this value
      help: write `[program, argument]`
    "#);
}

#[test]
fn a_target_says_how_it_is_spoken_to_over_tls() {
    let text = |tls: &str| {
        format!(
            "apiVersion: rekindle/v1\nkind: Environment\nname: e\n\
             targets: {{ a: {{ host: h, user: u, tls: {tls} }} }}\n"
        )
    };
    let whole = text("{ ca: /etc/ca.pem, certificate: /etc/me.pem, key: /etc/me.key }");
    let read = parse(&Source::new("e.yaml", &*whole)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    let tls = read.settings.targets[0].tls.clone().unwrap();
    assert_eq!(
        (tls.ca.as_deref(), tls.verify, tls.key.as_deref()),
        (Some("/etc/ca.pem"), true, Some("/etc/me.key"))
    );
    insta::assert_snapshot!(errors(&text("{}")), @r#"
    rekindle::environment::wrong_value: `tls` has no `ca` to verify the server by
      e.yaml:4:40 "**": this value
      help: name the file of the authority's certificates with `ca`, or set `verify: false` to encrypt without a proof
    "#);
    insta::assert_snapshot!(errors(&text("{ ca: ca.pem, verify: maybe, key: '' }")), @r#"
    rekindle::environment::wrong_value: `ca` is no absolute path
      e.yaml:4:46 "******": this value
      help: write it from the root: `/etc/mysql/ca.pem`
    rekindle::environment::wrong_type: `verify` must be `true` or `false`, found a string
      e.yaml:4:62 "*****": expected `true` or `false`
    rekindle::environment::wrong_value: `key` is empty
      e.yaml:4:74 "**": this value
      help: write something, or leave the field out
    "#);
    insta::assert_snapshot!(errors(&text("{ verify: false, key: /etc/me.key }")), @r#"
    rekindle::environment::wrong_value: `certificate` and `key` belong together
      e.yaml:4:40 "***********************************": this value
      help: name both files, or none
    "#);
}
