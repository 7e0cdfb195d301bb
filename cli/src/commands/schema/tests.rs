//! The schemas against an independent validator, the files that are shipped, and the readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use rekindle_engine::compile::{CompileInput, compile};
use rekindle_engine::diagnostic::Diagnostic;
use rekindle_engine::document::{self, Source};
use rekindle_engine::journal::{Event, Outcome, Record};
use rekindle_engine::step::{Registry, StepError};
use rekindle_engine::{environment, runbook, values};
use serde_json::{Value, json};

use super::documents;
use crate::commands::{init, sandbox};
use crate::world;

const COMMITTED: [(&str, &str); 9] = [
    ("runbook", include_str!("../../../../schemas/runbook.schema.json")),
    ("composite", include_str!("../../../../schemas/composite.schema.json")),
    ("steps", include_str!("../../../../schemas/steps.schema.json")),
    ("plan", include_str!("../../../../schemas/plan.schema.json")),
    ("environment", include_str!("../../../../schemas/environment.schema.json")),
    ("journal", include_str!("../../../../schemas/journal.schema.json")),
    ("manifest", include_str!("../../../../schemas/manifest.schema.json")),
    ("plugin", include_str!("../../../../schemas/plugin.schema.json")),
    ("dump-index", include_str!("../../../../schemas/dump-index.schema.json")),
];

#[test]
fn the_committed_schemas_are_what_the_program_prints() {
    let documents = documents();
    let names: Vec<_> = documents.keys().copied().collect();
    let mut committed = COMMITTED.map(|(name, _)| name);
    committed.sort_unstable();
    assert_eq!(names, committed, "a schema has no file here: run `cargo xtask schemas` and list it");
    for (name, text) in COMMITTED {
        let printed = format!("{:#}\n", documents[name]);
        assert!(printed == text, "schemas/{name}.schema.json is out of date: run `cargo xtask schemas`");
    }
}

fn validators() -> BTreeMap<&'static str, Validator> {
    let validator = |schema: &Value| jsonschema::draft202012::new(schema).unwrap();
    documents().iter().map(|(name, schema)| (*name, validator(schema))).collect()
}

/// Reads YAML as the program does; templates are text.
fn tree(name: &str, text: &str) -> Value {
    match document::parse(&Source::new(name, text)) {
        Ok(node) => node.to_json(),
        Err(found) => panic!("{name}: {found:#?}"),
    }
}

/// Gives the name of the schema of a document, by its `kind:`.
fn schema_name(name: &str, document: &Value) -> &'static str {
    match document["kind"].as_str() {
        Some("Runbook") => "runbook",
        Some("Environment") => "environment",
        Some("StepKind") => "composite",
        other => panic!("{name} has the kind {other:?}"),
    }
}

/// Gives what an independent validator says against a document.
fn refused(validators: &BTreeMap<&'static str, Validator>, name: &str, text: &str) -> Vec<String> {
    let document = tree(name, text);
    complaints(&validators[schema_name(name, &document)], name, &document)
}

fn complaints(validator: &Validator, name: &str, document: &Value) -> Vec<String> {
    validator
        .iter_errors(document)
        .map(|error| format!("{name} at {}: {error}", error.instance_path()))
        .collect()
}

fn yaml_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_schema_is_one_itself() {
    for (name, schema) in documents() {
        if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
            panic!("{name}: {error}");
        }
    }
}

/// The kinds that an example brings along: composites by their file, plugins by their name.
fn own_kinds(example: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for (folder, prefix, suffix) in [("kinds", "", ".yaml"), ("plugins", "rekindle-step-", "")] {
        for entry in std::fs::read_dir(example.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            names.extend(
                name.strip_prefix(prefix).and_then(|name| name.strip_suffix(suffix)).map(str::to_owned),
            );
        }
    }
    names
}

/// The schemas as `rekindle schema` prints them in a folder that has these kinds, but for their parameters.
fn validators_with(kinds: &[String]) -> BTreeMap<&'static str, Validator> {
    let mut schemas = documents();
    for name in ["runbook", "composite"] {
        let uses = schemas.get_mut(name).unwrap().pointer_mut("/$defs/step/properties/uses/enum").unwrap();
        uses.as_array_mut().unwrap().extend(kinds.iter().map(|kind| json!(kind)));
    }
    schemas.iter().map(|(name, schema)| (*name, jsonschema::draft202012::new(schema).unwrap())).collect()
}

