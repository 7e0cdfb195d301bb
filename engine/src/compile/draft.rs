//! Steps with their templates parsed: what the checks and the rendering work on.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::composite::Composite;
use crate::document::{Location, Node, NodeValue};
use crate::plan::Section;
use crate::runbook::{Doubtful, Phase, Runbook, StepDefinition};
use crate::step::{ErasedStep, Registry};
use crate::template::Template;

use super::report::Report;
use super::spans;

/// A value of the document with its templates parsed.
pub(super) struct Tree<'a> {
    pub(super) node: &'a Node,
    pub(super) value: TreeValue<'a>,
}

pub(super) enum TreeValue<'a> {
    /// A scalar without template.
    Value(Value),
    Template(Leaf<'a>),
    List(Vec<Tree<'a>>),
    /// In the order of the node's entries.
    Map(Vec<(&'a str, Tree<'a>)>),
}

/// A template and where it stands.
pub(super) struct Leaf<'a> {
    pub(super) template: Template,
    pub(super) node: &'a Node,
    /// Where the template begins in the node's text: behind the braces for `when: "{{ … }}"`.
    pub(super) offset: usize,
}

impl Leaf<'_> {
    pub(super) fn references(&self, place: Place) -> impl Iterator<Item = Use> + '_ {
        self.template.analysis().references.iter().map(move |reference| Use {
            path: reference.path.clone(),
            at: spans::locate(
                self.node,
                reference.range.start + self.offset..reference.range.end + self.offset,
            ),
            guarded: reference.guarded,
            place,
        })
    }
}

/// Where a reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    With,
    When,
    ForEach,
    Group,
}

/// One reference of a step.
pub(super) struct Use {
    pub(super) path: Vec<String>,
    pub(super) at: Location,
    pub(super) guarded: bool,
    pub(super) place: Place,
}

pub(super) enum Condition<'a> {
    Constant(bool),
    Expression(Leaf<'a>),
}

/// A step on its way into the plan.
pub(super) struct Draft<'a> {
    pub(super) definition: &'a StepDefinition,
    pub(super) section: Section,
    /// None when it is unknown.
    pub(super) kind: Option<&'a Arc<dyn ErasedStep>>,
    /// The steps behind its kind, when that is a composite.
    pub(super) composite: Option<&'a Composite>,
    pub(super) params: Tree<'a>,
    pub(super) when: Option<Condition<'a>>,
    pub(super) for_each: Option<Tree<'a>>,
    pub(super) uses: Vec<Use>,
    /// Something is wrong with its templates or references: rendering it would only repeat that.
    pub(super) broken: bool,
    /// How often it runs could not be read, or another step has its id.
    pub(super) doubtful: bool,
}

impl Draft<'_> {
    pub(super) fn id(&self) -> &str {
        &self.definition.id.value
    }

    /// Tells whether its result is fixed in the plan.
    pub(super) fn runs_while_planning(&self) -> bool {
        self.definition.phase == Phase::Plan && !self.is_disabled()
    }

    /// Tells whether a patch of the environment takes it out.
    pub(super) fn is_disabled(&self) -> bool {
        self.definition.disabled.is_some()
    }
}

/// The steps of a runbook or a composite, of all sections, in the order they are written.
pub(super) struct Drafts<'a> {
    pub(super) all: Vec<Draft<'a>>,
    pub(super) doubtful: &'a Doubtful,
    by_name: HashMap<String, usize>,
}

impl<'a> Drafts<'a> {
    pub(super) fn read(
        sections: &[(Section, &'a [StepDefinition])],
        registry: &'a Registry,
        doubtful: &'a Doubtful,
        report: &mut Report,
    ) -> Self {
        let mut all = Vec::new();
        for (section, definitions) in sections {
            for definition in *definitions {
                all.push(read(definition, *section, registry, doubtful, report));
            }
        }
        let names = all.iter().enumerate().map(|(position, draft)| (template_name(draft.id()), position));
        let by_name = names.filter(|(name, _)| !doubtful.steps.contains(name)).collect();
        Self { all, doubtful, by_name }
    }

    /// Says whether there is such a step, of which nothing can be told.
    pub(super) fn is_doubtful(&self, name: &str) -> bool {
        self.doubtful.steps.contains(&template_name(name))
    }

    /// Finds a step whose result only the run will tell, by either spelling of its id.
    pub(super) fn find_later(&self, name: &str) -> Option<&Draft<'a>> {
        let step = &self.all[self.find(name)?];
        (step.definition.phase != Phase::Plan).then_some(step)
    }

    /// Finds a step by either spelling of its id.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(&template_name(name)).copied()
    }
}

