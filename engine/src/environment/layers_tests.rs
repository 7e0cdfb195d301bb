//! `extends`: what layers make of each other, and what is said when they are wrong.

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::diagnostic::Diagnostic;
use crate::document::Source;
use crate::document::rendering::render;

const HEAD: &str = "apiVersion: rekindle/v1\nkind: Environment\n";

/// Loads the first of these files, each with a header; `extends` is looked up among them.
fn loaded(files: &[(&str, &str)]) -> Result<Environment, Vec<Diagnostic>> {
    let sources: Vec<Arc<Source>> = files
        .iter()
        .map(|(name, body)| Source::new(format!("{name}.yaml"), format!("{HEAD}{body}")))
        .collect();
    load(&sources[0], |name, _| {
        let wanted = format!("{name}.yaml");
        sources.iter().find(|source| source.name == wanted).cloned().ok_or_else(|| NotFound {
            message: format!("there is no environment `{name}`"),
            help: Some("did you mean `base`?".to_owned()),
        })
    })
}

fn environment(files: &[(&str, &str)]) -> Environment {
    loaded(files).unwrap_or_else(|errors| panic!("{}", render(&errors)))
}

fn errors(files: &[(&str, &str)]) -> String {
    render(&loaded(files).expect_err("it is right"))
}

const BASE: &str = "name: base
targets:
  primary: { host: db, port: 3307, user: root, password: { secret: root } }
  replica-0: { host: replica, user: root }
stores: { primary: { url: 'file:a' }, offsite: { url: 'file:b' } }
secrets: { root: { env: ROOT } }
objectives: { rto: 4h, rpo: 24h }
policy: { approve: [destroy, write], approvals: 2 }
values: { retention: { keep_last: 7 } }
";

