//! What patches make of a runbook, and what is said when they are wrong.

use std::sync::Arc;

use crate::document::rendering::render;
use crate::document::{Source, parse};
use crate::runbook::{Runbook, StepDefinition, read_patched};
use crate::{diagnostic::Diagnostic, environment};

const RUNBOOK: &str = "apiVersion: rekindle/v1
kind: Runbook
name: recovery
version: 1.0.0
steps:
  - { id: ready, uses: wait, with: { target: primary, tries: 3 }, timeout: 10m }
  - { id: restore, uses: restore, needs: [ready], retry: { attempts: 2 } }
  - { id: follow, uses: follow, needs: restore }
  - { id: verify, uses: assert, needs: [follow], with: { expect: [a, b] } }
on_failure:
  - { id: page, uses: notify }
finally:
  - { id: first, uses: report }
  - { id: last, uses: report }
";

/// Reads the runbook with the patches of an environment; line 1 of `patches` is line 6 of its text.
fn patched(patches: &str) -> Result<Runbook, Vec<Diagnostic>> {
    let text =
        format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\npatches:\n  recovery:\n{patches}");
    let environment = environment::parse(&Source::new("e.yaml", text))?;
    let document = parse(&Source::new("r.yaml", RUNBOOK)).unwrap();
    read_patched(&document, &environment.patches["recovery"])
}

fn read(patches: &str) -> Runbook {
    patched(patches).unwrap_or_else(|errors| panic!("{}", render(&errors)))
}

fn errors(patches: &str) -> String {
    render(&patched(patches).expect_err("the patches are right"))
}

fn step<'r>(runbook: &'r Runbook, id: &str) -> &'r StepDefinition {
    let all = runbook.steps.iter().chain(&runbook.on_failure).chain(&runbook.finally);
    all.into_iter().find(|step| step.id.value == id).unwrap_or_else(|| panic!("no step {id}"))
}

fn needs(runbook: &Runbook, id: &str) -> String {
    let needs: Vec<_> = step(runbook, id).needs.iter().map(|need| need.value.as_str()).collect();
    needs.join(" ")
}