/// Gives the name a step has in templates, where `-` is minus.
pub(super) fn template_name(id: &str) -> String {
    id.replace('-', "_")
}

/// Parses the templates of one step.
pub(super) fn read<'a>(
    definition: &'a StepDefinition,
    section: Section,
    registry: &'a Registry,
    doubtful: &Doubtful,
    report: &mut Report,
) -> Draft<'a> {
    let mut reader = Reader { report, broken: false };
    let params = reader.tree(&definition.with);
    let when = definition.when.as_ref().and_then(|node| reader.condition(node));
    let for_each = definition.for_each.as_ref().map(|node| reader.tree(node));
    let broken = reader.broken;
    let mut uses = Vec::new();
    // What a disabled step would refer to is never looked up.
    if definition.disabled.is_none() {
        collect(&params, Place::With, &mut uses);
        if let Some(Condition::Expression(leaf)) = &when {
            uses.extend(leaf.references(Place::When));
        }
        if let Some(tree) = &for_each {
            collect(tree, Place::ForEach, &mut uses);
        }
    }
    let kind = registry.get(&definition.uses.value);
    let composite = registry.composite(&definition.uses.value).map(AsRef::as_ref);
    let doubtful = doubtful.steps.contains(&template_name(&definition.id.value));
    Draft { definition, section, kind, composite, params, when, for_each, uses, broken, doubtful }
}

/// Parses the template of `concurrency.group`.
pub(super) fn group<'a>(runbook: &'a Runbook, report: &mut Report) -> Option<Tree<'a>> {
    let mut reader = Reader { report, broken: false };
    let tree = reader.tree(&runbook.concurrency.as_ref()?.group);
    (!reader.broken).then_some(tree)
}

pub(super) fn collect(tree: &Tree<'_>, place: Place, uses: &mut Vec<Use>) {
    match &tree.value {
        TreeValue::Value(_) => {}
        TreeValue::Template(leaf) => uses.extend(leaf.references(place)),
        TreeValue::List(items) => items.iter().for_each(|item| collect(item, place, uses)),
        TreeValue::Map(entries) => entries.iter().for_each(|(_, item)| collect(item, place, uses)),
    }
}

struct Reader<'r> {
    report: &'r mut Report,
    broken: bool,
}

impl Reader<'_> {
    fn tree<'a>(&mut self, node: &'a Node) -> Tree<'a> {
        let value = match &node.value {
            NodeValue::List(items) => TreeValue::List(items.iter().map(|item| self.tree(item)).collect()),
            NodeValue::Map(entries) => TreeValue::Map(
                entries.iter().map(|entry| (entry.key.as_str(), self.tree(&entry.value))).collect(),
            ),
            NodeValue::String { text, raw: false, .. } => match Template::parse(text) {
                Ok(template) if template.analysis().is_template() => {
                    TreeValue::Template(Leaf { template, node, offset: 0 })
                }
                Ok(_) => TreeValue::Value(node.to_json()),
                Err(error) => {
                    self.broken = true;
                    self.report.template("rekindle::template::invalid", error, node, 0);
                    TreeValue::Value(Value::Null)
                }
            },
            NodeValue::String { raw: true, .. }
            | NodeValue::Null
            | NodeValue::Bool(_)
            | NodeValue::Integer(_)
            | NodeValue::Float(_) => TreeValue::Value(node.to_json()),
        };
        Tree { node, value }
    }

    fn condition<'a>(&mut self, node: &'a Node) -> Option<Condition<'a>> {
        let text = match &node.value {
            NodeValue::Bool(truth) => return Some(Condition::Constant(*truth)),
            NodeValue::String { text, .. } => text,
            _ => {
                self.broken = true;
                self.report.add(
                    crate::diagnostic::Diagnostic::new(
                        "rekindle::runbook::condition",
                        format!("`when` is {}, not a condition", node.kind()),
                    )
                    .label(&node.location, "expected an expression")
                    .help("write an expression such as `values.replicas | length > 0`, or true or false"),
                );
                return None;
            }
        };
        let (expression, offset) = match Template::parse(text) {
            Ok(whole) => match whole.expression() {
                Some(inner) => (inner.to_owned(), text.find(inner).unwrap_or_default()),
                None => (text.clone(), 0),
            },
            // Not braces: `{{` may stand in a map literal of the expression.
            Err(_) => (text.clone(), 0),
        };
        match Template::parse_expression(&expression) {
            Ok(template) => Some(Condition::Expression(Leaf { template, node, offset })),
            Err(error) => {
                self.broken = true;
                self.report.template("rekindle::template::invalid", error, node, offset);
                None
            }
        }
    }
}