#[test]
fn maps_merge_lists_replace_and_null_deletes() {
    let read = environment(&[
        (
            "production",
            "extends: middle\nname: production\nobjectives: { rpo: 15m }\npolicy: { approve: [destroy] }\n\
             targets: { replica-0: null }\nvalues: { retention: { keep_last: null } }\n",
        ),
        ("middle", "extends: base\ntargets: { primary: { host: db2 } }\nobjectives: { rto: 1h }\n"),
        ("base", BASE),
    ]);
    let settings = &read.settings;
    assert_eq!((settings.name.as_str(), settings.cluster()), ("production", "production"));
    let targets: Vec<_> = settings.targets.keys().map(crate::id::TargetName::as_str).collect();
    assert_eq!(targets, ["primary"]);
    assert_eq!((settings.targets[0].host.as_str(), settings.targets[0].port), ("db2", 3307));
    let objectives = settings.objectives.as_ref().unwrap();
    assert_eq!(objectives.rto.unwrap().to_string() + "/" + &objectives.rpo.unwrap().to_string(), "1h/15m");
    assert_eq!((settings.policy.approve.len(), settings.policy.approvals), (1, 2));
    // Values are laid over the runbook's, so a null in them is kept.
    let values: Vec<_> = read.values.iter().map(|node| node.to_json().to_string()).collect();
    assert_eq!(values, [r#"{"retention":{"keep_last":7}}"#, r#"{"retention":{"keep_last":null}}"#]);
    assert_eq!(read.locations["targets.primary"].to_string(), "middle.yaml:4:12");
    assert_eq!(read.locations["stores.offsite"].to_string(), "base.yaml:7:39");
}

#[test]
fn every_file_is_named_with_its_hash_the_base_first() {
    let read = environment(&[("e", "extends: base\nname: e\n"), ("base", BASE)]);
    let names: Vec<_> = read.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["base.yaml", "e.yaml"]);
    let text = format!("{HEAD}{BASE}");
    assert_eq!(read.sources[0], EnvironmentSource::of(&Source::new("base.yaml", text)));
    assert_eq!(read.sources[0].sha256.len(), 64);
    assert_ne!(read.sources[0].sha256, read.sources[1].sha256);
}

#[test]
fn the_name_is_not_inherited() {
    insta::assert_snapshot!(errors(&[("e", "extends: base\n"), ("base", BASE)]), @r#"
    rekindle::environment::missing_field: an environment has no `name`
      e.yaml:1:1 "apiVersion": `name` belongs to this map
      help: add `name:`
    "#);
}

#[test]
fn mistakes_of_every_layer_point_into_their_own_file() {
    insta::assert_snapshot!(errors(&[
        ("e", "extends: base\nname: e\nobjectives: { rdo: 1h }\ntargets: { primary: { port: 0 } }\nvalues: { a: '{{ x }}' }\n"),
        ("base", "targets: { primary: { hots: db, user: root } }\nvalues: { b: '{{ x }}' }\nstorez: {}\n"),
    ]), @r#"
    rekindle::environment::missing_field: target `primary` has no `host`
      base.yaml:3:23 "hots": `host` belongs to this map
      help: add `host:`
    rekindle::environment::unknown_field: target `primary` has no field `hots`
      base.yaml:3:23 "hots": not a known field
      help: did you mean `host`?
    rekindle::values::template: `b` holds a template, and values are not rendered
      base.yaml:4:14 "'{{ x }}'": not rendered
      help: put the template where the value is used; `!raw` keeps braces as they are
    rekindle::environment::unknown_field: an environment has no field `storez`
      base.yaml:5:1 "storez": not a known field
      help: did you mean `stores`?
    rekindle::environment::unknown_field: `objectives` has no field `rdo`
      e.yaml:5:15 "rdo": not a known field
      help: did you mean `rpo`?
    rekindle::environment::wrong_value: `port` must be from 1 to 65535, found 0
      e.yaml:6:29 "0": this value
      help: write a number in that range
    rekindle::values::template: `a` holds a template, and values are not rendered
      e.yaml:7:14 "'{{ x }}'": not rendered
      help: put the template where the value is used; `!raw` keeps braces as they are
    "#);
}

#[test]
fn a_null_that_deletes_nothing_is_a_mistake() {
    insta::assert_snapshot!(errors(&[
        ("e", "extends: base\nname: e\ntargets: { replica-1: null }\nobjectives: { rto: ~ }\ncluster:\n"),
        ("base", BASE),
    ]), @r#"
    rekindle::environment::nothing_to_delete: `targets.replica-1` is null, and no environment below sets it
      e.yaml:5:12 "replica-1": deletes nothing
      help: remove the line, or write a value
    rekindle::environment::nothing_to_delete: `cluster` is null, and no environment below sets it
      e.yaml:7:1 "cluster": deletes nothing
      help: remove the line, or write a value
    "#);
}

#[test]
fn what_is_extended_must_be_there() {
    insta::assert_snapshot!(errors(&[("e", "extends: bsae\nname: e\n")]), @r#"
    rekindle::environment::unknown_base: there is no environment `bsae`
      e.yaml:3:10 "bsae": extends this
      help: did you mean `base`?
    "#);
    insta::assert_snapshot!(errors(&[("e", "extends: [base]\nname: e\n")]), @r#"
    rekindle::environment::wrong_type: `extends` must be a string, found a list
      e.yaml:3:10 "[base]": expected a string
    "#);
    insta::assert_snapshot!(errors(&[("e", "extends: ''\nname: e\n")]), @r#"
    rekindle::environment::wrong_value: `extends` is empty
      e.yaml:3:10 "''": this value
      help: write something, or leave the field out
    "#);
}

#[test]
fn environments_do_not_extend_each_other_in_a_circle() {
    insta::assert_snapshot!(
        errors(&[("e", "extends: a\nname: e\n"), ("a", "extends: b\n"), ("b", "extends: a\n")]),
        @r#"
    rekindle::environment::extends_cycle: environments extend each other: a.yaml → b.yaml → a.yaml
      b.yaml:3:10 "a": leads back
      help: remove the `extends` of the one that is the base of all
    "#
    );
    insta::assert_snapshot!(errors(&[("e", "extends: e\nname: e\n")]), @r#"
    rekindle::environment::extends_cycle: environments extend each other: e.yaml → e.yaml
      e.yaml:3:10 "e": leads back
      help: remove the `extends` of the one that is the base of all
    "#);
}

#[test]
fn a_chain_without_end_is_cut() {
    let mut count = 0;
    let first = Source::new("0.yaml", format!("{HEAD}name: e\nextends: next\n"));
    let errors = load(&first, |_, _| {
        count += 1;
        Ok(Source::new(format!("{count}.yaml"), format!("{HEAD}extends: next\n")))
    });
    insta::assert_snapshot!(render(&errors.unwrap_err()), @r#"
    rekindle::environment::extends_depth: more than 16 environments extend one another
      15.yaml:3:10 "next": one too many
      help: put what they share into fewer files
    "#);
}

#[test]
fn a_layer_is_an_environment() {
    insta::assert_snapshot!(
        errors(&[("e", "extends: base\nname: e\n"), ("base", "kind: Runbook\n")]),
        @r#"
    rekindle::document::duplicate_key: `kind` is given twice
      base.yaml:3:1 "kind": given again
      base.yaml:2:1 "kind": first given here
      help: keep one of them; the text is hidden, since an environment could hold a password by mistake
    "#
    );
    let runbook = Source::new("base.yaml", "apiVersion: rekindle/v1\nkind: Runbook\nname: r\n");
    let first = Source::new("e.yaml", format!("{HEAD}name: e\nextends: base\n"));
    let errors = load(&first, |_, _| Ok(Arc::clone(&runbook)));
    insta::assert_snapshot!(render(&errors.unwrap_err()), @r#"
    rekindle::document::kind: expected a document of kind `Environment`, found `Runbook`
      base.yaml:2:7 "Runbook": this kind
      help: a runbook is named first, an environment with `-e`: are they swapped?
    "#);
}

#[test]
fn two_sources_of_one_secret_from_two_files_are_told_how_to_end() {
    insta::assert_snapshot!(errors(&[
        ("e", "extends: base\nname: e\nsecrets: { root: { file: secrets/root } }\n"),
        ("base", BASE),
    ]), @r#"
    rekindle::environment::secret_source: secret `root` says more than one place its value comes from
      e.yaml:5:12 "root": needs exactly one source
      help: the environments it comes from say different ones: delete one, as in `env: null`
    "#);
    let read = environment(&[
        ("e", "extends: base\nname: e\nsecrets: { root: { env: null, file: secrets/root } }\n"),
        ("base", BASE),
    ]);
    assert_eq!(read.settings.secrets[0].file.as_deref(), Some("secrets/root"));
}

/// Everything that a person, a log or a report could get to see of these mistakes.
fn said(errors: &[Diagnostic]) -> String {
    errors.iter().fold(String::new(), |mut all, error| {
        let _ = writeln!(all, "{error:?}");
        all
    })
}

#[test]
fn a_password_in_any_layer_is_in_no_diagnostic() {
    let plain = "targets:\n  primary: { host: db, user: root, password: hunter2 }\n";
    for files in [
        // Refused, although the layer above says it right.
        [
            (
                "e",
                "extends: base\nname: e\nsecrets: { a: { env: A } }\ntargets: { primary: { password: { secret: a } } }\n",
            ),
            ("base", plain),
        ],
        // Next to a mistake of `extends` itself.
        [
            ("e", "name: e\nextends: base\n"),
            ("base", "targets: { a: { password: hunter2 } }\nextends: nowhere\n"),
        ],
        [("e", "name: e\nextends: base\ntargets: { a: { pasword: hunter2, host: h } }\n"), ("base", BASE)],
        [("e", "name: e\nextends: base\ntargetz: { a: [{ password: hunter2 }] }\n"), ("base", BASE)],
        [("e", "name: e\nextends: base\nsecrets: { root: { value: hunter2 } }\n"), ("base", BASE)],
        [("e", "name: e\nextends: base\nsecrets: { root: hunter2 }\n"), ("base", BASE)],
    ] {
        let errors = loaded(&files).unwrap_err();
        assert!(!said(&errors).contains("hunter2"), "{files:?}\n{}", said(&errors));
    }
    insta::assert_snapshot!(errors(&[("e", "name: e\nextends: base\n"), ("base", plain)]), @r#"
    rekindle::environment::plain_password: a password is never written into an environment
      base.yaml:4:46 "*******": expected `{ secret: NAME }`
      help: declare it under `secrets:` and write `password: { secret: NAME }`
    "#);
}

#[test]
fn yaml_that_cannot_be_read_is_not_repeated() {
    for body in [
        "targets:\n  a:\n    password: hunter2\n    host: x: y\n",
        "targets: { a: { password: \"hunter2 } }\n",
        "targets:\n  a:\n    password: hunter2: more\n",
        "targets:\n  a:\n    password: *hunter2\n",
        "targets:\n  a:\n    password: !hunter2 x\n",
        "targets:\n  a:\n    password: {{ hunter2 }}\n",
        "targets:\n  a:\n    password: @hunter2\n",
        "secrets:\n  a: |\n   hunter2\n\tx\n",
        "secrets:\n  root: hunter2\n  root: hunter2\n",
        "secrets: { hunter2: 1, hunter2: 2 }\n",
        "secrets: { root: hunter2\nname: e\n",
        "? password\n: hunter2\n  x: [\n",
        "password:hunter2\n",
        "a: 'hunter2' hunter2\n",
    ] {
        let errors = loaded(&[("e", body)]).unwrap_err();
        assert!(!said(&errors).contains("hunter2"), "{body}\n{}", said(&errors));
    }
}

#[test]
fn of_yaml_that_cannot_be_read_the_place_and_the_known_keys_are_shown() {
    let text = "name: e\ntargets:\n  shop:\n    password: hunter2\n    host: db: 3306\n";
    let errors = loaded(&[("e", text)]).unwrap_err();
    insta::assert_snapshot!(render(&errors), @r#"
    rekindle::document::syntax: a `:` is not allowed here
      e.yaml:7:13 "*": here
      help: quote text that contains `: `, or check indentation and brackets; the text is hidden, since an environment could hold a password by mistake
    "#);
    insta::assert_snapshot!(errors[0].source.as_ref().unwrap().text, @r"
    apiVersion: ***********
    kind: ***********
    name: *
    targets:
      *****
        password: *******
        host: *** ****
    ");
    let alias = loaded(&[("e", "targets:\n  shop: { password: *hunter2 }\n")]).unwrap_err();
    insta::assert_snapshot!(render(&alias), @r#"
    rekindle::document::unknown_anchor: there is no anchor `***` before this alias
      e.yaml:4:21 "********": here
      help: quote text that starts with `*`; the text is hidden, since an environment could hold a password by mistake
    "#);
}
