//! Where steps' words arrive: masked, bounded, and handed to the driver in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

use super::attempt::AttemptEnd;
use super::{Observer, RunRequest, StepLogs};
use crate::host::Masker;
use crate::id::StepId;
use crate::journal::{Event, Record};
use crate::plan::Plan;
use crate::report::{self, Report};
use crate::step::{Probe, Progress, Reporter, StepError};

/// How many warnings of one step go into the journal; one more says that others were left out.
const WARNINGS_A_STEP: u32 = 1000;
/// How many messages may wait for the driver; steps wait when it is behind.
pub(super) const WAITING_MESSAGES: usize = 64;

/// What a step's task tells the driver.
pub(super) enum Message {
    /// An attempt ended. Always the last of an attempt.
    Ended { step: StepId, end: AttemptEnd },
    /// A checkpoint to make durable.
    Checkpoint { step: StepId, value: Value, done: oneshot::Sender<Result<(), StepError>> },
    /// A probe ended.
    Probed { step: StepId, probe: Result<Probe<Value>, StepError> },
}

/// What the driver and all steps of a run share.
pub(super) struct Shared {
    observer: Arc<dyn Observer>,
    logs: Arc<dyn StepLogs>,
    masker: Masker,
    plan: Arc<Plan>,
    history: RwLock<Vec<Record>>,
    warnings: Mutex<Warnings>,
    /// Tells the driver that there are warnings to write down.
    pub(super) warned: Notify,
    messages: mpsc::Sender<Message>,
}

#[derive(Default)]
struct Warnings {
    waiting: Vec<Event>,
    counts: BTreeMap<StepId, u32>,
}

impl Shared {
    pub(super) fn new(request: &RunRequest, history: Vec<Record>, messages: mpsc::Sender<Message>) -> Self {
        Self {
            observer: Arc::clone(&request.observer),
            logs: Arc::clone(&request.logs),
            masker: request.world.masker.clone(),
            plan: Arc::clone(&request.plan),
            history: RwLock::new(history),
            warnings: Mutex::default(),
            warned: Notify::new(),
            messages,
        }
    }

    /// Takes a durable record in.
    pub(super) fn recorded(&self, record: Record) {
        self.observer.record(&record);
        self.history.write().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Gives the warnings that wait to be written, oldest first.
    pub(super) fn take_warnings(&self) -> Vec<Event> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }

    /// Tells the driver something; nobody listens any more once the run has stopped.
    pub(super) async fn tell(&self, message: Message) {
        let _ = self.messages.send(message).await;
    }

    pub(super) fn masked_error(&self, error: StepError) -> StepError {
        StepError {
            class: error.class,
            message: self.masker.mask(&error.message),
            help: error.help.map(|help| self.masker.mask(&help)),
        }
    }

    pub(super) fn masked_text(&self, text: &str) -> String {
        self.masker.mask(text)
    }

    pub(super) fn masked_value(&self, value: Value) -> Value {
        self.masker.mask_json(value)
    }
}

#[async_trait]
impl Reporter for Shared {
    fn progress(&self, step: &StepId, progress: Progress) {
        let note = self.masker.mask(&progress.note);
        self.observer.progress(step, &Progress { note, ..progress });
    }

    fn log(&self, step: &StepId, line: &str) {
        let line = self.masker.mask(line);
        self.logs.line(step, &line);
        self.observer.log(step, &line);
    }

    fn warn(&self, step: &StepId, text: &str) {
        {
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            let count = warnings.counts.entry(step.clone()).or_default();
            *count = count.saturating_add(1);
            let text = match (*count).cmp(&(WARNINGS_A_STEP + 1)) {
                std::cmp::Ordering::Less => self.masker.mask(text),
                std::cmp::Ordering::Equal => "more warnings followed, which are left out".to_owned(),
                std::cmp::Ordering::Greater => return,
            };
            warnings.waiting.push(Event::StepWarned { step: step.clone(), text });
        }
        self.warned.notify_one();
    }

    async fn checkpoint(&self, step: &StepId, value: Value) -> Result<(), StepError> {
        let stopped = || StepError::permanent("the run has stopped, so the checkpoint could not be kept");
        let (done, kept) = oneshot::channel();
        let message = Message::Checkpoint { step: step.clone(), value: self.masker.mask_json(value), done };
        self.messages.send(message).await.map_err(|_| stopped())?;
        kept.await.map_err(|_| stopped())?
    }

    fn history(&self) -> Vec<Record> {
        self.history.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn report(&self) -> Option<Report> {
        let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
        Some(report::report(&self.plan, &history))
    }
}