#[test]
fn every_shipped_document_is_valid_by_its_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("runbooks")];
    folders.extend(std::fs::read_dir(root.join("examples")).unwrap().map(|entry| entry.unwrap().path()));
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for folder in folders {
        let validators = validators_with(&own_kinds(&folder));
        let mut paths = Vec::new();
        yaml_below(&folder, &mut paths);
        for path in paths {
            seen += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            wrong.extend(refused(&validators, &path.display().to_string(), &text));
        }
    }
    assert!(seen >= 10, "only {seen} documents were found");
    let validators = validators();
    for (name, text) in init::files().iter().filter(|(name, _)| is_yaml(name)) {
        wrong.extend(refused(&validators, name, text));
    }
    let made = sandbox::environment(Path::new("/tmp/a \"b\""), "mysql", &[3306, 3307, 3308]);
    wrong.extend(refused(&validators, "sandbox.yaml", &made));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_init_writes_names_schemas_that_it_writes_too() {
    let files: BTreeMap<String, String> = init::files().into_iter().collect();
    for (name, text) in files.iter().filter(|(name, _)| is_yaml(name)) {
        let comment = text.lines().next().unwrap();
        let target = comment
            .strip_prefix("# yaml-language-server: $schema=../")
            .unwrap_or_else(|| panic!("{name} begins with `{comment}`"));
        let kind = schema_name(name, &tree(name, text));
        assert_eq!(target, format!("schemas/{kind}.schema.json"), "{name}");
        assert!(files.contains_key(target), "{name} names {target}, which is not written");
    }
}

#[test]
fn a_plan_and_its_journal_are_valid_by_their_schemas() {
    let validators = validators();
    let sets = [values::parse_set("replicas=[replica-0]").unwrap()];
    let plan = compile(&input(&runbook_of(GOOD).unwrap(), &whole(), &sets, &world::built_in())).unwrap();
    let text = plan.to_json();
    let document: Value = serde_json::from_str(&text).unwrap();
    let wrong: Vec<_> = validators["plan"].iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
    assert!(!validators["plan"].is_valid(&json!({ "format": 1 })));
    let failed = Event::StepFailed {
        step: "wait".into(),
        error: StepError::transient("no answer").help("start it"),
        retry_at: Some(jiff::Timestamp::UNIX_EPOCH),
    };
    for event in [failed, Event::RunFinished { outcome: Outcome::Failed }] {
        let record = json!(Record { seq: 1, at: jiff::Timestamp::UNIX_EPOCH, event });
        let wrong: Vec<_> =
            validators["journal"].iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{record}");
    }
    assert!(!validators["journal"].is_valid(&json!({ "seq": 1, "at": "now", "event": { "type": "dance" } })));
}

/// A runbook with a little of everything.
const GOOD: &str = r#"
apiVersion: rekindle/v1
kind: Runbook
name: good
version: 1.0.0-rc.1
summary: Has a little of everything.
values:
  replicas: { type: list, items: target, default: [] }
  sizes: { type: list, items: { type: list, items: { type: string, enum: [a, b] } }, default: [[a]] }
  word: { type: string, enum: [x, y], default: x, description: One of two. }
concurrency: { group: "g/{{ environment.name }}", on_conflict: wait }
defaults: { timeout: 1h30m, retry: { attempts: 2 } }
steps:
  - id: wait
    uses: mysql.wait-ready
    with: { target: primary }
    retry: { attempts: 5, delay: 2s, backoff: 1.5, max_delay: 1m, jitter: 0.2 }
  - { id: say, run: [echo, "{{ values.word }}"], env: { NAME: "{{ run.id }}" }, needs: wait, effect: read }
  - { id: tell, run: 'echo "$NAME"', env: { NAME: x }, needs: [wait, say], when: true, on_crash: rerun }
  - id: each
    uses: mysql.wait-ready
    for_each: "{{ values.replicas }}"
    max_parallel: 2
    with: { target: "{{ each.value }}" }
    continue_on_error: true
    deadline: 2h
on_failure:
  - { id: alarm, run: [echo, "{{ failure.step }}"] }
finally:
  - { id: report, uses: report.write, with: { dir: "reports/{{ run.id }}" }, when: "{{ run.id != '' }}" }
"#;

/// One edit of [`GOOD`] each, which makes it wrong.
const MISTAKES: [(&str, &str); 33] = [
    ("rekindle/v1", "rekindle/v9"),
    ("kind: Runbook", "kind: Runbok"),
    ("name: good", "name: not good"),
    ("version: 1.0.0-rc.1", "version: 1.0"),
    ("version: 1.0.0-rc.1\n", ""),
    ("summary: Has", "sumary: Has"),
    ("type: list, items: target", "type: lists, items: target"),
    ("type: list, items: target", "type: list"),
    ("type: list, items: target", "type: target, items: target"),
    ("items: { type: string, enum: [a, b] }", "items: { type: string, enum: [] }"),
    ("{ type: string, enum: [x, y]", "{ type: integer, enum: [x, y]"),
    ("  word: {", "  Word: {"),
    ("  word: {", "  steps: {"),
    ("on_conflict: wait", "on_conflict: queue"),
    ("timeout: 1h30m", "timeout: 90"),
    ("timeout: 1h30m", "timeout: soon"),
    ("attempts: 5", "attempts: 0"),
    ("attempts: 5", "attempts: 100000"),
    ("backoff: 1.5", "backoff: 0.5"),
    ("jitter: 0.2", "jitter: 2"),
    ("id: wait", "id: Wait"),
    ("uses: mysql.wait-ready\n    with", "uses: mysql.wait-redy\n    with"),
    ("    with: { target: primary }\n", ""),
    ("with: { target: primary }", "with: { tarjet: primary }"),
    ("with: { target: primary }", "with: { target: [primary] }"),
    ("with: { target: primary }", "with: { target: primary }\n    run: [echo]"),
    ("    uses: mysql.wait-ready\n    with", "    with"),
    ("    uses: mysql.wait-ready\n    with", "    uses: mysql.wait-ready\n    env: { A: b }\n    with"),
    ("max_parallel: 2", "max_parallel: 0"),
    ("    for_each: \"{{ values.replicas }}\"\n", ""),
    ("on_crash: rerun", "on_crash: hope"),
    ("effect: read", "effect: none"),
    ("continue_on_error: true", "continue_on_error: maybe"),
];

