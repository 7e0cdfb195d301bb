//! What is to be done next.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::step::{Need, StepState};
use super::{RunState, StepStatus};
use crate::id::StepId;
use crate::journal::{Outcome, StepFinding};
use crate::plan::Section;
use crate::runbook::OnCrash;

/// What the driver is to do. Everything but the waits leads to at least one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start an attempt, unless its condition is false.
    Start {
        /// Of which step.
        step: StepId,
        /// Which one.
        attempt: u32,
    },
    /// Look whether a step's effect is there.
    Probe {
        /// Of which step.
        step: StepId,
    },
    /// Record that its condition was false while compiling.
    Skip {
        /// Which.
        step: StepId,
    },
    /// Record that something it needs failed.
    Block {
        /// Which.
        step: StepId,
        /// The step to blame.
        by: StepId,
    },
    /// Record that it will not run any more.
    Cancel {
        /// Which.
        step: StepId,
    },
    /// Stop here until a person has decided.
    Pause {
        /// On which step.
        step: StepId,
        /// The question.
        question: String,
    },
    /// Ask people to agree, unless its condition is false.
    AskApproval {
        /// To which step.
        step: StepId,
        /// How many of them must.
        needed: u32,
        /// How long they may take.
        timeout: Option<Duration>,
    },
    /// Record that too few people agreed in time.
    ExpireApproval {
        /// To which step.
        step: StepId,
    },
    /// Nothing can be done before people have agreed.
    AwaitApproval {
        /// Until the time of the first one is over.
        until: Option<Timestamp>,
    },
    /// Come again at this time, or when something ended.
    Wait {
        /// The earliest next attempt, or end of the time for an approval.
        until: Timestamp,
    },
    /// Record the end.
    Finish {
        /// Which.
        outcome: Outcome,
    },
}

impl RunState {
    /// Gives what is to be done, in plan order. Empty means: wait for a running step.
    ///
    /// Never starts more than `jobs` steps at once (at least one).
    pub fn next(&self, now: Timestamp, jobs: usize) -> Vec<Command> {
        if self.started.is_none() || self.outcome.is_some() || self.paused || self.waiting {
            return Vec::new();
        }
        if let Some(outcome) = self.finish() {
            return vec![Command::Finish { outcome }];
        }
        // Before any question: no answer brings back what the operator has called off, and after a second word
        // nobody waits for one.
        let called_off = self.called_off();
        if !called_off.is_empty() {
            return called_off;
        }
        // A decision on one step may change what the others should do: nothing starts before all are settled.
        let unsettled = self.settle();
        if !unsettled.is_empty() {
            return unsettled;
        }
        let mut commands = self.closing();
        if commands.is_empty() {
            commands = self.starting(now, jobs.max(1));
        }
        commands
    }

    fn called_off(&self) -> Vec<Command> {
        let called_off =
            self.steps.iter().filter(|(_, state)| self.is_called_off(state) && state.can_be_called_off());
        called_off.map(|(id, _)| Command::Cancel { step: id.clone() }).collect()
    }

    fn settle(&self) -> Vec<Command> {
        let mut probes = Vec::new();
        let mut pauses = Vec::new();
        for (id, state) in &self.steps {
            if state.status != StepStatus::InDoubt || self.is_called_off(state) {
                continue;
            }
            let question = match (state.rules.on_crash, &state.found) {
                (OnCrash::Rerun, _) => continue,
                (OnCrash::Probe, None | Some(StepFinding::Absent | StepFinding::Complete)) => {
                    probes.push(Command::Probe { step: id.clone() });
                    continue;
                }
                (OnCrash::Probe, Some(StepFinding::Partial { found })) => {
                    format!(
                        "step `{id}` was under way when it was cut off, and a part of its effect is there: {found}"
                    )
                }
                (OnCrash::Probe, Some(StepFinding::Unknown { why })) => {
                    format!(
                        "step `{id}` was under way when it was cut off, and its effect can't be told: {why}"
                    )
                }
                (OnCrash::Ask, _) => {
                    format!("step `{id}` was under way when it was cut off, and can't be looked at")
                }
            };
            pauses.push(Command::Pause { step: id.clone(), question });
        }
        if probes.is_empty() { pauses } else { probes }
    }

    /// Gives the steps that end without running.
    fn closing(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        let mut blocked = BTreeMap::new();
        let mut news = true;
        while std::mem::take(&mut news) {
            for (id, state) in &self.steps {
                if state.status != StepStatus::Pending || blocked.contains_key(id) || !self.may_close(state) {
                    continue;
                }
                if let Some(by) = self.blamed(state, &blocked) {
                    blocked.insert(id.clone(), by.clone());
                    commands.push(Command::Block { step: id.clone(), by });
                    news = true;
                }
            }
        }
        for (id, state) in &self.steps {
            if state.rules.skipped
                && state.status == StepStatus::Pending
                && !blocked.contains_key(id)
                && self.is_open(state.rules.section)
                // In its turn: what needs it waits for what it waits for, and is blocked by what blocks it.
                && self.needs_have_ended(state)
            {
                commands.push(Command::Skip { step: id.clone() });
            }
        }
        commands
    }

    fn may_close(&self, state: &StepState) -> bool {
        !self.is_called_off(state) && self.is_open(state.rules.section)
    }

