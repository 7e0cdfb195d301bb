//! Who must agree before a step.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fixture::{ENVIRONMENT, compiled_in, step};
use crate::document::rendering;
use crate::plan::Plan;
use crate::step::{AskedApproval, Effect, Intent, Planned, Registry, Step, StepContext, StepError};

/// A kind that asks for approval by its nature.
struct Gate;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GateParams {
    needed: Option<u32>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct GateOutputs {}

#[async_trait]
impl Step for Gate {
    const KIND: &'static str = "test.gate";
    const SUMMARY: &'static str = "Waits.";
    const EFFECT: Effect = Effect::Read;
    type Params = GateParams;
    type Outputs = GateOutputs;

    fn plan(&self, _: &Planned<GateParams>) -> Result<Intent, StepError> {
        Ok(Intent::default())
    }

    fn approval(&self, params: &Planned<GateParams>) -> Result<Option<AskedApproval>, StepError> {
        let Some(params) = params.get() else {
            return Err(
                StepError::permanent("`needed` must be known when the plan is made").help("use a value")
            );
        };
        Ok(Some(AskedApproval { needed: params.needed, timeout: None }))
    }

    async fn run(&self, _: &GateParams, _: &StepContext) -> Result<GateOutputs, StepError> {
        Err(StepError::permanent("not for running"))
    }
}

fn registry() -> Registry {
    let mut registry = super::fixture::registry();
    registry.register(Gate);
    registry
}

fn plan(policy: &str, sections: &str) -> Plan {
    compiled_in(&format!("{ENVIRONMENT}{policy}"), sections, &[], &registry())
        .unwrap_or_else(|found| panic!("{}", rendering::render(&found)))
}

fn rules(plan: &Plan) -> String {
    let rule = |step: &crate::plan::PlanStep| match step.approval {
        Some(rule) => format!("{}: {}", step.id, rule.words()),
        None => format!("{}: nobody", step.id),
    };
    plan.steps.iter().map(rule).collect::<Vec<_>>().join("\n")
}

const SECTIONS: &str = r#"
steps:
  - { id: find, uses: backup.find, phase: plan, with: { store: primary } }
  - { id: work, uses: test.work, with: { target: primary } }
  - { id: restore, uses: test.restore, for_each: "{{ values.replicas }}", with: { target: "{{ each.value }}" } }
  - { id: never, uses: test.restore, when: false, with: { target: primary } }
  - { id: rare, uses: test.restore, when: "steps.work.outputs.bytes > 1", with: { target: primary } }
  - { id: wipe, run: [rm, x], effect: destroy }
on_failure:
  - { id: undo, uses: test.restore, with: { target: primary } }
finally:
  - { id: clean, uses: test.restore, with: { target: primary } }
  - { id: tell, run: [echo] }
"#;

#[test]
fn a_policy_goes_by_effect_in_all_sections() {
    let plan = plan("policy: { approve: [destroy], approvals: 2, approval_timeout: 4h }\n", SECTIONS);
    insta::assert_snapshot!(rules(&plan), @r"
    work: nobody
    restore[0]: approval by 2 within 4h
    restore[1]: approval by 2 within 4h
    never: nobody
    rare: approval by 2 within 4h
    wipe: approval by 2 within 4h
    undo: approval by 2 within 4h
    clean: approval by 2 within 4h
    tell: nobody
    ");
    assert_eq!(step(&plan, "never").approval, None);
}

#[test]
fn without_a_policy_nobody_is_asked() {
    assert!(!rules(&plan("", SECTIONS)).contains("approval"));
}

#[test]
fn what_runs_while_planning_is_before_there_is_a_plan_to_agree_to() {
    let plan = plan("policy: { approve: [read] }\n", SECTIONS);
    assert_eq!(step(&plan, "find").approval, None);
}

#[test]
fn a_step_that_asks_by_its_nature_can_be_stricter_than_the_policy_and_never_laxer() {
    let steps = "steps:\n  - { id: few, uses: test.gate, with: { needed: 1 } }\n  \
                 - { id: many, uses: test.gate, with: { needed: 3 } }\n  - { id: some, uses: test.gate }\n";
    insta::assert_snapshot!(rules(&plan("", steps)), @"
    few: approval by 1
    many: approval by 3
    some: approval by 1
    ");
    insta::assert_snapshot!(rules(&plan("policy: { approve: [destroy], approvals: 2 }\n", steps)), @"
    few: approval by 1
    many: approval by 3
    some: approval by 2
    ");
    insta::assert_snapshot!(rules(&plan("policy: { approve: [read], approvals: 2 }\n", steps)), @"
    few: approval by 2
    many: approval by 3
    some: approval by 2
    ");
}

#[test]
fn who_must_agree_is_part_of_what_they_agree_to() {
    let mut plan = plan("policy: { approve: [destroy] }\n", SECTIONS);
    assert!(plan.verify_hash());
    plan.steps.iter_mut().for_each(|step| step.approval = None);
    assert!(!plan.verify_hash());
}

fn mistakes(sections: &str) -> String {
    match compiled_in(ENVIRONMENT, sections, &[], &registry()) {
        Ok(_) => "nothing".to_owned(),
        Err(found) => rendering::render(&found),
    }
}

#[test]
fn a_step_that_would_guard_nothing_is_refused() {
    insta::assert_snapshot!(mistakes(
        "steps:\n  - { id: soft, uses: test.gate, continue_on_error: true }\n  \
         - { id: early, uses: test.gate, phase: plan }\nfinally:\n  - { id: late, uses: test.gate }\n"
    ), @r#"
    rekindle::runbook::approval_guards_nothing: `soft` would guard nothing: its refusal would only be a warning
      test.yaml:15:11 "soft": has `continue_on_error`
      help: remove `continue_on_error`
    rekindle::runbook::approval_guards_nothing: `early` can't wait for approval while planning: there is no plan to agree to yet
      test.yaml:16:11 "early": has `phase: plan`
      help: remove `phase: plan`
    rekindle::runbook::approval_guards_nothing: `late` would guard nothing: after a failure, what follows it runs all the same
      test.yaml:18:11 "late": not among `steps`
      help: put it among `steps:`, or let the environment's `policy` ask before such steps
    "#);
}

#[test]
fn who_must_agree_must_be_known_while_planning() {
    insta::assert_snapshot!(mistakes(
        "steps:\n  - { id: work, uses: test.work, with: { target: primary } }\n  \
         - { id: gate, uses: test.gate, with: { needed: \"{{ steps.work.outputs.bytes }}\" } }\n"
    ), @r#"
    rekindle::runbook::approval: `needed` must be known when the plan is made
      test.yaml:16:40 "{ needed: \"{{ steps.work.outputs.bytes }}\" }": asks for approval
      help: use a value
    "#);
}
