//! What a plan was made from: enough to make it again, and to tell what has changed since.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Plan, ReferencedFile};
use crate::document::Source;

/// What a plan was made from. Part of its hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// What was asked for; absent in plans of format 1, which can't be made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Inputs>,
    /// Every document that went in, weakest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<PlanSource>,
    /// Every step kind that it uses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, KindIdentity>,
    /// The files that values and steps name and that were there, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ReferencedFile>,
}

impl Origin {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What was asked for, in the words of whoever asked. Paths count from the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The runbook: a name or a path.
    pub runbook: String,
    /// The environment: a name or a path.
    pub environment: String,
    /// Every `--values` file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Every `--set`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
}

/// What a document is to a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceRole {
    /// The procedure.
    Runbook,
    /// The environment, or one that it extends.
    Environment,
    /// A values file.
    Values,
}

/// One document that went into a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanSource {
    /// What it is to the plan.
    pub role: SourceRole,
    /// Its path, as diagnostics show it.
    pub name: String,
    /// sha256 (hex) of its text.
    pub sha256: String,
}

impl PlanSource {
    /// Notes which text was read.
    pub fn of(role: SourceRole, source: &Source) -> Self {
        let sha256 = hex::encode(Sha256::digest(source.text.as_bytes()));
        Self { role, name: source.name.clone(), sha256 }
    }
}

/// Which version of a step kind a plan was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindIdentity {
    /// The version of what carries it out.
    pub version: String,
    /// sha256 (hex) of what carries it out, where that is a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Plan {
    /// Notes what was asked for and which files the plan refers to, and gives it the hash that covers them.
    pub fn set_origin(&mut self, inputs: Inputs, files: Vec<ReferencedFile>) {
        self.origin.inputs = Some(inputs);
        self.origin.files = files;
        self.hash = self.compute_hash();
    }
}