const WHOLE: &str = "
apiVersion: rekindle/v1
kind: Environment
name: whole
targets:
  primary: { host: 127.0.0.1, user: root }
  replica-0: { host: 127.0.0.1, port: 3307, user: root }
";

fn input<'a>(
    runbook: &'a runbook::Runbook,
    environment: &'a environment::Environment,
    overrides: &'a [values::Override],
    registry: &'a Registry,
) -> CompileInput<'a> {
    CompileInput { runbook, environment, overrides, registry, pinned: &[] }
}

fn whole() -> environment::Environment {
    environment::parse(&Source::new("whole.yaml", WHOLE)).unwrap()
}

fn runbook_of(text: &str) -> Result<runbook::Runbook, Vec<Diagnostic>> {
    runbook::parse(&Source::new("good.yaml", text))
}

fn is_right(text: &str) -> bool {
    let Ok(runbook) = runbook_of(text) else { return false };
    compile(&input(&runbook, &whole(), &[], &world::built_in())).is_ok()
}

#[test]
fn what_the_program_reads_is_valid_and_what_it_refuses_is_not() {
    let validators = validators();
    assert!(is_right(GOOD));
    assert_eq!(refused(&validators, "good.yaml", GOOD), [""; 0]);
    for (right, wrong) in MISTAKES {
        let text = GOOD.replacen(right, wrong, 1);
        assert_ne!(text, GOOD, "`{right}` is not in the runbook");
        assert!(!is_right(&text), "the program reads `{wrong}`");
        let document = tree("wrong.yaml", &text);
        assert!(!validators["runbook"].is_valid(&document), "the schema lets `{wrong}` through");
    }
}

#[test]
fn mistakes_in_environments_are_refused_by_their_schema_too() {
    let validators = validators();
    assert_eq!(refused(&validators, "whole.yaml", WHOLE), [""; 0]);
    for (right, wrong) in [
        ("port: 3307", "port: many"),
        ("port: 3307", "prt: 3307"),
        ("user: root", "user: root, password: secret"),
        ("targets:", "target:"),
        ("name: whole", "name: whole\nobjectives: { rto: 90 }"),
        ("name: whole", "name: whole\npolicy: { approve: [everything] }"),
        ("name: whole", "name: whole\nsecrets: { root: { vault: x } }"),
    ] {
        let text = WHOLE.replacen(right, wrong, 1);
        assert!(
            environment::parse(&Source::new("wrong.yaml", &*text)).is_err(),
            "the program reads `{wrong}`"
        );
        assert!(!refused(&validators, "wrong.yaml", &text).is_empty(), "the schema lets `{wrong}` through");
    }
}

#[test]
fn editors_complete_kinds_with_what_they_do_and_parameters_by_kind() {
    let schema = &documents()["runbook"];
    let uses = schema.pointer("/$defs/step/properties/uses").unwrap();
    let (names, words) = (uses["enum"].as_array().unwrap(), uses["enumDescriptions"].as_array().unwrap());
    assert_eq!(names.len(), words.len());
    let rules = schema.pointer("/$defs/step/allOf").unwrap().as_array().unwrap();
    for step in world::built_in().kinds() {
        let info = step.info();
        let at = names.iter().position(|name| *name == info.kind).unwrap();
        assert_eq!(words[at], info.summary);
        let rule = rules.iter().find(|rule| rule["if"]["properties"]["uses"]["const"] == info.kind).unwrap();
        let with = &rule["then"]["properties"]["with"]["properties"];
        let params = info.params.as_value()["properties"].as_object().cloned().unwrap_or_default();
        for (name, property) in params {
            assert_eq!(with[&name]["description"], property["description"], "{}.{name}", info.kind);
        }
    }
}

fn is_yaml(name: impl AsRef<std::path::Path>) -> bool {
    name.as_ref().extension().is_some_and(|extension| extension == "yaml")
}
