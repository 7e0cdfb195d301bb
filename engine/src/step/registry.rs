//! The step kinds a program knows: one explicit list per crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::Schema;

use super::{Effect, ErasedStep, Step, erased::Adapter};

/// What is known of a kind without running it.
#[derive(Debug, Clone)]
pub struct KindInfo {
    /// The name.
    pub kind: String,
    /// One sentence.
    pub summary: String,
    /// The version of what carries it out: of this program, or of an external kind's executable.
    pub version: String,
    /// sha256 (hex) of what carries it out, where that is a file of its own.
    pub digest: Option<String>,
    /// What it may do to the world.
    pub effect: Effect,
    /// Whether a runbook may declare another effect.
    pub effect_is_declared: bool,
    /// Whether it has a probe.
    pub probes: bool,
    /// JSON Schema of `with:`.
    pub params: Schema,
    /// JSON Schema of `steps.ID.outputs`.
    pub outputs: Schema,
}

/// Step kinds by name.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<String, Arc<dyn ErasedStep>>,
}

impl Registry {
    /// Adds a kind; a second one of the same name is a programming error and replaces the first.
    pub fn register<S: Step>(&mut self, step: S) {
        self.kinds.insert(S::KIND.to_owned(), Arc::new(Adapter::new(step)));
    }

    /// Adds an already erased kind.
    pub fn register_erased(&mut self, step: Arc<dyn ErasedStep>) {
        self.kinds.insert(step.info().kind.clone(), step);
    }

    /// Finds a kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn ErasedStep>> {
        self.kinds.get(kind)
    }

    /// Lists all kinds by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<dyn ErasedStep>> {
        self.kinds.values()
    }
}
