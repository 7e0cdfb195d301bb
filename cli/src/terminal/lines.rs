//! Plain lines: one for each thing that happened, with its time, on standard error.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rekindle_engine::id::StepId;
use rekindle_engine::journal::{Event, Record};
use rekindle_engine::plan::printable;
use rekindle_engine::run::Observer;
use rekindle_engine::step::Progress;

use super::words;
use crate::output;

/// How often progress of a step may take a line.
const PROGRESS_EVERY: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

#[derive(Default)]
pub(super) struct Lines {
    steps: Mutex<HashMap<StepId, StepLines>>,
}

#[derive(Clone, Copy)]
struct StepLines {
    started: Timestamp,
    told: Timestamp,
    bytes: u64,
}

impl Observer for Lines {
    fn record(&self, record: &Record) {
        let Some(mut text) = words::event(&record.event) else { return };
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        match &record.event {
            Event::StepStarted { step, .. } => {
                steps.insert(step.clone(), StepLines { started: record.at, told: record.at, bytes: 0 });
            }
            Event::StepSucceeded { step, .. } | Event::StepFailed { step, .. } => {
                if let Some(lines) = steps.remove(step) {
                    text.push_str(&spent(lines, record.at));
                }
            }
            _ => {}
        }
        let help = words::help(&record.event).map_or(String::new(), |help| format!("{help}\n"));
        output::error(&format!("{:.0} {text}\n{help}", record.at));
    }

    fn progress(&self, step: &StepId, progress: &Progress) {
        let now = Timestamp::now();
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = steps.get_mut(step) else { return };
        lines.bytes = progress.bytes;
        if now.duration_since(lines.told) < PROGRESS_EVERY {
            return;
        }
        lines.told = now;
        let total =
            progress.total_bytes.map_or(String::new(), |total| format!(" of {}", words::bytes(total)));
        output::error(&format!(
            "{now:.0} {step}: {}{total} {}\n",
            words::bytes(progress.bytes),
            printable(&progress.note)
        ));
    }

    fn log(&self, step: &StepId, line: &str) {
        output::error(&format!("{:.0} {step}: {}\n", Timestamp::now(), printable(line)));
    }
}

fn spent(lines: StepLines, now: Timestamp) -> String {
    let elapsed = now.duration_since(lines.started).unsigned_abs();
    if lines.bytes == 0 {
        return format!(" ({})", words::duration(elapsed));
    }
    format!(" ({}, {})", words::duration(elapsed), words::bytes(lines.bytes))
}
