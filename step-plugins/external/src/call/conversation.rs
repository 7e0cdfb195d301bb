//! What is said in one call, in order: hello, hello, the request, anything in between, one result, the end.

use std::pin::Pin;
use std::time::Duration;

use rekindle_engine::host::ExitReport;
use rekindle_engine::step::Progress;
use serde_json::Value;

use super::error::excerpt;
use super::lines::Heard;
use super::talking::Talking;
use super::{CANCEL_LIMIT, Call, CallError, EXIT_LIMIT, HELLO_LIMIT, LINE_BYTES, Reply};
use crate::protocol::{Answer, FromPlugin, PROTOCOL, PluginHello, ToPlugin};

/// How long a plugin may be silent when its hello does not say.
const SILENCE_SECONDS: u32 = 60;
/// The longest silence a plugin may ask for.
const LONGEST_SILENCE_SECONDS: u32 = 3600;
/// How many lines of log one call may write; the rest is left out.
const LOG_LINES: u32 = 10_000;
/// How many checkpoints one call may keep: each is synced into the journal.
const CHECKPOINTS: u32 = 10_000;
/// How large a checkpoint may be, written as JSON.
const CHECKPOINT_BYTES: usize = 64 * 1024;

pub(super) struct Conversation<'c> {
    call: &'c Call<'c>,
    talking: &'c mut Talking,
    log_lines: u32,
    checkpoints: u32,
}

impl<'c> Conversation<'c> {
    pub(super) fn new(call: &'c Call<'c>, talking: &'c mut Talking) -> Self {
        Self { call, talking, log_lines: 0, checkpoints: 0 }
    }

    /// Goes from hello to the end of the process.
    pub(super) async fn hold(&mut self, request: &str) -> Result<Reply, CallError> {
        let hello = self.hello().await?;
        let silence = hello.silence_seconds.unwrap_or(SILENCE_SECONDS).clamp(1, LONGEST_SILENCE_SECONDS);
        self.say(&ToPlugin::Hello {
            protocol: PROTOCOL,
            rekindle: env!("CARGO_PKG_VERSION").to_owned(),
            line_bytes: LINE_BYTES,
            silence_seconds: silence.into(),
        })?;
        self.talking.say(request)?;
        let answer = self.answer(&hello, Duration::from_secs(silence.into())).await?;
        let left_children = self.end(&answer).await?;
        Ok(Reply { hello, answer, left_children })
    }

    async fn hello(&mut self) -> Result<PluginHello, CallError> {
        let line = tokio::select! {
            biased;
            () = self.call.cancel.cancelled() => return Err(CallError::Cancelled),
            heard = self.talking.next() => match heard {
                Some(heard) => line(heard)?,
                None => return Err(self.ended_early().await),
            },
            () = self.call.clock.sleep(HELLO_LIMIT) => {
                return Err(CallError::NoHello { seconds: HELLO_LIMIT.as_secs() });
            }
        };
        let value = self.object(&line)?;
        if value["type"] != "hello" {
            return Err(CallError::NotHello { line: self.excerpt(&line) });
        }
        // Looked at first: a newer hello may differ in everything else.
        match value["protocol"].as_u64() {
            Some(protocol) if protocol > u64::from(PROTOCOL) => {
                return Err(CallError::NewerProtocol { protocol });
            }
            Some(1) => {}
            Some(_) | None => return Err(self.garbage(&line, "`protocol` must be 1")),
        }
        let hello: PluginHello = self.read(value, &line)?;
        if hello.kind != self.call.executable.kind {
            let (said, expected) = (self.excerpt(&hello.kind), self.call.executable.kind.clone());
            return Err(CallError::WrongKind { said, expected });
        }
        if hello.version.is_empty() || hello.version.len() > 64 {
            return Err(self.garbage(&line, "`version` must have 1 to 64 characters"));
        }
        Ok(hello)
    }

    /// Listens until there is a result.
    async fn answer(&mut self, hello: &PluginHello, silence: Duration) -> Result<Answer, CallError> {
        let mut asked_to_stop = false;
        let mut patience: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(std::future::pending());
        let (clock, cancel) = (self.call.clock.clone(), self.call.cancel);
        loop {
            let heard = tokio::select! {
                biased;
                () = cancel.cancelled(), if !asked_to_stop => {
                    if !hello.can("cancel") {
                        return Err(CallError::Cancelled);
                    }
                    asked_to_stop = true;
                    self.say(&ToPlugin::Cancel {})?;
                    let clock = clock.clone();
                    patience = Box::pin(async move { clock.sleep(CANCEL_LIMIT).await });
                    continue;
                }
                () = &mut patience => {
                    return Err(CallError::IgnoredCancel { seconds: CANCEL_LIMIT.as_secs() });
                }
                heard = self.talking.next() => heard,
                () = clock.sleep(silence) => {
                    return Err(CallError::Silent { seconds: silence.as_secs() });
                }
            };
            let Some(heard) = heard else { return Err(self.ended_early().await) };
            let line = line(heard)?;
            if let Some(answer) = self.take_in(self.read(self.object(&line)?, &line)?, &line).await? {
                return Ok(answer);
            }
        }
    }

