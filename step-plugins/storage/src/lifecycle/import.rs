//! A provider's lifecycle document in, the declaration out that says the same.

use rekindle_engine::environment::{Lifecycle, Provider};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{gcs, s3};

/// Larger ones are no lifecycle documents: S3 takes 1,000 rules, Google 100.
const MAX_BYTES: usize = 1 << 20;

const CAN_SAY: &str = "a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, \
                       where `store.lifecycle` leaves them alone";

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What it says.
    pub lifecycle: Lifecycle,
    /// Whose form it has.
    pub provider: Provider,
    /// Whether it had comments, which JSON has not.
    pub had_comments: bool,
}

/// Why a document can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ImportError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl ImportError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    pub(super) fn rule(named: &str, why: &str) -> Self {
        Self::new(format!("rule {named} can't be declared: {why}"), CAN_SAY)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct S3Document {
    #[serde(rename = "Rules")]
    rules: Vec<s3::Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GcsDocument {
    rule: Vec<gcs::Rule>,
}

/// Reads the document that `aws s3api put-bucket-lifecycle-configuration`, `gsutil lifecycle set` or
/// `gcloud storage buckets update --lifecycle-file` takes. Comments from `//` to the end of a line are passed over.
///
/// # Errors
/// When it is no such document, or says what a declaration can't.
pub fn import(text: &str) -> Result<Imported, ImportError> {
    if text.len() > MAX_BYTES {
        return Err(ImportError::new("it is larger than 1 MiB", "name a lifecycle document"));
    }
    let plain = without_comments(text);
    let had_comments = plain != text;
    let document: Value = serde_json::from_str(&plain)
        .map_err(|error| ImportError::new(format!("it is no JSON: {error}"), "correct it there"))?;
    let inner = document.get("lifecycle").unwrap_or(&document);
    let (lifecycle, provider) = if inner.get("Rules").is_some() {
        (s3::import(typed::<S3Document>(inner)?.rules)?, Provider::S3)
    } else if inner.get("rule").is_some() {
        (gcs::import(typed::<GcsDocument>(inner)?.rule)?, Provider::Gcs)
    } else {
        let help = "S3's has `Rules`, Google's has `rule`; print the bucket's with \
                    `aws s3api get-bucket-lifecycle-configuration` or `gsutil lifecycle get`";
        return Err(ImportError::new("it is no lifecycle document", help));
    };
    match lifecycle.mistakes(provider).into_iter().next() {
        Some(mistake) => Err(ImportError::new(mistake.message, mistake.help)),
        None => Ok(Imported { lifecycle, provider, had_comments }),
    }
}

fn typed<T: DeserializeOwned>(document: &Value) -> Result<T, ImportError> {
    T::deserialize(document)
        .map_err(|error| ImportError::new(format!("it says what can't be declared: {error}"), CAN_SAY))
}

/// Blots comments out with spaces, so that lines and columns stay right.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut in_text, mut in_comment, mut escaped) = (false, false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\n' {
            in_comment = false;
        } else if !in_text && !in_comment && c == '/' && rest.peek() == Some(&'/') {
            in_comment = true;
        } else if !in_comment && c == '"' && !escaped {
            in_text = !in_text;
        }
        escaped = in_text && c == '\\' && !escaped;
        plain.push(if in_comment { ' ' } else { c });
    }
    plain
}

impl Imported {
    /// Writes the declaration as it stands in an environment, below a store.
    pub fn to_yaml(&self) -> String {
        // A JSON string is a YAML string.
        let quoted = |text: &str| Value::from(text).to_string();
        let Lifecycle { id, prefix, transitions, expire, expire_noncurrent } = &self.lifecycle;
        let mut lines = vec!["lifecycle:".to_owned()];
        lines.extend(id.as_ref().map(|id| format!("  id: {}", quoted(id))));
        lines.extend(prefix.as_ref().map(|prefix| format!("  prefix: {}", quoted(prefix))));
        if !transitions.is_empty() {
            lines.push("  transitions:".to_owned());
            lines.extend(
                transitions.iter().map(|to| format!("    - {{ after: {}, class: {} }}", to.after, to.class)),
            );
        }
        lines.extend(expire.map(|age| format!("  expire: {age}")));
        lines.extend(expire_noncurrent.map(|age| format!("  expire_noncurrent: {age}")));
        lines.join("\n") + "\n"
    }
}
