//! Calls of a plugin under test: receives requests, yields answers, and remembers what must not have happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use rekindle_engine::host::{Clock, Masker, Processes, Secret};
use rekindle_engine::id::{RunId, SecretName, StepId};
use rekindle_engine::preview::{NameFormat, names_used};
use rekindle_engine::step::{Progress, StepError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::canary::Lookout;
use super::{Verdict, broken};
use crate::call::{Call, CallError, Executable, Listener, Reply};
use crate::describe::Described;
use crate::protocol::{Answer, SecretText, Task, ToPlugin};

/// How long one call of an example may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Keeps every word, and can stop the plugin at its first one.
#[derive(Default)]
struct Notes {
    words: Mutex<Vec<String>>,
    cancel: CancellationToken,
    stop_at_first: bool,
}

impl Notes {
    fn keep(&self, word: String) {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).push(word);
        if self.stop_at_first {
            self.cancel.cancel();
        }
    }
}

#[async_trait]
impl Listener for Notes {
    fn progress(&self, progress: Progress) {
        self.keep(progress.note);
    }

    fn log(&self, line: &str) {
        self.keep(line.to_owned());
    }

    fn warn(&self, text: &str) {
        self.keep(text.to_owned());
    }

    async fn checkpoint(&self, value: Value) -> Result<(), StepError> {
        self.keep(value.to_string());
        Ok(())
    }
}

pub(super) struct Caller<'p> {
    pub(super) executable: &'p Executable,
    pub(super) described: &'p Described,
    processes: Arc<dyn Processes>,
    clock: Arc<dyn Clock>,
    canary: String,
    /// Where the canary was seen.
    leaks: Vec<String>,
    secrets_given: bool,
    left_children: bool,
}

impl<'p> Caller<'p> {
    pub(super) fn new(
        executable: &'p Executable,
        described: &'p Described,
        processes: Arc<dyn Processes>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let canary = format!("rekindle-canary-{}-{}", std::process::id(), clock.now().as_nanosecond());
        let (leaks, secrets_given, left_children) = (Vec::new(), false, false);
        Self { executable, described, processes, clock, canary, leaks, secrets_given, left_children }
    }

    /// Makes the task of an example: every secret that it names is the canary.
    pub(super) fn task(&mut self, params: &Value) -> Task {
        let schema = self.described.params.schema.as_value();
        let names = names_used(schema, params, &BTreeMap::new());
        let secrets: BTreeMap<SecretName, SecretText> = names
            .into_iter()
            .filter(|used| used.format == NameFormat::Secret)
            .map(|used| (used.name.into(), SecretText(Secret::new(self.canary.as_str()))))
            .collect();
        self.secrets_given |= !secrets.is_empty();
        Task {
            run: RunId::from("test"),
            step: StepId::from("test"),
            attempt: 1,
            params: params.clone(),
            targets: IndexMap::new(),
            stores: IndexMap::new(),
            secrets,
            checkpoint: None,
        }
    }

    pub(super) async fn ask(&mut self, request: &ToPlugin) -> Result<Answer, CallError> {
        let line = serde_json::to_string(request)
            .map_err(|error| CallError::Unwritable { request: request.name(), why: error.to_string() })?;
        self.talk(&line, Notes::default()).await
    }

    /// As [`Caller::ask`], and asks to stop at the first word or a little later.
    pub(super) async fn ask_and_cancel(&mut self, request: &ToPlugin) -> Result<Answer, CallError> {
        let line = serde_json::to_string(request)
            .map_err(|error| CallError::Unwritable { request: request.name(), why: error.to_string() })?;
        self.talk(&line, Notes { stop_at_first: true, ..Notes::default() }).await
    }

    async fn talk(&mut self, line: &str, notes: Notes) -> Result<Answer, CallError> {
        let lookout = Lookout::start(self.canary.clone());
        let call = Call {
            executable: self.executable,
            processes: Arc::clone(&self.processes),
            clock: Arc::clone(&self.clock),
            masker: Masker::default(),
            listener: &notes,
            cancel: &notes.cancel,
            limit: Some(LIMIT),
        };
        let result = call.ask_line(line).await;
        self.leaks.extend(lookout.finish());
        let words = notes.words.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
        if words.contains(&self.canary) {
            self.leaks.push("what it says while it works".to_owned());
        }
        let Reply { answer, left_children, .. } = result?;
        if json!(answer).to_string().contains(&self.canary) {
            self.leaks.push("its result".to_owned());
        }
        self.left_children |= left_children;
        Ok(answer)
    }

    /// Sends what can't be answered: the one right answer is an error.
    pub(super) async fn refuses(&mut self, request: &Value) -> Verdict {
        match self.talk(&request.to_string(), Notes::default()).await {
            Ok(Answer { error: Some(_), .. }) => Verdict::Kept,
            Ok(_) => Verdict::Broken("it must answer with `error`".to_owned()),
            Err(error) => broken(&error),
        }
    }

    /// Parameters that are no map: rekindle never sends them, but a plugin must not act on what it can't read.
    pub(super) async fn refuses_wrong_parameters(&mut self) -> Verdict {
        let mut task = self.task(&json!([]));
        task.params = json!(["rekindle-test-wrong"]);
        let mut request = json!(ToPlugin::Run(Box::new(task)));
        request["secrets"] = json!({});
        self.refuses(&request).await
    }

    pub(super) fn left_nothing(&self) -> Verdict {
        if self.left_children {
            return Verdict::Broken("it left processes behind when it ended".to_owned());
        }
        Verdict::Kept
    }

    pub(super) fn kept_secrets(&self) -> Verdict {
        match self.leaks.first() {
            Some(place) => Verdict::Broken(format!("a secret was seen in {place}")),
            None if self.secrets_given => Verdict::Kept,
            None => Verdict::Skipped("no example names a secret".to_owned()),
        }
    }
}
