//! Reading composites, and what a registry says of them.

use std::sync::Arc;

use super::{parse, register};
use crate::document::{Source, rendering};
use crate::step::{Effect, Registry};
use crate::testing::ScriptedStep;

const HEAD: &str = "apiVersion: rekindle/v1\nkind: StepKind\n";

fn source(name: &str, text: &str) -> Arc<Source> {
    Source::new(format!("kinds/{name}.yaml"), format!("{HEAD}{text}"))
}

fn mistakes(text: &str) -> String {
    rendering::render(&parse(&source("shop.x", text)).expect_err("all is right"))
}

#[test]
fn a_composite_is_read() {
    let text = "name: shop.x\nversion: 1.2.3\nsummary: Does it.\nvalues: { a: { type: string } }\nsteps: [{ id: b, run: [c] }]\noutputs: { d: e }\n";
    let composite = parse(&source("shop.x", text)).unwrap();
    assert_eq!((composite.name.value.as_str(), composite.summary.as_str()), ("shop.x", "Does it."));
    assert_eq!((composite.values.len(), composite.steps.len()), (1, 1));
    assert_eq!(composite.end.with.to_json(), serde_json::json!({ "d": "e" }));
}

#[test]
fn every_mistake_of_the_document_is_told() {
    insta::assert_snapshot!(mistakes("name: Shop X\nversion: 1\nsteps: []\noutputs: { Rows: a, b-c: d }\non_failure: []\n"), @r#"
    rekindle::runbook::wrong_value: `Shop X` is no name for a step kind
      kinds/shop.x.yaml:3:7 "Shop X": this value
      help: write words of small letters, digits and `-`, joined by dots, at most 63: `shop.reseed`
    rekindle::runbook::wrong_value: `version` is a number, not a version
      kinds/shop.x.yaml:4:10 "1": this value
      help: write three numbers, such as `1.2.0` (semver.org)
    rekindle::runbook::wrong_value: `steps` is empty
      kinds/shop.x.yaml:5:8 "[]": this value
      help: write at least one step
    rekindle::composite::output_name: `Rows` is not a name for an output
      kinds/shop.x.yaml:6:12 "Rows": this name
      help: names are snake_case: a small letter, then small letters, digits and `_`
    rekindle::composite::output_name: `b-c` is not a name for an output
      kinds/shop.x.yaml:6:21 "b-c": this name
      help: names are snake_case: a small letter, then small letters, digits and `_`
    rekindle::runbook::unknown_field: a composite step kind has no field `on_failure`
      kinds/shop.x.yaml:7:1 "on_failure": not a known field
      help: it has: apiVersion, kind, name, version, summary, values, steps, outputs
    "#);
    insta::assert_snapshot!(mistakes("name: shop.x\nversion: 1.0.0\nsteps: [{ id: a, run: [b], needs: [c] }]\noutputs: [a]\n"), @r#"
    rekindle::runbook::unknown_step: there is no step `c` in `steps`
      kinds/shop.x.yaml:5:36 "c": no such step
      help: did you mean `a`?
    rekindle::runbook::wrong_type: `outputs` must be a map, found a list
      kinds/shop.x.yaml:6:10 "[a]": expected a map
    "#);
}

#[test]
fn a_document_of_another_kind_is_told_apart() {
    let runbook = Source::new("kinds/a.yaml", "apiVersion: rekindle/v1\nkind: Runbook\nname: a\n");
    insta::assert_snapshot!(rendering::render(&parse(&runbook).unwrap_err()), @r#"
    rekindle::document::kind: expected a document of kind `StepKind`, found `Runbook`
      kinds/a.yaml:2:7 "Runbook": this kind
      help: the folder `kinds` holds step kinds: move a runbook to `runbooks`
    "#);
    let composite = source("shop.x", "name: shop.x\n");
    insta::assert_snapshot!(rendering::render(&crate::runbook::parse(&composite).unwrap_err()), @r#"
    rekindle::document::kind: expected a document of kind `Runbook`, found `StepKind`
      kinds/shop.x.yaml:2:7 "StepKind": this kind
      help: a composite step kind is not run by itself: a step of a runbook names it with `uses:`
    "#);
}

fn registered(files: &[(&str, &str)]) -> Registry {
    let mut registry = Registry::default();
    ScriptedStep::new("fake.read", Effect::Read).register(&mut registry);
    ScriptedStep::new("fake.destroy", Effect::Destroy).register(&mut registry);
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), Ok(source(name, text)))).collect();
    register(&mut registry, files);
    registry
}

#[test]
fn a_registry_describes_a_composite_as_any_kind() {
    let inner = "name: shop.inner\nversion: 1.0.0\nsteps: [{ id: a, uses: fake.destroy }]\n";
    let outer = "name: shop.outer\nversion: 2.0.0\nsummary: Both.\nvalues:\n  server: { type: target, description: Where. }\n  deep: { type: boolean, default: true }\n  sizes: { type: list, items: size, default: [] }\nsteps: [{ id: a, uses: fake.read }, { id: b, uses: shop.inner }]\noutputs: { server: \"{{ values.server }}\", all: \"{{ steps.a.outputs }}\", text: \"on {{ values.server }}\" }\n";
    // Named before the one that it uses: order is not the user's business.
    let registry = registered(&[("shop.outer", outer), ("shop.inner", inner)]);
    let info = registry.get("shop.outer").unwrap().info();
    assert_eq!(
        (info.version.as_str(), info.effect, info.effect_is_declared),
        ("2.0.0", Effect::Destroy, false)
    );
    assert_eq!(info.digest.as_deref(), Some(registry.composite("shop.outer").unwrap().sha256.as_str()));
    insta::assert_snapshot!(info.params.as_value(), @r#"{"type":"object","additionalProperties":false,"properties":{"server":{"type":"string","format":"target","description":"Where."},"deep":{"type":"boolean","default":true},"sizes":{"type":"array","items":{"type":"string","pattern":"^[0-9]+(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$","title":"SizeText"},"default":[]}},"required":["server"]}"#);
    insta::assert_snapshot!(info.outputs.as_value(), @r#"{"type":"object","properties":{"server":{"type":"string","format":"target"},"all":{"type":"object","properties":{},"additionalProperties":false},"text":{"type":"string"}},"required":["server","all","text"]}"#);
}

#[test]
fn a_file_has_the_name_of_its_kind() {
    let registry =
        registered(&[("shop.y", "name: shop.x\nversion: 1.0.0\nsteps: [{ id: a, uses: fake.read }]\n")]);
    assert!(registry.get("shop.x").is_none() && registry.get("shop.y").is_none());
    let refused: Vec<_> = registry.refused_composites().collect();
    assert_eq!(refused.len(), 1);
    insta::assert_snapshot!(rendering::render(refused[0].1), @r#"
    rekindle::composite::file_name: the step kind `shop.x` stands in a file for `shop.y`
      kinds/shop.y.yaml:3:7 "shop.x": another name than the file's
      help: rename the file to `shop.x.yaml`, or the kind to `shop.y`
    "#);
}

#[test]
fn a_file_that_cannot_be_read_says_so_when_it_is_used() {
    let mut registry = Registry::default();
    register(
        &mut registry,
        vec![("shop.x".to_owned(), Err("failed to read kinds/shop.x.yaml: no".to_owned()))],
    );
    insta::assert_snapshot!(rendering::render(registry.composite_refusal("shop.x").unwrap()));
}
