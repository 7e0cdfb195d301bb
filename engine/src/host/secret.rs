//! Secrets: read late, shown never.

use std::fmt;
use std::sync::{Arc, RwLock};

use crate::id::SecretName;

/// A secret text. It has no `Serialize`, and its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Gives the text. Every call is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Why a secret can't be had. Never holds its value.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to read the secret `{name}` from {from}: {why}")]
pub struct SecretError {
    /// Which.
    pub name: SecretName,
    /// Where it was looked for: `the environment variable X`, `the file Y`.
    pub from: String,
    /// Why not.
    pub why: String,
}

/// Reads secrets. Every value given out is known to the [`Masker`] before it is returned.
pub trait Secrets: Send + Sync {
    /// Reads one by the source the environment declares. May block.
    fn read(
        &self,
        name: &SecretName,
        source: &crate::environment::SecretSource,
    ) -> Result<Secret, SecretError>;
}

/// Replaces every secret value it has seen by `***`, also in URL-, JSON- and base64-encoded form.
#[derive(Clone, Default)]
pub struct Masker {
    forms: Arc<RwLock<Vec<String>>>,
}

impl Masker {
    /// Remembers a secret. Empty ones are ignored.
    pub fn learn(&self, secret: &Secret) {
        let mut forms = self.forms.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for form in encoded_forms(secret.expose()) {
            if !form.is_empty() && !forms.contains(&form) {
                forms.push(form);
            }
        }
        // Longest first: a secret that contains another one is hidden whole.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// Gives the text with every known secret hidden.
    pub fn mask(&self, text: &str) -> String {
        let forms = self.forms.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut masked = text.to_owned();
        for form in forms.iter() {
            if masked.contains(form.as_str()) {
                masked = masked.replace(form.as_str(), "***");
            }
        }
        masked
    }

    /// Gives the value with every known secret hidden in its strings and keys.
    pub fn mask_json(&self, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.mask(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Value::Object(entries) => Value::Object(
                entries.into_iter().map(|(key, value)| (self.mask(&key), self.mask_json(value))).collect(),
            ),
            other => other,
        }
    }
}

fn encoded_forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    vec![
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        percent_encode(secret),
        base64(secret.as_bytes()),
        // As it stands inside a MySQL string literal and option file.
        secret.replace('\\', "\\\\").replace('\'', "\\'"),
        secret.replace('\\', "\\\\").replace('"', "\\\""),
        secret.replace('\'', "''"),
    ]
}

/// RFC 3986 section 2.1: everything but unreserved characters.
fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for position in 0..4 {
            if position <= group.len() {
                let index = (bits >> (18 - 6 * position)) & 0x3f;
                encoded.push(char::from(ALPHABET[index as usize]));
            } else {
                encoded.push('=');
            }
        }
    }
    encoded
}
