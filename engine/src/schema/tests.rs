//! What is written by hand in schemas against the readers themselves.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::document::Source;
use crate::step::Registry;
use crate::{environment, runbook};

/// A field that no reader knows and that is near to none.
const UNKNOWN: &str = "qqqqqqqqqqqqqqqq";

/// What the reader knows only to say that this version does not do it.
const REFUSED: [&str; 1] = ["kubernetes"];

/// What the reader says it knows where the unknown field stands.
fn known(found: &[Diagnostic]) -> BTreeSet<String> {
    let diagnostic = found
        .iter()
        .find(|diagnostic| diagnostic.message.contains(UNKNOWN))
        .unwrap_or_else(|| panic!("nothing was said of the field: {found:#?}"));
    let help = diagnostic.help.as_deref().unwrap();
    let names = help.strip_prefix("it has: ").unwrap_or_else(|| panic!("{help}")).split(", ");
    names.filter(|name| !REFUSED.contains(name)).map(str::to_owned).collect()
}

fn properties(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let part = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    assert_eq!(part["additionalProperties"], false, "{pointer} is open");
    part["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_schema_of_a_runbook_has_every_field_the_reader_knows_and_no_other() {
    let schema = super::runbook(&Registry::default());
    let head = "apiVersion: rekindle/v1\nkind: Runbook\nname: x\nversion: 1.0.0\n";
    let steps = "steps: [{ id: a, uses: x }]\n";
    let places = [
        ("", format!("{steps}{UNKNOWN}: 1\n")),
        ("/properties/concurrency", format!("{steps}concurrency: {{ {UNKNOWN}: 1 }}\n")),
        ("/properties/defaults", format!("{steps}defaults: {{ {UNKNOWN}: 1 }}\n")),
        ("/$defs/retry", format!("{steps}defaults: {{ retry: {{ {UNKNOWN}: 1 }} }}\n")),
        ("/$defs/value", format!("{steps}values: {{ v: {{ {UNKNOWN}: 1 }} }}\n")),
        (
            "/$defs/value/$defs/items",
            format!("{steps}values: {{ v: {{ type: list, items: {{ {UNKNOWN}: 1 }} }} }}\n"),
        ),
        ("/$defs/step", format!("steps: [{{ id: a, uses: x, {UNKNOWN}: 1 }}]\n")),
    ];
    for (pointer, text) in places {
        let found = runbook::parse(&Source::new("x.yaml", format!("{head}{text}"))).unwrap_err();
        assert_eq!(properties(&schema, pointer), known(&found), "{pointer}");
    }
}

#[test]
fn the_schema_of_an_environment_has_every_field_the_reader_knows_and_no_other() {
    let schema = super::environment();
    let head = "apiVersion: rekindle/v1\nkind: Environment\nname: x\n";
    let places = [
        ("", format!("{UNKNOWN}: 1\n")),
        ("/properties/targets/additionalProperties", format!("targets: {{ t: {{ {UNKNOWN}: 1 }} }}\n")),
        ("/properties/stores/additionalProperties", format!("stores: {{ s: {{ {UNKNOWN}: 1 }} }}\n")),
        ("/properties/secrets/additionalProperties", format!("secrets: {{ s: {{ {UNKNOWN}: 1 }} }}\n")),
        ("/properties/schedules/additionalProperties", format!("schedules: {{ s: {{ {UNKNOWN}: 1 }} }}\n")),
        ("/properties/objectives", format!("objectives: {{ {UNKNOWN}: 1 }}\n")),
        (
            "/properties/stores/additionalProperties/properties/lifecycle",
            format!("stores: {{ s: {{ url: 's3://bucket', lifecycle: {{ {UNKNOWN}: 1 }} }} }}\n"),
        ),
        ("/properties/policy", format!("policy: {{ {UNKNOWN}: 1 }}\n")),
    ];
    for (pointer, text) in places {
        let found = environment::parse(&Source::new("x.yaml", format!("{head}{text}"))).unwrap_err();
        let place = schema.pointer(pointer).unwrap();
        // A part that may be deleted stands beside `null`.
        let inner = if place.get("properties").is_some() { String::new() } else { "/anyOf/0".to_owned() };
        assert_eq!(properties(&schema, &format!("{pointer}{inner}")), known(&found), "{pointer}");
    }
}

#[test]
fn what_a_schema_leaves_out_is_refused_by_name() {
    let head = "apiVersion: rekindle/v1\nkind: Environment\nname: x\n";
    for field in REFUSED {
        let text = format!("{head}targets: {{ t: {{ host: h, user: u, {field}: 1 }} }}\n");
        let found = environment::parse(&Source::new("x.yaml", text)).unwrap_err();
        let message = format!("`{field}` is not supported by this version yet");
        assert!(found.iter().any(|diagnostic| diagnostic.message == message), "{found:#?}");
    }
}

#[test]
fn the_schema_of_a_composite_has_every_field_the_reader_knows_and_no_other() {
    let schema = super::composite(&Registry::default());
    let text = format!(
        "apiVersion: rekindle/v1\nkind: StepKind\nname: x\nversion: 1.0.0\nsteps: [{{ id: a, uses: x }}]\n{UNKNOWN}: 1\n"
    );
    let found = crate::composite::parse(&Source::new("x.yaml", text)).unwrap_err();
    assert_eq!(properties(&schema, ""), known(&found));
}
