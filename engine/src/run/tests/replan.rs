use std::sync::Arc;

use schemars::json_schema;
use serde_json::json;

use super::rig::{Rig, decision};
use super::support::{Ledger, plan, runner, step, step_in, with, words};
use crate::environment::Target;
use crate::journal::{Event, Outcome, Resolution};
use crate::plan::{Param, Plan, PlanStep, Section};
use crate::run::{Decision, Proposal, Resume, Reuse, RunEnd, RunError, replan};
use crate::runbook::OnCrash;
use crate::step::Effect;
use crate::testing::{Act, ScriptedStep};

/// A new plan with its own hash.
pub(super) fn anew(hash: &str, steps: Vec<PlanStep>) -> Plan {
    Plan { hash: hash.to_owned(), ..plan(steps) }
}

pub(super) fn param(step: PlanStep, value: &str) -> PlanStep {
    with(step, |step| step.params = Param::Value(json!({ "to": value })))
}

fn template(step: PlanStep, text: &str) -> PlanStep {
    with(step, |step| {
        let text = Param::Template(text.to_owned());
        step.params = Param::Map([("to".to_owned(), text)].into_iter().collect());
    })
}

fn destroying(id: &str, needs: &[&str]) -> PlanStep {
    with(step(id, needs), |step| {
        step.kind = "fake.destroy".to_owned();
        step.effect = Effect::Destroy;
        step.on_crash = OnCrash::Probe;
    })
}

fn probing(id: &str, needs: &[&str]) -> PlanStep {
    with(step(id, needs), |step| step.on_crash = OnCrash::Probe)
}

impl Rig {
    fn look(&self, new: &Plan, decisions: &[Decision]) -> Result<Reuse, RunError> {
        let request = self.request(2);
        let plans: Vec<_> = self.earlier.iter().chain([&self.plan]).cloned().collect();
        let (run, registry) = (&request.run, &request.registry);
        Proposal { run, plans: &plans, new, registry, decisions }.look(&self.journal.records())
    }

    /// Takes up another plan, as a new process that nobody has told anything yet.
    fn plan_anew(&mut self, new: Plan, fail_after: Option<usize>) {
        self.next_process(fail_after);
        let old = std::mem::replace(&mut self.plan, Arc::new(new));
        self.earlier.push(old);
    }

    pub(super) async fn replan(&mut self, new: Plan, decisions: Vec<Decision>) -> Result<RunEnd, RunError> {
        let agreed = self.look(&new, &decisions)?;
        self.plan_anew(new, None);
        let resume = Resume { decisions, verdicts: Vec::new(), is_alive: Arc::new(|_| false) };
        replan(self.request(2), resume, &agreed, "kim").await
    }
}

pub(super) fn finished(end: Result<RunEnd, RunError>) -> Outcome {
    match end {
        Ok(RunEnd::Finished { outcome, .. }) => outcome,
        other => panic!("the run did not finish: {other:?}"),
    }
}

/// What is reused, and what runs again and why.
fn told(reuse: &Reuse) -> String {
    let mut lines: Vec<_> = reuse.reused.iter().map(|step| format!("{step} counts")).collect();
    let again = reuse.again.iter();
    lines.extend(again.map(|again| {
        let (step, effect, had, why) = (&again.step, again.effect, again.had, &again.why);
        format!("{step} ({effect}, {had:?}) again: {why}")
    }));
    let left = reuse.left.iter();
    lines.extend(left.map(|left| format!("{} ({}, {:?}) is gone", left.step, left.effect, left.had)));
    lines.join("\n")
}

/// `a`, then `b`, then `c` which fails, and `free`.
async fn failed() -> Rig {
    let rig = Rig::new(vec![
        step("a", &[]),
        param(step("b", &["a"]), "x"),
        step("c", &["b"]),
        step("free", &[]),
        step_in(Section::Finally, "tidy", None),
    ]);
    rig.write.script("c", [Act::permanent("wrong table")]);
    assert_eq!(finished(rig.execute().await), Outcome::Failed);
    rig
}

fn mended(b: &str) -> Vec<PlanStep> {
    vec![
        step("a", &[]),
        param(step("b", &["a"]), b),
        param(step("c", &["b"]), "right"),
        step("free", &[]),
        step_in(Section::Finally, "tidy", None),
    ]
}

#[tokio::test]
async fn what_succeeded_and_is_the_same_does_not_run_again_under_a_new_plan() {
    let mut rig = failed().await;
    assert_eq!(finished(rig.replan(anew("bb", mended("x")), Vec::new()).await), Outcome::Succeeded);
    assert_eq!(rig.write.order()[4..], ["tidy", "c", "tidy"]);
    assert_eq!(rig.write.params_of("c").last(), Some(&json!({ "to": "right" })));
    assert!(rig.story().contains("run replanned to bb, keeps a b free"), "{}", rig.story());
    assert_eq!(rig.state().outcome(), Some(Outcome::Succeeded));
}

