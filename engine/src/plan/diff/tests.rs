use serde_json::json;

use super::{FieldChange, StepChange, diff};
use crate::plan::{Param, Plan, Style, fixture};
use crate::step::Effect;

/// The recovery plan after an afternoon's edits.
fn edited() -> Plan {
    let mut plan = fixture::recovery();
    plan.runbook.version = "1.3.0".to_owned();
    plan.runbook.sha256 = "1".repeat(64);
    plan.settings.objectives = None;
    plan.settings.name = "staging".to_owned();
    plan.values = json!({ "backup": "b1", "retention": { "keep.last": 3 } });
    plan.concurrency = None;
    plan.pinned[0].outputs["uri"] = "file:backups/b2".into();
    plan.pinned[0].at = jiff::Timestamp::UNIX_EPOCH;
    let restore = plan.steps.iter_mut().find(|step| step.id.as_str() == "restore").unwrap();
    restore.timeout = Some(fixture::duration("4h"));
    restore.needs.pop();
    restore.params = Param::Map(
        [
            ("target".to_owned(), Param::Value(json!("replica-0"))),
            ("socket".to_owned(), Param::Template("{{ steps.provision.outputs.other }}".to_owned())),
        ]
        .into_iter()
        .collect(),
    );
    restore.intent.summary = "replace the databases of replica-0".to_owned();
    plan.steps.retain(|step| step.id.as_str() != "reset-replication[1]");
    plan.steps.push(fixture::step("measure", "mysql.assert", Effect::Read, "measure it"));
    plan
}

#[test]
fn every_part_that_differs_is_told_field_by_field() {
    insta::assert_snapshot!(diff(&fixture::recovery(), &edited()).text(Style::Plain), @r#"
    runbook
      ~ version: "1.2.0" → "1.3.0"
      ~ sha256: 000000000000… → 111111111111…
    environment
      ~ name: "production" → "staging"
      - objectives.rto: "1h"
      - objectives.rpo: "15m"
    values
      ~ backup: "latest" → "b1"
      + retention["keep.last"]: 3
    plan
      - concurrency.name: "recover/production"
      - concurrency.on_conflict: "fail"
    found while planning
      ~ find
          ~ outputs.uri: "file:backups/b1" → "file:backups/b2"
    steps
      ~ restore
          ~ needs: ["wait-ready","provision (inferred from steps.provision.outputs.socket)"] → ["wait-ready"]
          ~ timeout: "2h" → "4h"
          ~ with.target: "primary" → "replica-0"
          ~ with.socket: "{{ steps.provision.outputs.socket }}" → "{{ steps.provision.outputs.other }}"
      + measure  mysql.assert (read): measure it
      - reset-replication[1]  mysql.reset-replication (destroy): point replica-1 at primary
    "#);
}

#[test]
fn the_difference_is_painted_on_a_terminal() {
    let mut new = fixture::recovery();
    new.values["backup"] = "b1".into();
    insta::assert_snapshot!(diff(&fixture::recovery(), &new).text(Style::Ansi).escape_debug(), @r#"\u{1b}[1mvalues\u{1b}[0m\n  \u{1b}[36m~\u{1b}[0m backup: \"latest\" → \"b1\"\n"#);
}

#[test]
fn as_json_it_has_only_what_differs() {
    let mut new = fixture::recovery();
    new.values["backup"] = "b1".into();
    new.steps.truncate(8);
    let diff = diff(&fixture::recovery(), &new);
    insta::assert_snapshot!(serde_json::to_string(&diff).unwrap(), @r#"{"values":[{"field":"backup","old":"latest","new":"b1"}],"steps":[{"change":"removed","id":"report","kind":"report.write","effect":"write","summary":"write reports/(known in the run)"}]}"#);
}

#[test]
fn a_plan_does_not_differ_from_itself_nor_by_when_it_was_looked_up() {
    let old = fixture::recovery();
    let mut new = old.clone();
    new.pinned[0].at = jiff::Timestamp::UNIX_EPOCH;
    new.hash = new.compute_hash();
    let diff = diff(&old, &new);
    assert!(diff.is_empty());
    assert_eq!(diff.text(Style::Plain), "");
}

#[test]
fn a_step_is_found_by_its_id() {
    let diff = diff(&fixture::recovery(), &edited());
    let fields: Vec<_> = match diff.step(&"restore".into()) {
        Some(StepChange::Changed { fields, .. }) => {
            fields.iter().map(|change| change.field.as_str()).collect()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(fields, ["needs", "timeout", "intent.summary", "with.target", "with.socket"]);
    assert!(matches!(diff.step(&"measure".into()), Some(StepChange::Added(_))));
    assert!(matches!(diff.step(&"reset-replication[1]".into()), Some(StepChange::Removed(_))));
    assert_eq!(diff.step(&"verify".into()), None);
}

#[test]
fn another_order_of_the_same_steps_is_a_difference() {
    let old = fixture::recovery();
    let mut new = old.clone();
    new.steps.swap(0, 1);
    let diff = diff(&old, &new);
    assert!(diff.reordered && diff.steps.is_empty() && !diff.is_empty());
}

#[test]
fn long_values_are_cut_around_their_first_difference() {
    let old = fixture::recovery();
    let mut new = old.clone();
    let (mut one, mut two) = (old.clone(), "x".repeat(400));
    one.values["backup"] = two.clone().into();
    two.replace_range(300..301, "y");
    new.values["backup"] = two.into();
    let diff = diff(&one, &new);
    let text = diff.text(Style::Plain);
    assert!(text.contains("xy") && text.len() < 500, "{text}");
    assert_eq!(diff.values.len(), 1);
}

#[test]
fn a_part_that_only_one_has_is_told_key_by_key() {
    let old = fixture::recovery();
    let mut new = old.clone();
    new.steps[1].retry = None;
    let diff = diff(&old, &new);
    let Some(StepChange::Changed { fields, .. }) = diff.steps.first() else { panic!() };
    assert_eq!(fields[0], FieldChange { field: "retry.attempts".into(), old: Some(json!(5)), new: None });
    assert_eq!(fields.len(), 5);
}
