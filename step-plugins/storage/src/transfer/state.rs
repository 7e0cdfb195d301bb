//! The state of a transfer in the journal: which one it is of, and what its store wants to know again.

use std::io;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rekindle_engine::host::KeepState;
use rekindle_engine::step::{StepContext, StepError};
use serde_json::{Value, json};

/// Keeps the state of one transfer as the step's checkpoint.
pub(crate) struct State<'a> {
    cx: &'a StepContext,
    /// Which transfer of the step it is: a step may have many.
    of: String,
    failed: Mutex<Option<StepError>>,
}

impl<'a> State<'a> {
    pub(crate) fn new(cx: &'a StepContext, of: impl Into<String>) -> Self {
        Self { cx, of: of.into(), failed: Mutex::default() }
    }

    /// Gives what an earlier try, or the run before it was killed, has kept of the same transfer.
    pub(crate) fn earlier(&self) -> Option<&'a Value> {
        let checkpoint = self.cx.last_checkpoint()?;
        (checkpoint.get("of")?.as_str()? == self.of).then(|| checkpoint.get("state"))?
    }

    pub(crate) async fn save(&self, state: Value) -> Result<(), StepError> {
        self.cx.checkpoint(json!({ "of": self.of, "state": state })).await
    }

    /// Gives why a state could not be kept.
    pub(crate) fn failure(&self) -> Option<StepError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl KeepState for State<'_> {
    async fn keep(&self, state: Value) -> io::Result<()> {
        self.save(state).await.map_err(|error| {
            let told = io::Error::other(error.message.clone());
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            told
        })
    }
}
