//! The real driver on fakes: random plans and answers of steps, killed and cancelled at random records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::{collection, option, prop_assert, proptest};

use super::invariants;
use super::rig::{Rig, decision};
use super::support::duration;
use super::walk::{Shape, plan_of, shape};
use crate::journal::{Event, Outcome, Resolution};
use crate::plan::PlanStep;
use crate::run::{Answer, Awaited, Decision, RunEnd, Verdict};
use crate::step::{Effect, StepError};
use crate::testing::Act;

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Succeed),
        2 => Just(Act::transient("it was lost")),
        1 => Just(Act::permanent("it is broken")),
        1 => Just(Act::FailAfterEffect(StepError::transient("it was lost after the commit"))),
        1 => Just(Act::Wait(Duration::from_secs(30))),
        // Ended by the step's timeout, or by the operator.
        1 => Just(Act::HangUntilCancelled),
        1 => Just(Act::Panic),
    ]
}

/// When the operator speaks, by number of records, and whether at once again.
type Word = (u64, bool);

fn rig(shapes: &[Shape], acts: &[Act], jobs: usize) -> Rig {
    let steps: Vec<PlanStep> = plan_of(shapes).steps;
    let steps = steps.into_iter().map(|mut step| {
        step.when = None;
        step.timeout = Some(duration("1m"));
        step.kind = if step.effect == Effect::Destroy { "fake.destroy" } else { "fake.write" }.to_owned();
        step
    });
    let mut rig = Rig::new(steps.collect());
    rig.jobs = jobs;
    let mut of: BTreeMap<String, Vec<Act>> = BTreeMap::new();
    for (act, step) in acts.iter().zip(rig.plan.steps.iter().cycle()) {
        of.entry(step.id.0.clone()).or_default().push(act.clone());
    }
    for step in &rig.plan.steps {
        let kind = if step.effect == Effect::Destroy { &rig.destroy } else { &rig.write };
        kind.script(step.id.as_str(), of.remove(step.id.as_str()).unwrap_or_default());
    }
    rig
}

/// A single step that is in doubt is taken for done, an instance of several is run again.
fn decided(step: &str) -> Decision {
    decision(step, if step.contains('[') { Resolution::Rerun } else { Resolution::Done })
}

/// What everybody who is asked says: one more person to each open question.
fn verdicts(awaited: Vec<Awaited>, refusals: &mut impl Iterator<Item = bool>) -> Vec<Verdict> {
    let answer = |awaited: Awaited| Verdict {
        step: awaited.step,
        request: awaited.request,
        plan_hash: "aa".to_owned(),
        answer: if refusals.next() == Some(true) { Answer::Reject } else { Answer::Approve },
        by: format!("person {}", awaited.approved_by.len()),
        why: String::new(),
        from: "uid 1 on db-1".to_owned(),
    };
    awaited.into_iter().map(answer).collect()
}

/// Drives a run through all its processes, until it has an outcome and nothing more is wanted of it.
async fn drive(rig: &mut Rig, deaths: &[usize], word: Option<Word>, refusals: &[bool]) -> Result<(), String> {
    let mut refusals = refusals.iter().copied();
    if let Some((seq, again)) = word {
        let cancellation = rig.cancellation.clone();
        rig.on_record(move |record| {
            if record.seq == seq {
                cancellation.request("kim");
                if again {
                    cancellation.request("kim");
                }
            }
        });
    }
    let mut deaths = deaths.iter();
    let (mut decisions, mut answers, mut rounds) = (Vec::new(), Vec::new(), 0);
    for process in 0..200 {
        let dies_after = deaths.next().map(|further| rig.events().len() + further);
        if process > 0 || dies_after.is_some() {
            let cancellation = rig.cancellation.clone();
            rig.next_process(dies_after);
            if process == 0 {
                rig.cancellation = cancellation;
            }
        }
        let begun = !rig.events().is_empty();
        let end = if !begun {
            rig.execute().await
        } else if answers.is_empty() {
            rig.resume(std::mem::take(&mut decisions)).await
        } else {
            rig.answer(std::mem::take(&mut answers)).await
        };
        if let Ok(RunEnd::Finished { outcome, .. }) = &end
            && rig.events().last() != Some(&Event::RunFinished { outcome: *outcome })
        {
            return Err(format!("it ended as {outcome:?}, and its journal does not say so"));
        }
        match end {
            Ok(RunEnd::Finished { outcome: Outcome::Failed | Outcome::Cancelled, .. }) if rounds < 1 => {
                rounds += 1;
            }
            Ok(RunEnd::Finished { .. }) => return Ok(()),
            Ok(RunEnd::Paused { questions }) => {
                decisions = questions.iter().map(|question| decided(question.step.as_str())).collect();
            }
            Ok(RunEnd::Waiting { awaited }) => answers = verdicts(awaited, &mut refusals),
            Err(_) if dies_after.is_some() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("it never ends".to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_steps_and_operators_do_the_driver_ends_and_keeps_its_promises(
        shapes in collection::vec(shape(), 1..7),
        acts in collection::vec(act(), 0..20),
        jobs in 1..4_usize,
        deaths in collection::vec(0..12_usize, 0..3),
        word in option::of((1..25_u64, any::<bool>())),
        refusals in collection::vec(proptest::bool::weighted(0.2), 0..8),
    ) {
        let mut rig = rig(&shapes, &acts, jobs);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Real time, and far more than a busy machine needs: the clock of the run is a fake one.
        let ended = runtime.block_on(async {
            tokio::time::timeout(Duration::from_mins(5), drive(&mut rig, &deaths, word, &refusals)).await
        });
        prop_assert!(matches!(ended, Ok(Ok(()))), "{ended:?}\n{}", rig.story());
        let plan = Arc::clone(&rig.plan);
        let kept = invariants::check(&plan, &rig.journal.records(), jobs);
        prop_assert!(kept.is_ok(), "{kept:?}\n{}", rig.story());
        prop_assert!(rig.write.most_running() <= jobs && rig.destroy.most_running() <= jobs);
        // Every start is in the journal: nothing ran that it does not tell of.
        for step in rig.plan.steps.iter().map(|step| step.id.as_str()) {
            let starts = rig.events().into_iter().filter(
                |event| matches!(event, Event::StepStarted { step: started, .. } if started.as_str() == step),
            );
            let runs = rig.write.runs_of(step) + rig.destroy.runs_of(step);
            prop_assert!(runs <= starts.count(), "{step} ran {runs} times:\n{}", rig.story());
        }
    }
}
