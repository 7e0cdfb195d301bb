//! What a runbook says to `run`, and what later steps can refer to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};

/// The `with:` of `run`: exactly one of `command` and `script`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunParams {
    /// A program and its arguments, without a shell. A program without `/` is looked up on `PATH`; a relative
    /// path counts from `cwd`.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub command: Option<Vec<Word>>,
    /// A script for `sh -eu`. It takes values through `env` only: text of a template never reaches a shell.
    #[serde(default)]
    pub script: Option<String>,
    /// Variables to add to the short environment: `PATH`, `HOME`, `LANG`, `LC_*`, `TZ`, `TMPDIR`.
    #[serde(default)]
    pub env: BTreeMap<String, Word>,
    /// Where to run; rekindle's own working directory when absent.
    #[serde(default)]
    pub cwd: Option<String>,
}

/// One word of a command line or value of a variable: a text, or a number or boolean taken as its text, so
/// that `"{{ values.port }}"` fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(pub String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl de::Visitor<'_> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Word, E> {
        Ok(Word(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Word, E> {
        Ok(Word(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Word, E> {
        Ok(Word(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Word, E> {
        Ok(Word(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Word, E> {
        Ok(Word(value.to_string()))
    }
}

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// What `run` gives to later steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunOutputs {
    /// Always 0: anything else is a failure.
    pub exit_code: i32,
    /// The standard output, its first 64 KiB, less trailing newlines.
    pub stdout: String,
    /// Whether there was more than 64 KiB of it.
    pub stdout_truncated: bool,
    /// The last 4 KiB of the standard error, less trailing newlines.
    pub stderr: String,
}