fn ids(steps: &[StepDefinition]) -> String {
    steps.iter().map(|step| step.id.value.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn set_lays_fields_over_those_of_a_step() {
    let runbook = read(
        "  - { step: ready, set: { timeout: 1h, with: { tries: null, wait: 5s }, retry: { attempts: 4 } } }
  - { step: verify, set: { with: { expect: [c] }, needs: [restore] } }
  - { step: page, set: { name: Wake somebody } }
",
    );
    let ready = step(&runbook, "ready");
    assert_eq!(ready.timeout.unwrap().as_secs(), 3600);
    assert_eq!(ready.with.to_json(), serde_json::json!({ "target": "primary", "wait": "5s" }));
    assert_eq!(ready.retry.as_ref().unwrap().attempts, 4);
    assert_eq!(step(&runbook, "verify").with.to_json()["expect"], serde_json::json!(["c"]));
    assert_eq!(needs(&runbook, "verify"), "restore");
    assert_eq!(step(&runbook, "page").name.as_deref(), Some("Wake somebody"));
    assert_eq!(ready.location.to_string(), "r.yaml:6:5", "the step itself still stands in the runbook");
    assert_eq!(runbook.source.name, "r.yaml");
}

#[test]
fn a_disabled_step_stays_with_its_reason() {
    let runbook = read("  - { step: follow, disable: true, reason: replicas are managed }\n");
    let reason = step(&runbook, "follow").disabled.as_ref().unwrap();
    assert_eq!(
        (reason.value.as_str(), reason.location.to_string().as_str()),
        ("replicas are managed", "e.yaml:6:44")
    );
    assert!(step(&runbook, "restore").disabled.is_none());
}

#[test]
fn what_is_inserted_after_a_step_needs_it_unless_it_says_otherwise() {
    let runbook = read(
        "  - after: restore
    insert:
      - { id: smoke, run: [./smoke.sh] }
      - { id: other, run: [./other.sh], needs: [] }
      - { id: third, run: [./third.sh], needs: [smoke] }
",
    );
    assert_eq!(ids(&runbook.steps), "ready restore smoke other third follow verify");
    assert_eq!(
        (needs(&runbook, "smoke"), needs(&runbook, "other"), needs(&runbook, "third")),
        ("restore".into(), String::new(), "smoke".into())
    );
    assert_eq!(needs(&runbook, "follow"), "restore", "what waited for it waits for nothing more");
    assert_eq!(step(&runbook, "smoke").needs[0].location.to_string(), "e.yaml:6:12");
}

#[test]
fn a_step_waits_for_what_is_inserted_before_it_and_that_for_what_it_waited_for() {
    let runbook = read(
        "  - { before: follow, insert: [{ id: fence, run: [./fence.sh] }] }
  - { before: ready, insert: [{ id: tell, run: [./tell.sh] }] }
",
    );
    assert_eq!(ids(&runbook.steps), "tell ready restore fence follow verify");
    assert_eq!(
        (needs(&runbook, "fence"), needs(&runbook, "follow")),
        ("restore".into(), "restore fence".into())
    );
    assert_eq!((needs(&runbook, "tell"), needs(&runbook, "ready")), (String::new(), "tell".into()));
}

#[test]
fn in_finally_and_on_failure_the_place_in_the_list_is_the_order() {
    let runbook = read(
        "  - { after: first, insert: [{ id: b, run: [b] }, { id: c, run: [c] }] }
  - { before: page, insert: [{ id: note, run: [n] }] }
  - { step: last, disable: true, reason: nobody reads it }
",
    );
    assert_eq!(ids(&runbook.finally), "first b c last");
    assert_eq!(ids(&runbook.on_failure), "note page");
    assert_eq!(needs(&runbook, "b"), "");
    assert!(step(&runbook, "last").disabled.is_some());
}

#[test]
fn a_replacement_takes_over_id_and_needs() {
    let runbook = read(
        "  - { step: restore, replace: { run: [./load.sh] } }
  - { step: follow, replace: { id: follow, run: [./follow.sh], needs: [ready] } }
",
    );
    let restore = step(&runbook, "restore");
    assert_eq!((restore.uses.value.as_str(), restore.retry.is_none()), ("run", true));
    assert_eq!((needs(&runbook, "restore"), needs(&runbook, "follow")), ("ready".into(), "ready".into()));
    assert_eq!(ids(&runbook.steps), "ready restore follow verify");
}

#[test]
fn later_patches_see_what_earlier_ones_made() {
    let runbook = read(
        "  - { after: verify, insert: [{ id: smoke, run: [./smoke.sh] }] }
  - { after: smoke, insert: [{ id: deep, run: [./deep.sh] }] }
  - { step: smoke, set: { timeout: 5m } }
  - { step: smoke, set: { timeout: 6m } }
",
    );
    assert_eq!(needs(&runbook, "deep"), "smoke");
    assert_eq!(step(&runbook, "smoke").timeout.unwrap().as_secs(), 360);
}

#[test]
fn what_is_inside_a_group_cannot_be_patched() {
    insta::assert_snapshot!(errors("  - { step: 'restore[0]/load', set: { timeout: 1h } }\n"));
}

#[test]
fn a_patch_names_a_step_that_is_there() {
    insta::assert_snapshot!(
        errors("  - { step: restoer, set: { timeout: 1h } }\n  - { after: nothing-like-it, insert: [{ id: a, run: [a] }] }\n"),
        @r#"
    rekindle::patch::unknown_step: the runbook has no step `restoer` to patch
      e.yaml:6:13 "restoer": no such step
      help: did you mean `restore`?
    rekindle::patch::unknown_step: the runbook has no step `nothing-like-it` to patch
      e.yaml:7:14 "nothing-like-it": no such step
      help: its steps are: ready, restore, follow, verify, page, first, last
    "#
    );
}

#[test]
fn a_patch_does_exactly_one_thing() {
    insta::assert_snapshot!(
        errors("  - { step: restore, set: { timeout: 1h }, disable: true, reason: x }\n  - { step: restore }\n  - restore\n"),
        @r#"
    rekindle::patch::several_operations: a patch does several things: `set`, `disable`
      e.yaml:6:22 "set": this
      e.yaml:6:44 "disable": and this
      help: make a patch of each; they are applied in the order written
    rekindle::patch::no_operation: a patch does nothing
      e.yaml:7:7 "step": this patch
      help: write one of `set: {…}`, `disable: true` with a `reason`, `replace: {…}` and `insert: […]`
    rekindle::environment::wrong_type: a patch must be a map, found a string
      e.yaml:8:5 "restore": expected a map
    "#
    );
}

#[test]
fn a_patch_says_where_and_nothing_that_it_does_not_need() {
    insta::assert_snapshot!(
        errors(
            "  - { set: { timeout: 1h } }
  - { insert: [] }
  - { step: restore, insert: [{ id: a, run: [a] }] }
  - { after: restore, before: follow, insert: [{ id: a, run: [a] }] }
  - { step: restore, after: ready, set: { timeout: 1h }, reason: because }
  - { step: restore, set: {} }
  - { step: restore, sett: { timeout: 1h } }
  - { step: [restore], set: 3 }
  - { after: restore, insert: { id: a } }
  - { after: restore, insert: [] }
"
        ),
        @r#"
    rekindle::patch::no_place: `set` does not say to which step
      e.yaml:6:7 "set": this patch
      help: add `step: ID`
    rekindle::patch::no_place: `insert` does not say where
      e.yaml:7:7 "insert": this patch
      help: write one of `after: ID` and `before: ID`
    rekindle::patch::no_place: `insert` says `step` instead of `after` or `before`
      e.yaml:8:7 "step": this patch
      help: write one of `after: ID` and `before: ID`
    rekindle::patch::no_place: `insert` says both `after` and `before`
      e.yaml:9:7 "after": this patch
      help: write one of `after: ID` and `before: ID`
    rekindle::patch::misplaced_field: `after` belongs to `insert`
      e.yaml:10:22 "after": not for this operation
      help: remove it
    rekindle::patch::misplaced_field: `reason` belongs to `disable`
      e.yaml:10:58 "reason": not for this operation
      help: remove it
    rekindle::environment::wrong_value: `set` sets nothing
      e.yaml:11:27 "{}": this value
      help: write the fields that are to be others
    rekindle::environment::unknown_field: a patch has no field `sett`
      e.yaml:12:22 "sett": not a known field
      help: did you mean `set`?
    rekindle::environment::wrong_type: `step` must be a string, found a list
      e.yaml:13:13 "[restore]": expected a string
    rekindle::environment::wrong_type: `set` must be a map, found an integer
      e.yaml:13:29 "3": expected a map
    rekindle::environment::wrong_type: `insert` must be a list, found a map
      e.yaml:14:31 "{ id: a }": expected a list
    rekindle::environment::wrong_value: `insert` inserts nothing
      e.yaml:15:31 "[]": this value
      help: list the steps
    "#
    );
}

#[test]
fn disabling_needs_a_reason() {
    insta::assert_snapshot!(
        errors("  - { step: restore, disable: true }\n  - { step: follow, disable: false, reason: x }\n  - { step: verify, disable: true, reason: ' ' }\n  - { step: ready, disable: yes, reason: x }\n"),
        @r#"
    rekindle::patch::missing_reason: a step is disabled without a reason
      e.yaml:6:22 "disable": needs a `reason`
      help: add `reason: TEXT`: plans and reports show it to whoever wonders where the step went
    rekindle::environment::wrong_value: `disable: false` changes nothing
      e.yaml:7:30 "false": this value
      help: remove the patch: steps run unless they are disabled
    rekindle::environment::wrong_value: `reason` is empty
      e.yaml:8:44 "' '": this value
      help: write something, or leave the field out
    rekindle::environment::wrong_type: `disable` must be `true` or `false`, found a string
      e.yaml:9:29 "yes": expected `true` or `false`
    "#
    );
}

#[test]
fn the_id_of_a_step_stays() {
    insta::assert_snapshot!(
        errors("  - { step: restore, set: { id: load } }\n  - { step: restore, replace: { id: load, run: [a] } }\n  - { step: restore, replace: x }\n"),
        @r#"
    rekindle::patch::set_id: the id of a step can't be changed
      e.yaml:6:29 "id": not by a patch
      help: other steps and other patches call it by this id; `name` is for people
    rekindle::patch::set_id: the id of a step can't be changed
      e.yaml:7:37 "load": replaces `restore`
      help: leave `id` out: what stands in the place of `restore` has its id
    rekindle::environment::wrong_type: `replace` must be a map, found a string
      e.yaml:8:31 "x": expected a map
    "#
    );
}

#[test]
fn an_inserted_step_has_an_id_of_its_own() {
    insta::assert_snapshot!(
        errors("  - { after: restore, insert: [{ id: page, run: [a] }, { id: new, run: [a] }, { id: new, run: [b] }] }\n  - { after: restore, insert: [{ run: [a] }] }\n"),
        @r#"
    rekindle::patch::duplicate_id: an inserted step has the id `page`, which is taken
      e.yaml:6:38 "page": used again
      help: it is that of the step at r.yaml:11:11; give this one another
    rekindle::patch::duplicate_id: an inserted step has the id `new`, which is taken
      e.yaml:6:85 "new": used again
      help: it is that of the step at e.yaml:6:62; give this one another
    "#
    );
    insta::assert_snapshot!(errors("  - { after: restore, insert: [{ run: [a] }, x] }\n"), @r#"
    rekindle::runbook::missing_field: a step has no `id`
      e.yaml:6:34 "run": `id` belongs to this map
      help: add `id:`
    rekindle::runbook::wrong_type: a step must be a map, found a string
      e.yaml:6:46 "x": expected a map
    "#);
}

#[test]
fn two_patches_do_not_decide_about_one_step() {
    insta::assert_snapshot!(
        errors("  - { step: restore, disable: true, reason: a }\n  - { step: restore, replace: { run: [a] } }\n  - { step: verify, set: { timeout: 1h } }\n  - { step: verify, replace: { run: [a] } }\n"),
        @r#"
    rekindle::patch::conflict: two patches disable or replace `restore`
      e.yaml:7:13 "restore": decided again
      e.yaml:6:13 "restore": decided here
      help: the other one stands at e.yaml:6:13: keep one of them
    rekindle::patch::conflict: `verify` is replaced after it was set
      e.yaml:9:13 "verify": what was set is lost
      help: it is set at e.yaml:8:13: remove that, or put it behind this patch
    "#
    );
}

#[test]
fn null_deletes_what_is_there() {
    insta::assert_snapshot!(errors("  - { step: ready, set: { deadline: null, with: { traget: null } } }\n"), @r#"
    rekindle::patch::nothing_to_delete: `ready` has no `deadline` that null could delete
      e.yaml:6:27 "deadline": deletes nothing
      help: remove the line, or write a value
    rekindle::patch::nothing_to_delete: `ready` has no `with.traget` that null could delete
      e.yaml:6:51 "traget": deletes nothing
      help: remove the line, or write a value
    "#);
}

#[test]
fn what_a_patch_makes_of_a_step_is_checked_and_told_in_its_own_file() {
    insta::assert_snapshot!(
        errors("  - { step: ready, set: { timout: 1h, uses: null } }\n  - { after: restore, insert: [{ id: Smoke, run: 3, needs: [verfiy] }] }\n"),
        @r#"
    rekindle::runbook::missing_field: a step has no `uses`
      r.yaml:6:7 "id": this step does nothing
      help: name a step kind with `uses:` (`rekindle steps` lists them), or a command with `run:`
    rekindle::runbook::unknown_field: a step has no field `timout`
      e.yaml:6:27 "timout": not a known field
      help: did you mean `timeout`?
    rekindle::runbook::wrong_value: `Smoke` is no step id
      e.yaml:7:38 "Smoke": this value
      help: ids are kebab-case: small letters and digits, a letter first, words joined by one `-`, at most 63
    rekindle::runbook::wrong_type: `run` must be a list of arguments or a script, found an integer
      e.yaml:7:50 "3": expected a list of arguments or a script
    rekindle::runbook::unknown_step: there is no step `verfiy` in `steps`
      e.yaml:7:61 "verfiy": no such step
      help: did you mean `verify`?
    "#
    );
}

#[test]
fn a_runbook_that_is_wrong_by_itself_is_told_before_its_patches() {
    let document =
        parse(&Source::new("r.yaml", RUNBOOK.replace("needs: [ready]", "needs: [raedy]"))).unwrap();
    let text = "apiVersion: rekindle/v1\nkind: Environment\nname: e\npatches: { recovery: [{ step: x, set: { timeout: 1h } }] }\n";
    let environment = environment::parse(&Source::new("e.yaml", text)).unwrap();
    let errors = read_patched(&document, &environment.patches["recovery"]).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].code, "rekindle::runbook::unknown_step");
    assert!(Arc::ptr_eq(errors[0].source.as_ref().unwrap(), &document.location.source));
}
