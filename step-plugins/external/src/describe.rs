//! Finding out what a plugin is: receives an executable, asks it to describe itself, yields a checked description.

use std::sync::Arc;
use std::time::Duration;

use rekindle_engine::host::{Clock, Masker, Processes};
use rekindle_engine::step::{Effect, KindInfo};
use tokio_util::sync::CancellationToken;

use crate::call::{Call, CallError, Executable, Unheard};
use crate::intent::IntentText;
use crate::kind::wrong_answer;
use crate::protocol::{Answer, Description, Example, PluginHello, ToPlugin};
use crate::shape::Shape;

/// How long a plugin may take to describe itself, its start included.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(15);
/// How long the summary may be.
const SUMMARY_CHARACTERS: usize = 200;

/// Why a plugin can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// It can't be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It could not say.
    #[error("the plugin could not describe itself: {message}")]
    Refused {
        /// What it said.
        message: String,
        /// And what to do.
        help: Option<String>,
    },
    /// What it says can't be.
    #[error("the plugin's description is wrong: `{field}` {why}")]
    Wrong {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl DescribeError {
    /// Says what to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Call(error) => error.help(),
            Self::Refused { help, .. } => help.clone(),
            Self::Wrong { .. } => Some("docs/plugins.md says what a description holds".to_owned()),
        }
    }
}

/// A description that holds what it must.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) hello: PluginHello,
    pub(crate) summary: String,
    pub(crate) effect: Option<Effect>,
    pub(crate) params: Shape,
    pub(crate) outputs: Shape,
    pub(crate) intent: Option<IntentText>,
    pub(crate) provides: Vec<String>,
    pub(crate) examples: Vec<Example>,
}

impl Described {
    /// Checks a description.
    pub(crate) fn check(hello: PluginHello, description: Description) -> Result<Self, DescribeError> {
        let wrong = |field: &'static str| move |why: String| DescribeError::Wrong { field, why };
        let Description { summary, effect, params, outputs, intent, provides, examples } = description;
        if summary.trim().is_empty() || summary.contains('\n') || summary.chars().count() > SUMMARY_CHARACTERS
        {
            return Err(wrong("summary")(format!(
                "must be one line of 1 to {SUMMARY_CHARACTERS} characters"
            )));
        }
        if let Some(pointer) = provides.iter().find(|pointer| !pointer.starts_with('/')) {
            return Err(wrong("provides")(format!(
                "holds `{pointer}`, which is no JSON pointer: it begins with `/`"
            )));
        }
        Ok(Self {
            hello,
            summary,
            effect,
            params: Shape::new(&params).map_err(wrong("params"))?,
            outputs: Shape::new(&outputs).map_err(wrong("outputs"))?,
            intent: intent.map(|text| IntentText::parse(&text)).transpose().map_err(wrong("intent"))?,
            provides,
            examples,
        })
    }

    /// Gives what the compiler needs.
    pub(crate) fn info(&self, executable: &Executable) -> KindInfo {
        KindInfo {
            kind: executable.kind.clone(),
            summary: self.summary.clone(),
            version: self.hello.version.clone(),
            digest: Some(executable.digest.clone()),
            effect: self.effect.unwrap_or(Effect::Write),
            effect_is_declared: self.effect.is_none(),
            probes: self.hello.can("probe"),
            params: self.params.schema.clone(),
            outputs: self.outputs.schema.clone(),
        }
    }
}

/// Asks a plugin what it is.
pub(crate) async fn describe(
    executable: &Executable,
    processes: Arc<dyn Processes>,
    clock: Arc<dyn Clock>,
) -> Result<Described, DescribeError> {
    let call = Call {
        executable,
        processes,
        clock,
        masker: Masker::default(),
        listener: &Unheard,
        cancel: &CancellationToken::new(),
        limit: Some(DESCRIBE_LIMIT),
    };
    let reply = call.ask(&ToPlugin::Describe {}).await?;
    match reply.answer {
        Answer { description: Some(description), .. } => Described::check(reply.hello, description),
        Answer { error: Some(error), .. } => {
            Err(DescribeError::Refused { message: error.message, help: error.help })
        }
        other => Err(wrong_answer("describe", &other, "description").into()),
    }
}