    fn starting(&self, now: Timestamp, jobs: usize) -> Vec<Command> {
        let mut running: BTreeMap<&StepId, usize> = BTreeMap::new();
        for state in self.steps.values().filter(|state| state.status == StepStatus::Running) {
            *running.entry(&state.rules.definition).or_default() += 1;
        }
        let mut free = jobs.saturating_sub(running.values().sum());
        let mut waits = Waits { goes_on: !running.is_empty(), ..Waits::default() };
        let mut commands = Vec::new();
        for (id, state) in &self.steps {
            if waits.has(state, now) {
                continue;
            }
            if state.status == StepStatus::AwaitingApproval {
                commands.push(Command::ExpireApproval { step: id.clone() });
                continue;
            }
            if !self.may_start(state) {
                continue;
            }
            if let Some(rule) = state.rules.approval.filter(|_| state.must_be_approved()) {
                // Asked before there is a free job: people are slower than steps.
                let timeout = rule.timeout.map(|timeout| timeout.0);
                commands.push(Command::AskApproval { step: id.clone(), needed: rule.needed, timeout });
                continue;
            }
            if matches!(state.status, StepStatus::WaitingRetry { .. }) && state.must_be_probed() {
                commands.push(Command::Probe { step: id.clone() });
                continue;
            }
            let siblings = running.entry(&state.rules.definition).or_default();
            if free == 0 || state.rules.max_parallel.is_some_and(|most| *siblings >= most.max(1)) {
                continue;
            }
            *siblings += 1;
            free -= 1;
            commands.push(Command::Start { step: id.clone(), attempt: state.attempt + 1 });
        }
        waits.goes_on |= !commands.is_empty();
        commands.extend(waits.command());
        commands
    }

    /// Says whether an attempt may begin, apart from time, job limits and probes.
    pub(super) fn may_start(&self, state: &StepState) -> bool {
        let waiting = match state.status {
            StepStatus::Pending | StepStatus::WaitingRetry { .. } => true,
            StepStatus::InDoubt => state.rules.on_crash == OnCrash::Rerun,
            StepStatus::AwaitingApproval
            | StepStatus::Running
            | StepStatus::Succeeded
            | StepStatus::Failed { .. }
            | StepStatus::Skipped
            | StepStatus::Blocked { .. }
            | StepStatus::Cancelled { .. } => false,
        };
        waiting
            && !state.rules.skipped
            && !self.is_called_off(state)
            && self.is_open(state.rules.section)
            && self.needs_have_ended(state)
            && self.blamed(state, &BTreeMap::new()).is_none()
    }

    pub(super) fn needs_have_ended(&self, state: &StepState) -> bool {
        state
            .rules
            .needs
            .iter()
            .all(|need| self.steps.get(&need.step).is_none_or(|step| step.status.has_ended()))
    }

    /// Gives the step to blame when something that a step needs failed.
    pub(super) fn blamed(&self, state: &StepState, blocked: &BTreeMap<StepId, StepId>) -> Option<StepId> {
        let blame = |Need { step, .. }: &Need| match &self.steps.get(step)?.status {
            StepStatus::Failed { .. } => self.steps[step].failed_for_good().then(|| step.clone()),
            StepStatus::Blocked { by } => Some(by.clone()),
            StepStatus::Pending => blocked.get(step).cloned(),
            // Elsewhere all that follows is called off with it. Here it would go on as if this had been done.
            StepStatus::Cancelled { .. } => (state.rules.section == Section::Finally).then(|| step.clone()),
            StepStatus::AwaitingApproval
            | StepStatus::Running
            | StepStatus::WaitingRetry { .. }
            | StepStatus::Succeeded
            | StepStatus::Skipped
            | StepStatus::InDoubt => None,
        };
        state.rules.needs.iter().filter(|need| need.blocks).find_map(blame)
    }

    /// Says whether the operator's word keeps a step from starting: all but `finally`, and of that what nobody has
    /// agreed to. A run that is cancelled must come to its end, not wait for people.
    fn is_called_off(&self, state: &StepState) -> bool {
        self.cancel_requested && (state.rules.section != Section::Finally || state.must_be_approved())
    }
}

/// What the steps that can't start yet wait for.
#[derive(Default)]
struct Waits {
    /// Something else goes on.
    goes_on: bool,
    /// The earliest next attempt.
    retry_at: Option<Timestamp>,
    /// Some step waits for people.
    awaits_approval: bool,
    /// The earliest end of their time.
    expires_at: Option<Timestamp>,
}

impl Waits {
    /// Takes in a step that waits for a time or for people; says whether it still does.
    fn has(&mut self, state: &StepState, now: Timestamp) -> bool {
        if let StepStatus::WaitingRetry { at, .. } = state.status
            && at > now
        {
            self.retry_at = earlier(self.retry_at, Some(at));
            return true;
        }
        if let (StepStatus::AwaitingApproval, Some(request)) = (&state.status, &state.request)
            && request.expires_at.is_none_or(|at| at > now)
        {
            self.awaits_approval = true;
            self.expires_at = earlier(self.expires_at, request.expires_at);
            return true;
        }
        false
    }

    fn command(&self) -> Option<Command> {
        if self.awaits_approval && !self.goes_on && self.retry_at.is_none() {
            return Some(Command::AwaitApproval { until: self.expires_at });
        }
        earlier(self.retry_at, self.expires_at).map(|until| Command::Wait { until })
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
