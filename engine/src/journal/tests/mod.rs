//! Journals that are whole, torn and damaged; locks; run directories.

mod damage;
mod file;
mod lock;
mod runs;
mod stored;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;

use super::{Event, JOURNAL_FORMAT, LockOwner, Outcome, RunnerIdentity};
use crate::host::Clock;

/// It is always the same second, and waiting takes a moment of real time.
pub(super) struct StandingClock;

#[async_trait]
impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_795_361_700).unwrap()
    }

    async fn sleep(&self, _: Duration) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(StandingClock)
}

fn owner(pid: u32) -> LockOwner {
    let runner = RunnerIdentity {
        pid,
        started_ticks: 1,
        boot_id: "boot".to_owned(),
        host: "db-1".to_owned(),
        version: "0.1.0".to_owned(),
    };
    LockOwner { run: "20261122T153500Z-1f9c".into(), runner }
}

/// The events of a small run.
fn events() -> Vec<Event> {
    let step = || "dump".into();
    vec![
        Event::RunStarted {
            format: JOURNAL_FORMAT,
            run: "20261122T153500Z-1f9c".into(),
            plan_hash: "00".to_owned(),
            runbook: "backup".to_owned(),
            runbook_version: "1.0.0".to_owned(),
            environment: "dev".to_owned(),
            runner: owner(1).runner,
            fence: None,
            commit: None,
        },
        Event::StepStarted { step: step(), attempt: 1 },
        Event::StepSucceeded { step: step(), outputs: json!({"text": "é\n\"quoted\"", "size": 1}) },
        Event::RunFinished { outcome: Outcome::Succeeded },
    ]
}
