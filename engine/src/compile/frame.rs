//! Where a list of steps is put into the plan: at the top, or in one group.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::id::StepId;
use crate::plan::{Edge, Section};

use super::draft::Drafts;

/// One use of a list of steps.
pub(super) struct Frame {
    /// The group; none at the top.
    pub(super) group: Option<StepId>,
    /// The section of the step that uses it; at the top each step has its own.
    pub(super) section: Option<Section>,
    /// What the steps wait for that wait for nothing in the group.
    pub(super) entry: Vec<Edge>,
    /// `values`, with words in the places of those that are not known.
    pub(super) values: Value,
    /// The JSON pointers of those, with the words.
    pub(super) unknown: BTreeMap<String, String>,
    /// The values that only the run will tell.
    pub(super) in_run: HashSet<String>,
    /// It stands for groups whose number is not known yet: nothing in it can be looked up.
    pub(super) placeholder: bool,
}

/// What only the run will tell.
pub(super) enum Late<'d> {
    /// A step.
    Step(&'d str),
    /// A value of the group.
    Value(String),
    /// The run itself, or its failure.
    Run,
}

impl Frame {
    /// Makes the frame of a runbook, of which some values may be wrong.
    pub(super) fn top(values: Value, unknown: BTreeMap<String, String>) -> Self {
        Self {
            group: None,
            section: None,
            entry: Vec::new(),
            values,
            unknown,
            in_run: HashSet::new(),
            placeholder: false,
        }
    }

    /// Gives the id in the plan of a step of this list.
    pub(super) fn id(&self, local: &str) -> String {
        match &self.group {
            None => local.to_owned(),
            Some(group) => format!("{group}/{local}"),
        }
    }

    /// Says what keeps a reference from being known while planning, if something does.
    pub(super) fn known_in_run_only<'d>(&self, path: &[String], drafts: &'d Drafts<'_>) -> Option<Late<'d>> {
        let (root, name) = (path.first()?, path.get(1)?);
        match root.as_str() {
            "steps" => drafts.find_later(name).map(|step| Late::Step(step.id())),
            "values" => self.in_run.contains(name).then(|| Late::Value(name.clone())),
            "run" | "failure" => Some(Late::Run),
            _ => None,
        }
    }
}
