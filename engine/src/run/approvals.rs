//! Where people's answers come from while a run is driven.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Awaited;
use crate::id::StepId;
use crate::journal::Event;

/// What a person says to a step that waits for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It may run.
    Approve,
    /// It must not.
    Reject,
}

/// One person's answer. Who that is was said, not proven: approvals are advice that is kept, no authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// To which step.
    pub step: StepId,
    /// [`Awaited::request`] of the question that is answered.
    pub request: u64,
    /// The hash of the plan the person saw.
    pub plan_hash: String,
    /// What they say.
    pub answer: Answer,
    /// Who.
    pub by: String,
    /// Why, in their words; may be empty.
    pub why: String,
    /// The account that gave it: `uid 1000 on db-1`.
    pub from: String,
}

impl Verdict {
    /// Gives what is written down of it.
    pub(super) fn into_event(self, mask: impl Fn(&str) -> String) -> Event {
        let Self { step, request: _, plan_hash, answer, by, why, from } = self;
        let (by, why) = (mask(&by), mask(&why));
        match answer {
            Answer::Approve => Event::StepApproved { step, plan_hash, by, why, from },
            Answer::Reject => Event::StepRejected { step, plan_hash, by, why, from },
        }
    }
}

/// Asks people, or waits for what they say elsewhere.
#[async_trait]
pub trait Approvals: Send + Sync {
    /// Says whether somebody here can answer one of these, so that the run stays when nothing else can go on.
    fn attended(&self, awaited: &[Awaited]) -> bool;

    /// Waits for the next answer to one of these; none when that changed [`Approvals::attended`].
    ///
    /// May be dropped half way and called again: what was heard must not be lost by that.
    async fn next(&self, awaited: &[Awaited]) -> Option<Verdict>;

    /// Hears what became of an answer: it is durable, or was refused for a reason.
    fn settled(&self, verdict: &Verdict, taken: Result<(), &str>);
}

/// Nobody is here, and nothing is heard from elsewhere: a run that waits for approval is let go of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unattended;

impl Unattended {
    /// Gives it as what a [`super::RunRequest`] takes.
    pub fn shared() -> Arc<dyn Approvals> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Approvals for Unattended {
    fn attended(&self, _: &[Awaited]) -> bool {
        false
    }

    async fn next(&self, _: &[Awaited]) -> Option<Verdict> {
        std::future::pending().await
    }

    fn settled(&self, _: &Verdict, _: Result<(), &str>) {}
}
