//! Estimates of the plan in [`crate::plan::fixture`], for the tests of this crate.

use super::{Estimates, History, estimate};
use crate::journal::{Event, Outcome, Record, RunnerIdentity};
use crate::plan::Plan;

/// What a run of a plan wrote: each of `took` is a step and how many seconds its only attempt took, one after
/// the other.
pub(crate) fn records(plan: &Plan, took: &[(&str, i64)]) -> Vec<Record> {
    let runner = RunnerIdentity {
        pid: 1,
        started_ticks: 1,
        boot_id: "b".to_owned(),
        host: "h".to_owned(),
        version: "0".to_owned(),
    };
    let mut events = vec![(
        0,
        Event::RunStarted {
            format: crate::journal::JOURNAL_FORMAT,
            run: "r".into(),
            plan_hash: plan.hash.clone(),
            runbook: plan.runbook.name.clone(),
            runbook_version: plan.runbook.version.clone(),
            environment: plan.settings.name.clone(),
            runner,
            fence: None,
            commit: None,
        },
    )];
    let mut now = 0;
    for (step, seconds) in took {
        events.push((now, Event::StepStarted { step: (*step).into(), attempt: 1 }));
        now += seconds;
        events.push((now, Event::StepSucceeded { step: (*step).into(), outputs: serde_json::json!({}) }));
    }
    events.push((now, Event::RunFinished { outcome: Outcome::Succeeded }));
    let record = |(seq, (at, event))| Record { seq, at: jiff::Timestamp::from_second(at).unwrap(), event };
    (1..).zip(events).map(record).collect()
}

/// Two earlier runs of the recovery; `verify` has never run.
pub(crate) fn estimates(plan: &Plan) -> Estimates {
    let mut history = History::default();
    for restore in [400, 500] {
        let took = [
            ("provision", 2),
            ("wait-ready", 3),
            ("restore", restore),
            ("reset-replication[0]", 20),
            ("reset-replication[1]", 40),
        ];
        history.learn(plan, &records(plan, &took));
    }
    estimate(plan, &history)
}
