//! Groups of steps over several rounds.

use serde_json::json;

use super::support::{Ledger, plan, start, step, with};
use crate::plan::{Edge, EdgeReason, Param, PlanStep, StepGroup};
use crate::run::RunState;

/// The steps `one` and `two` of a group, and its end; the group waits for the end of another one.
fn group(id: &str, after: Option<&str>) -> Vec<PlanStep> {
    let member = |name: String, needs: &[&str]| with(step(&name, needs), |step| step.group = Some(id.into()));
    let (one, two) = (format!("{id}/one"), format!("{id}/two"));
    let first = with(member(one.clone(), &[]), |step| {
        step.needs.extend(after.map(|after| Edge { step: after.into(), reason: EdgeReason::Order }));
    });
    vec![first, member(two.clone(), &[&one]), member(id.to_owned(), &[&two])]
}

fn two_groups() -> Ledger {
    let mut ledger = Ledger::new(Vec::new());
    ledger.plan = plan([group("g0", None), group("g1", Some("g0"))].concat());
    for id in ["g0", "g1"] {
        let used = StepGroup {
            kind: "shop.pair".to_owned(),
            version: "1.0.0".to_owned(),
            sha256: String::new(),
            values: Param::Value(json!({})),
            when: None,
            each: None,
            within: None,
        };
        ledger.plan.groups.insert(id.into(), used);
    }
    ledger.state = RunState::new(&ledger.plan);
    let started = ledger.records.remove(0);
    ledger.apply(started.event);
    ledger
}

#[test]
fn a_group_keeps_its_turn_in_a_later_round_though_its_first_step_is_done() {
    let mut run = two_groups();
    run.succeed("g0/one");
    run.fail("g0/two");
    run.settle();
    // Order does not block: the second group goes on after the first has failed, and fails too.
    run.succeed("g1/one");
    run.fail("g1/two");
    run.settle();
    run.resume();
    assert_eq!(run.settle(), [start("g0/two", 2)]);
    run.succeed("g0/two");
    assert_eq!(run.settle(), [start("g0", 1)]);
    run.succeed("g0");
    assert_eq!(run.settle(), [start("g1/two", 2)]);
}
