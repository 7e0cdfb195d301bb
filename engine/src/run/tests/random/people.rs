//! The people of the simulation: whom a step asks, and what they say.

use std::collections::BTreeSet;

use proptest::prelude::{Just, Strategy, prop_oneof};

use super::{Death, Simulation};
use crate::id::StepId;
use crate::journal::Event;
use crate::plan::ApprovalRule;
use crate::run::tests::support::duration;

/// What the people whom a step asks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum People {
    NotAsked,
    /// So many are needed, and agree.
    Agree(u32),
    Refuse,
    /// They take longer than they may.
    TooLate,
    /// They never answer, and may take as long as they like.
    Silent,
}

pub(super) fn people() -> impl Strategy<Value = People> {
    prop_oneof![
        12 => Just(People::NotAsked),
        4 => (1..4_u32).prop_map(People::Agree),
        1 => Just(People::Refuse),
        1 => Just(People::TooLate),
        1 => Just(People::Silent),
    ]
}

impl People {
    pub(super) fn rule(self) -> Option<ApprovalRule> {
        let (needed, timeout) = match self {
            Self::NotAsked => return None,
            Self::Agree(needed) => (needed, None),
            Self::Refuse | Self::Silent => (2, None),
            Self::TooLate => (1, Some(duration("4h"))),
        };
        Some(ApprovalRule { needed, timeout })
    }
}

impl Simulation<'_> {
    /// Lets one person answer; says whether anybody has anything to say.
    pub(super) fn one_answers(&mut self) -> Result<bool, Death> {
        let mut awaited = self.state.awaited();
        awaited.retain(|awaited| matches!(self.people[&awaited.step], People::Agree(_) | People::Refuse));
        if awaited.is_empty() {
            return Ok(false);
        }
        let awaited = awaited.swap_remove(self.dice.roll(awaited.len()));
        let (step, plan_hash, why) = (awaited.step, self.plan.hash.clone(), String::new());
        let by = format!("person {}", awaited.approved_by.len());
        let from = String::new();
        self.write(match self.people[&step] {
            People::Refuse => Event::StepRejected { step, plan_hash, by, why, from },
            _ => Event::StepApproved { step, plan_hash, by, why, from },
        })?;
        Ok(true)
    }

    /// What must be true of the journal alone when a step starts that people must agree to.
    pub(super) fn check_approved(&self, id: &StepId) {
        let Some(rule) = self.people[id].rule() else { return };
        let by: BTreeSet<&String> = self
            .records
            .iter()
            .filter_map(|record| match &record.event {
                Event::StepApproved { step, by, .. } if step == id => Some(by),
                _ => None,
            })
            .collect();
        assert!(by.len() >= rule.needed as usize, "{id} started with {} approvals", by.len());
    }
}
