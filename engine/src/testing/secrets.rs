//! Secrets from a map.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::locked;
use crate::environment::SecretSource;
use crate::host::{Masker, Secret, SecretError, Secrets};
use crate::id::SecretName;

/// Secrets by name, whatever source the environment declares; the rest is missing.
#[derive(Default)]
pub struct FakeSecrets {
    masker: Masker,
    values: Mutex<BTreeMap<SecretName, Secret>>,
    reads: Mutex<Vec<SecretName>>,
}

impl FakeSecrets {
    /// Makes an empty map that tells `masker` every value before it gives it out.
    pub fn new(masker: Masker) -> Self {
        Self { masker, ..Self::default() }
    }

    /// Adds or replaces a secret.
    pub fn set(&self, name: &str, value: &str) {
        locked(&self.values).insert(name.into(), Secret::new(value));
    }

    /// Gives the names that were asked for, oldest first.
    pub fn reads(&self) -> Vec<SecretName> {
        locked(&self.reads).clone()
    }
}

impl Secrets for FakeSecrets {
    fn read(&self, name: &SecretName, source: &SecretSource) -> Result<Secret, SecretError> {
        locked(&self.reads).push(name.clone());
        let Some(secret) = locked(&self.values).get(name).cloned() else {
            let from = match (&source.env, &source.file) {
                (Some(variable), _) => format!("the environment variable {variable}"),
                (None, Some(file)) => format!("the file {file}"),
                (None, None) => "its command".to_owned(),
            };
            return Err(SecretError { name: name.clone(), from, why: "it is not there".to_owned() });
        };
        self.masker.learn(&secret);
        Ok(secret)
    }
}