#[tokio::test]
async fn a_step_that_is_changed_runs_again_and_so_does_what_needs_it() {
    let mut rig = Rig::new(vec![
        step("a", &[]),
        param(step("b", &["a"]), "x"),
        step("c", &["b"]),
        step("d", &["c"]),
        step("e", &["d"]),
    ]);
    rig.write.script("e", [Act::permanent("no")]);
    rig.execute().await.unwrap();
    let mut steps: Vec<_> = rig.plan.steps.clone();
    steps[1] = param(steps[1].clone(), "y");
    let new = anew("bb", steps);
    insta::assert_snapshot!(told(&rig.look(&new, &[]).unwrap()), @r"
    a counts
    b (write, Succeeded) again: with changes: `to`
    c (write, Succeeded) again: it needs step `b`, which is due
    d (write, Succeeded) again: it needs step `c`, which is due
    ");
    assert_eq!(finished(rig.replan(new, Vec::new()).await), Outcome::Succeeded);
    assert_eq!(rig.write.order(), ["a", "b", "c", "d", "e", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn only_what_a_step_is_asked_to_do_makes_it_another_one() {
    let mut rig = failed().await;
    let new = |change: fn(&mut PlanStep)| {
        let mut steps = mended("x");
        change(&mut steps[0]);
        anew("bb", steps)
    };
    let keeps = |rig: &Rig, change: fn(&mut PlanStep)| {
        rig.look(&new(change), &[]).unwrap().reused.contains(&"a".into())
    };
    assert!(keeps(&rig, |step| step.retry = Some(super::support::retry(9))));
    assert!(keeps(&rig, |step| step.timeout = Some(super::support::duration("1h"))));
    assert!(keeps(&rig, |step| step.name = Some("A".to_owned())));
    assert!(!keeps(&rig, |step| step.kind = "fake.destroy".to_owned()));
    assert!(!keeps(&rig, |step| step.effect = Effect::Destroy));
    assert!(!keeps(&rig, |step| step.when = Some("true".to_owned())));
    assert!(!keeps(&rig, |step| step.each = Some(json!({ "key": 0, "value": 1 }))));
    // A need that was never done is one more thing to wait for.
    let mut steps = mended("x");
    steps.push(step("new", &[]));
    steps[0].needs = step("x", &["new"]).needs;
    rig.replan(anew("bb", steps), Vec::new()).await.unwrap();
    assert_eq!(rig.write.runs_of("a"), 2);
}

#[tokio::test]
async fn a_template_is_compared_by_what_it_renders_to() {
    let templated = || {
        vec![
            step("a", &[]),
            template(step("b", &["a"]), "{{ steps.a.outputs.uri }}/{{ values.table }}"),
            step("c", &["b"]),
        ]
    };
    let mut rig = Rig::new(templated());
    Arc::make_mut(&mut rig.plan).values = json!({ "table": "x", "other": 1 });
    rig.write.script("a", [Act::Outputs(json!({ "uri": "u" }))]);
    rig.write.script("c", [Act::permanent("no")]);
    rig.execute().await.unwrap();
    let with_values = |values| Plan { values, ..anew("bb", templated()) };

    let same = rig.look(&with_values(json!({ "table": "x", "other": 2 })), &[]).unwrap();
    insta::assert_snapshot!(told(&same), @r"
    a counts
    b counts
    ");
    let other = rig.look(&with_values(json!({ "table": "y", "other": 1 })), &[]).unwrap();
    insta::assert_snapshot!(told(&other), @r"
    a counts
    b (write, Succeeded) again: with changes: `to`
    ");
}

#[tokio::test]
async fn a_step_on_a_server_that_is_another_one_by_the_same_name_runs_again() {
    let mut rig = Rig::new(vec![
        with(step("a", &[]), |step| step.params = Param::Value(json!({ "target": "primary" }))),
        step("b", &[]),
        with(step("c", &[]), |step| step.params = Param::Value(json!({ "from": "backup://far/x" }))),
        step("fails", &["a", "b", "c"]),
    ]);
    rig.write = ScriptedStep::new("fake.write", Effect::Write).params(json_schema!({
        "type": "object",
        "properties": { "target": { "type": "string", "format": "target" }, "from": { "type": "string" } }
    }));
    rig.write.script("fails", [Act::permanent("no")]);
    let target =
        |host: &str| -> Target { serde_json::from_value(json!({ "host": host, "user": "root" })).unwrap() };
    let settings = &mut Arc::make_mut(&mut rig.plan).settings;
    settings.targets.insert("primary".into(), target("db-0"));
    rig.execute().await.unwrap();
    let mut new = Plan { hash: "bb".to_owned(), ..(*rig.plan).clone() };
    new.settings.targets.insert("primary".into(), target("db-9"));
    let url = serde_json::from_value(json!({ "url": "file:///elsewhere" })).unwrap();
    new.settings.stores.insert("far".into(), url);
    insta::assert_snapshot!(told(&rig.look(&new, &[]).unwrap()), @r"
    b counts
    a (write, Succeeded) again: what the environment says of `primary` changes
    c (write, Succeeded) again: what the environment says of `far` changes
    ");
}

#[tokio::test]
async fn a_destroy_step_that_was_done_and_is_changed_is_told_as_such_and_runs_again() {
    let mut rig =
        Rig::new(vec![destroying("wipe", &[]), destroying("gone", &[]), step("c", &["wipe", "gone"])]);
    rig.write.script("c", [Act::permanent("no")]);
    rig.execute().await.unwrap();
    let new = anew("bb", vec![param(destroying("wipe", &[]), "y"), step("c", &["wipe"])]);
    insta::assert_snapshot!(told(&rig.look(&new, &[]).unwrap()), @r"
    wipe (destroy, Succeeded) again: with changes: `to`
    gone (destroy, Succeeded) is gone
    ");
    assert_eq!(finished(rig.replan(new, Vec::new()).await), Outcome::Succeeded);
    assert_eq!((rig.destroy.runs_of("wipe"), rig.destroy.runs_of("gone")), (2, 1));
}

#[tokio::test]
async fn a_destroy_step_that_failed_is_looked_at_as_the_new_plan_has_it() {
    let mut rig = Rig::new(vec![param(destroying("wipe", &[]), "wrong")]);
    rig.destroy.script("wipe", [Act::permanent("no such table")]);
    rig.execute().await.unwrap();
    let new = anew("bb", vec![param(destroying("wipe", &[]), "right")]);
    assert_eq!(finished(rig.replan(new, Vec::new()).await), Outcome::Succeeded);
    assert_eq!((rig.destroy.probed().len(), rig.destroy.runs()), (1, 2));
}

/// A run that died with `a` in flight.
async fn cut_off(a: PlanStep) -> Rig {
    let mut rig = Rig::new(vec![a, step("b", &["a"])]).dying_after(2);
    rig.execute().await.unwrap_err();
    rig.next_process(None);
    rig
}

#[tokio::test]
async fn a_step_that_was_under_way_and_is_the_same_is_settled_as_ever() {
    let mut rig = cut_off(probing("a", &[])).await;
    let new = anew("bb", vec![probing("a", &[]), param(step("b", &["a"]), "y")]);
    assert_eq!(finished(rig.replan(new, Vec::new()).await), Outcome::Succeeded);
    assert_eq!(rig.write.probed(), ["a"]);
}

#[tokio::test]
async fn a_step_that_was_under_way_and_is_changed_needs_a_decision() {
    for steps in [vec![param(probing("a", &[]), "y"), step("b", &["a"])], vec![step("b", &[])]] {
        let mut rig = cut_off(probing("a", &[])).await;
        let before = rig.events();
        let error = rig.replan(anew("bb", steps.clone()), Vec::new()).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"step `a` was under way when the run was cut off, and the new plan does not go on with it");
        }
        assert_eq!(rig.events(), before);
        for resolution in [Resolution::Done, Resolution::Rerun, Resolution::Fail] {
            let mut rig = cut_off(probing("a", &[])).await;
            let runs = rig.write.runs_of("a");
            let decisions = vec![decision("a", resolution)];
            let end = rig.replan(anew("bb", steps.clone()), decisions).await;
            assert_eq!(finished(end), Outcome::Succeeded);
            assert_eq!(rig.write.runs_of("a"), runs + steps.len() - 1, "{resolution:?}");
        }
    }
}

#[tokio::test]
async fn a_step_that_may_rerun_needs_no_decision() {
    let mut rig = cut_off(step("a", &[])).await;
    let new = anew("bb", vec![param(step("a", &[]), "y"), step("b", &["a"])]);
    assert_eq!(finished(rig.replan(new, Vec::new()).await), Outcome::Succeeded);
}

#[tokio::test]
async fn a_run_that_is_done_alive_or_never_started_is_not_planned_again() {
    let mut rig = Rig::new(vec![step("a", &[])]);
    let never = rig.replan(anew("bb", vec![step("a", &[])]), Vec::new()).await.unwrap_err();
    insta::assert_snapshot!(never, @"the run 20261122T150000Z-0001 was never started");
    let mut rig = Rig::new(vec![step("a", &[])]);
    rig.execute().await.unwrap();
    let done = rig.replan(anew("bb", vec![step("a", &[])]), Vec::new()).await.unwrap_err();
    insta::assert_snapshot!(done, @"the run 20261122T150000Z-0001 has finished already: succeeded");

    let mut rig = cut_off(probing("a", &[])).await;
    let new = anew("bb", vec![probing("a", &[])]);
    let agreed = rig.look(&new, &[]).unwrap();
    rig.plan_anew(new, None);
    let alive = Resume { decisions: Vec::new(), verdicts: Vec::new(), is_alive: Arc::new(|_| true) };
    let error = replan(rig.request(2), alive, &agreed, "kim").await.unwrap_err();
    assert!(matches!(error, RunError::StillRunning { .. }), "{error}");
}

#[tokio::test]
async fn what_was_agreed_to_must_still_be_so() {
    let mut rig = failed().await;
    let new = anew("bb", mended("x"));
    let mut agreed = rig.look(&new, &[]).unwrap();
    agreed.reused.pop();
    rig.plan_anew(new, None);
    let before = rig.events();
    let resume = Resume { decisions: Vec::new(), verdicts: Vec::new(), is_alive: Arc::new(|_| false) };
    let error = replan(rig.request(2), resume, &agreed, "kim").await.unwrap_err();
    insta::assert_snapshot!(error, @"the run 20261122T150000Z-0001 has changed since its new plan was looked at");
    assert_eq!(rig.events(), before);
}

#[tokio::test]
async fn a_replanned_run_killed_at_any_boundary_ends_in_the_same_state() {
    let whole = {
        let mut rig = failed().await;
        rig.replan(anew("bb", mended("y")), Vec::new()).await.unwrap();
        rig
    };
    let first = failed().await.events().len();
    for boundary in first..whole.events().len() {
        let mut rig = failed().await;
        let new = anew("bb", mended("y"));
        let agreed = rig.look(&new, &[]).unwrap();
        rig.plan_anew(new, Some(boundary));
        let resume = || Resume { decisions: Vec::new(), verdicts: Vec::new(), is_alive: Arc::new(|_| false) };
        replan(rig.request(2), resume(), &agreed, "kim").await.unwrap_err();
        rig.next_process(None);
        let replanned = rig.events().iter().any(|event| matches!(event, Event::RunReplanned { .. }));
        if replanned {
            rig.resume(Vec::new()).await.unwrap();
        } else {
            // The plan was stored and the event was not: the run is still under the old one.
            let new = std::mem::replace(&mut rig.plan, rig.earlier.pop().unwrap());
            assert_eq!(rig.state().outcome().is_some(), boundary == first);
            rig.replan((*new).clone(), Vec::new()).await.unwrap();
        }
        assert_eq!(words(&rig.state()), words(&whole.state()), "killed after {boundary}:\n{}", rig.story());
        assert_eq!(rig.write.runs_of("a"), 1, "{}", rig.story());
    }
}

#[tokio::test]
async fn a_run_can_be_planned_again_and_again() {
    let mut rig = failed().await;
    rig.write.script("c", [Act::permanent("still wrong")]);
    assert_eq!(finished(rig.replan(anew("bb", mended("x")), Vec::new()).await), Outcome::Failed);
    let mut steps = mended("x");
    steps[2] = param(steps[2].clone(), "better");
    assert_eq!(finished(rig.replan(anew("cc", steps), Vec::new()).await), Outcome::Succeeded);
    assert_eq!(rig.write.order(), ["a", "free", "b", "c", "tidy", "c", "tidy", "c", "tidy"]);
}

#[test]
fn a_replanning_that_can_not_be_is_refused() {
    let next = anew("bb", vec![step("a", &[]), step("b", &["a"])]);
    let replanned = |hash: &str, reused: &[&str]| Event::RunReplanned {
        plan_hash: hash.to_owned(),
        reused: reused.iter().map(|step| (*step).into()).collect(),
        by: "kim".to_owned(),
    };
    let mut run = Ledger::new(vec![step("a", &[]), step("b", &["a"])]);
    run.state = run.state.clone().followed_by(&next);
    run.succeed("a");
    run.start("b");
    let running = run.try_apply(replanned("bb", &["a"])).unwrap_err().why;
    run.apply(Event::RunResumed { runner: runner(2), fence: None });
    let refusals: Vec<_> = [replanned("xx", &["a"]), replanned("bb", &["z"]), replanned("bb", &["b"])]
        .into_iter()
        .map(|event| run.try_apply(event).unwrap_err().why)
        .chain([running])
        .collect();
    insta::assert_snapshot!(refusals.join("\n"), @r"
    the plan xx is not known
    the plan has no step `z`
    step `b` can't be reused when `a` is not
    step `b` is running and can't be planned again now
    ");
    run.apply(replanned("bb", &["a"]));
    let twice = run.try_apply(replanned("bb", &["a"])).unwrap_err();
    assert!(twice.why.contains("is not known"), "{twice}");
}
