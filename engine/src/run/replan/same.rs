//! Whether a step of a new plan is what an older plan had: by what it would be asked to do, not by how it is written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Proposal;
use crate::id::RunId;
use crate::plan::{Plan, PlanStep, ReferencedFile};
use crate::preview::{NameFormat, NameUsed, names_used};
use crate::run::RunState;
use crate::step::Registry;
use crate::template::{self, RunScope};

/// Two plans, and what a run under the older one has found out.
pub(super) struct Comparison<'a> {
    old: &'a Plan,
    new: &'a Plan,
    run: &'a RunId,
    state: &'a RunState,
    registry: &'a Registry,
    /// Targets, stores, files and kinds that are not what they were.
    targets: BTreeSet<&'a str>,
    stores: BTreeSet<&'a str>,
    files: BTreeSet<&'a str>,
    kinds: BTreeSet<&'a str>,
    same_names: bool,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(old: &'a Plan, proposal: &Proposal<'a>, state: &'a RunState) -> Self {
        let new = proposal.new;
        let (before, after) = (&old.settings, &new.settings);
        let targets = before.targets.keys().chain(after.targets.keys());
        let targets = targets.filter(|name| before.targets.get(*name) != after.targets.get(*name));
        let stores = before.stores.keys().chain(after.stores.keys());
        let stores = stores.filter(|name| before.stores.get(*name) != after.stores.get(*name));
        Self {
            old,
            new,
            run: proposal.run,
            state,
            registry: proposal.registry,
            files: files(old, new),
            kinds: kinds(old, new),
            targets: targets.map(|name| name.0.as_str()).collect(),
            stores: stores.map(|name| name.0.as_str()).collect(),
            same_names: old.values == new.values
                && old.groups == new.groups
                && template::context_of_environment(before) == template::context_of_environment(after)
                && outputs(old) == outputs(new),
        }
    }

    /// Says what makes a step another one; nothing when it is the same.
    pub(super) fn difference(&self, old: &PlanStep, new: &PlanStep) -> Option<String> {
        let fields = [
            ("uses", old.kind == new.kind),
            ("its section", old.section == new.section),
            ("effect", old.effect == new.effect),
            ("when", old.when == new.when && old.skipped == new.skipped),
            ("for_each", old.each == new.each && old.definition == new.definition),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, same)| !same) {
            return Some(format!("{field} changes"));
        }
        if self.kinds.contains(new.kind.as_str()) {
            return Some(format!("`{}` is of another version", new.kind));
        }
        let mut read = old.intent.reads.iter().chain(&new.intent.reads);
        if let Some(file) = read.find(|file| self.files.contains(file.as_str())) {
            return Some(format!("the file {file} changes"));
        }
        if self.old.settings.cluster() != self.new.settings.cluster() {
            return Some("the cluster's name changes".to_owned());
        }
        let (before, after) = (self.rendered(self.old, old), self.rendered(self.new, new));
        if !(self.same_names && old.params == new.params) {
            match (&before, &after) {
                (Some(before), Some(after)) if before.when != after.when => {
                    return Some("its condition changes".to_owned());
                }
                (Some(before), Some(after)) if before.params == after.params => {}
                (Some(before), Some(after)) => {
                    return Some(format!("with changes: {}", keys(&before.params, &after.params)));
                }
                // What can't be rendered has not run, or has run with something that is gone.
                (None, _) | (_, None) => return Some("with changes".to_owned()),
            }
        }
        self.elsewhere(new, after.map(|after| after.params).as_ref())
    }

    fn rendered(&self, plan: &Plan, step: &PlanStep) -> Option<Rendered> {
        let scope = RunScope {
            plan,
            step,
            outputs: self.state.outputs(),
            run: self.run,
            started_at: self.state.started_at().unwrap_or_default(),
            failure: None,
        };
        let context = template::run_context(&scope).ok()?;
        let groups_run = template::groups_run(&scope).ok()?;
        let when = match &step.when {
            Some(when) => Some(template::evaluate(when, &context).ok()?),
            None => None,
        };
        let params = template::render(&step.params, &context).ok()?;
        Some(Rendered { when: (groups_run, when), params })
    }

    /// Says whether it works on a target or store that is not what it was, under the same name.
    fn elsewhere(&self, step: &PlanStep, params: Option<&Value>) -> Option<String> {
        if self.targets.is_empty() && self.stores.is_empty() {
            return None;
        }
        let Some(params) = params else { return Some("targets or stores change".to_owned()) };
        let schema = self.registry.get(&step.kind).map(|kind| kind.info().params.as_value().clone());
        let names = names_used(&schema.unwrap_or_default(), params, &BTreeMap::new());
        let target = names.iter().find(|used| self.is_elsewhere(used)).map(|used| used.name.as_str());
        let what = target.or_else(|| self.store_in_uri(params))?;
        Some(format!("what the environment says of `{what}` changes"))
    }

    fn is_elsewhere(&self, used: &NameUsed) -> bool {
        match used.format {
            NameFormat::Target => self.targets.contains(used.name.as_str()),
            NameFormat::Store => self.stores.contains(used.name.as_str()),
            // Where a secret comes from does not matter to what a step has done.
            NameFormat::Secret => false,
        }
    }

    /// Finds a changed store in a URI such as `backup://primary/…`.
    fn store_in_uri<'v>(&self, params: &'v Value) -> Option<&'v str> {
        match params {
            Value::String(text) => {
                let store = text.split_once("://")?.1.split('/').next()?;
                self.stores.contains(store).then_some(store)
            }
            Value::Array(items) => items.iter().find_map(|item| self.store_in_uri(item)),
            Value::Object(entries) => entries.values().find_map(|item| self.store_in_uri(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }
}

/// A step with what is known after the run so far.
struct Rendered {
    /// Whether the groups around it run, and its own condition.
    when: (bool, Option<Value>),
    params: Value,
}

/// Gives the files whose contents differ. Plans of format 1 do not know theirs.
fn files<'a>(old: &'a Plan, new: &'a Plan) -> BTreeSet<&'a str> {
    if old.origin.inputs.is_none() || new.origin.inputs.is_none() {
        return BTreeSet::new();
    }
    let (before, after) = (&old.origin.files, &new.origin.files);
    let differs = |file: &&ReferencedFile| !(before.contains(file) && after.contains(file));
    before.iter().chain(after).filter(differs).map(|file| file.path.as_str()).collect()
}

/// Gives the kinds that another version carries out.
fn kinds<'a>(old: &'a Plan, new: &'a Plan) -> BTreeSet<&'a str> {
    let before = old.origin.kinds.iter();
    let differs = before.filter(|(kind, was)| new.origin.kinds.get(*kind).is_some_and(|is| is != *was));
    differs.map(|(kind, _)| kind.as_str()).collect()
}

fn outputs(plan: &Plan) -> Vec<Value> {
    plan.pinned.iter().map(|pinned| json!([pinned.id, pinned.outputs])).collect()
}

/// Names the parameters that differ.
fn keys(before: &Value, after: &Value) -> String {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return "all of it".to_owned();
    };
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ: Vec<_> = all.into_iter().filter(|key| before.get(*key) != after.get(*key)).collect();
    differ.into_iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
