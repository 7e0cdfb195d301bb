//! What a step says before the run: only its warnings are kept.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::id::StepId;
use crate::journal::Record;
use crate::step::{Progress, Reporter, StepError};

/// The most warnings that are kept of one step.
const WARNINGS: usize = 100;

/// A reporter without a journal: there is no run yet, so there is nothing to resume and nothing to show.
#[derive(Default)]
pub(super) struct QuietReporter {
    warnings: Mutex<Vec<String>>,
}

impl QuietReporter {
    pub(super) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Reporter for QuietReporter {
    fn progress(&self, _step: &StepId, _progress: Progress) {}

    fn log(&self, _step: &StepId, _line: &str) {}

    fn warn(&self, _step: &StepId, text: &str) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < WARNINGS {
            warnings.push(text.to_owned());
        }
    }

    async fn checkpoint(&self, _step: &StepId, _value: Value) -> Result<(), StepError> {
        Ok(())
    }

    fn history(&self) -> Vec<Record> {
        Vec::new()
    }
}