    /// Passes a message on; gives the answer when it is the result.
    async fn take_in(&mut self, message: FromPlugin, line: &str) -> Result<Option<Answer>, CallError> {
        let listener = self.call.listener;
        match message {
            FromPlugin::Hello(_) => return Err(self.garbage(line, "hello was said already")),
            FromPlugin::Progress { bytes, total_bytes, note } => {
                listener.progress(Progress { bytes, total_bytes, note });
            }
            FromPlugin::Heartbeat {} => {}
            FromPlugin::Log { text } => {
                self.log_lines = self.log_lines.saturating_add(1);
                match self.log_lines.cmp(&(LOG_LINES + 1)) {
                    std::cmp::Ordering::Less => text.lines().for_each(|line| listener.log(line)),
                    std::cmp::Ordering::Equal => listener.log("more lines followed, which are left out"),
                    std::cmp::Ordering::Greater => {}
                }
            }
            FromPlugin::Warning { text } => listener.warn(&text),
            FromPlugin::Checkpoint { value } => {
                self.checkpoints += 1;
                if self.checkpoints > CHECKPOINTS {
                    return Err(CallError::TooManyCheckpoints { limit: CHECKPOINTS });
                }
                if value.to_string().len() > CHECKPOINT_BYTES {
                    return Err(CallError::LargeCheckpoint { limit: CHECKPOINT_BYTES });
                }
                listener.checkpoint(value).await.map_err(CallError::Checkpoint)?;
                self.say(&ToPlugin::CheckpointKept {})?;
            }
            FromPlugin::Result(answer) => {
                let given = answer.given();
                if given.len() != 1 {
                    return Err(CallError::OddResult { given: given.join(", "), line: self.excerpt(line) });
                }
                return Ok(Some(*answer));
            }
        }
        Ok(None)
    }

    /// After the result there must be nothing but the end. Tells whether children were left behind.
    async fn end(&mut self, answer: &Answer) -> Result<bool, CallError> {
        self.talking.close_input();
        let clock = self.call.clock.clone();
        let seconds = EXIT_LIMIT.as_secs();
        tokio::select! {
            biased;
            heard = self.talking.next() => match heard {
                Some(Heard::Line(line)) => return Err(self.after_result(&line)),
                Some(heard) => return Err(line(heard).err().unwrap_or(CallError::NotReading)),
                None => {}
            },
            () = clock.sleep(EXIT_LIMIT) => {
                // The group is gone when the process is: what holds the pipe has left the group.
                let gone = tokio::time::timeout(Duration::from_millis(1), self.talking.exited()).await.is_ok();
                return Err(if gone { CallError::OutputHeld } else { CallError::NoEnd { seconds } });
            }
        }
        tokio::select! {
            () = self.talking.exited() => {}
            () = clock.sleep(EXIT_LIMIT) => return Err(CallError::NoEnd { seconds }),
        }
        let Some(report) = self.talking.report() else {
            return Err(CallError::Lost { why: "its end could not be seen".to_owned() });
        };
        if report.left_children {
            self.call.listener.warn("the plugin left processes behind, which were ended");
        }
        // With an error as its result, the error is the news.
        if !report.success() && answer.error.is_none() {
            return Err(CallError::FailedAfterResult { how: report.describe() });
        }
        Ok(report.left_children)
    }

    /// Its output ended without a result: why?
    async fn ended_early(&mut self) -> CallError {
        let clock = self.call.clock.clone();
        tokio::select! {
            () = self.talking.exited() => {}
            () = clock.sleep(EXIT_LIMIT) => return CallError::ClosedOutput,
        }
        let how = self.talking.report().map_or("an unknown end".to_owned(), ExitReport::describe);
        CallError::EndedEarly { how, stderr: String::new() }
    }

    fn object(&self, line: &str) -> Result<Value, CallError> {
        match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => Ok(value),
            Ok(_) => Err(self.garbage(line, "not a JSON object")),
            Err(error) => Err(self.garbage(line, &error.to_string())),
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, value: Value, line: &str) -> Result<T, CallError> {
        serde_json::from_value(value).map_err(|error| self.garbage(line, &error.to_string()))
    }

    fn garbage(&self, line: &str, why: &str) -> CallError {
        CallError::Garbage { line: self.excerpt(line), why: why.to_owned() }
    }

    fn after_result(&self, line: &str) -> CallError {
        let is_result = self.object(line).is_ok_and(|value| value["type"] == "result");
        if is_result {
            CallError::TwoResults
        } else {
            CallError::SpokeAfterResult { line: self.excerpt(line) }
        }
    }

    /// Masked before it is cut: nobody recognises half a secret.
    fn excerpt(&self, text: &str) -> String {
        excerpt(&self.call.masker.mask(text))
    }

    fn say(&self, message: &ToPlugin) -> Result<(), CallError> {
        let line = serde_json::to_string(message)
            .map_err(|error| CallError::Unwritable { request: message.name(), why: error.to_string() })?;
        self.talking.say(&line)
    }
}

fn line(heard: Heard) -> Result<String, CallError> {
    match heard {
        Heard::Line(line) => Ok(line),
        Heard::TooLong => Err(CallError::LongLine { limit: LINE_BYTES }),
        Heard::NotUtf8 => Err(CallError::NotUtf8),
        Heard::Broken(why) => Err(CallError::Lost { why }),
    }
}
