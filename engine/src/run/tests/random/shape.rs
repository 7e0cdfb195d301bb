//! Random plans in a few words.

use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::people::{People, people};
use crate::plan::{Plan, PlanStep, Section};
use crate::run::tests::support::{plan, retry, step, step_in, with};
use crate::runbook::OnCrash;
use crate::step::Effect;

/// What a step does when it runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behaviour {
    Succeeds,
    Fails,
    /// Fails this often with an error that may pass.
    Stumbles(u32),
}

#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) section: Section,
    /// One bit for each step before it.
    pub(super) needs: u16,
    pub(super) behaviour: Behaviour,
    pub(super) effect: Effect,
    pub(super) on_crash: OnCrash,
    pub(super) skipped: bool,
    pub(super) continue_on_error: bool,
    pub(super) people: People,
}

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    (
        prop_oneof![8 => Just(Section::Main), 1 => Just(Section::OnFailure), 1 => Just(Section::Finally)],
        any::<u16>(),
        prop_oneof![
            5 => Just(Behaviour::Succeeds),
            1 => Just(Behaviour::Fails),
            2 => (1..4_u32).prop_map(Behaviour::Stumbles)
        ],
        prop_oneof![Just(Effect::Read), Just(Effect::Write), Just(Effect::Destroy)],
        prop_oneof![Just(OnCrash::Probe), Just(OnCrash::Rerun), Just(OnCrash::Ask)],
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.1),
        people(),
    )
        .prop_map(|(section, needs, behaviour, effect, on_crash, skipped, continue_on_error, people)| {
            Shape {
                section,
                needs,
                behaviour,
                effect,
                on_crash,
                skipped,
                continue_on_error,
                people: if skipped { People::NotAsked } else { people },
            }
        })
}

pub(super) fn plan_of(shapes: &[Shape]) -> Plan {
    let mut steps: Vec<PlanStep> = Vec::new();
    for (place, shape) in shapes.iter().enumerate() {
        let id = format!("s{place}");
        let before = |wanted: Section| {
            steps.iter().enumerate().filter(move |(_, step)| step.section == wanted).collect::<Vec<_>>()
        };
        let made = match shape.section {
            Section::Main => {
                let needed = before(Section::Main).into_iter().filter(|(n, _)| shape.needs & (1 << n) != 0);
                let needs: Vec<_> = needed.map(|(_, step)| step.id.0.clone()).collect();
                step(&id, &needs.iter().map(String::as_str).collect::<Vec<_>>())
            }
            section @ (Section::OnFailure | Section::Finally) => {
                step_in(section, &id, before(section).last().map(|(_, step)| step.id.as_str()))
            }
        };
        steps.push(with(made, |step| {
            step.effect = shape.effect;
            step.on_crash = shape.on_crash;
            step.skipped = shape.skipped;
            step.continue_on_error = shape.continue_on_error;
            step.retry = Some(retry(3));
            step.approval = shape.people.rule();
        }));
    }
    plan(steps)
}
