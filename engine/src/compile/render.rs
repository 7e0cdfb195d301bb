//! Parsed values → parameters: rendered where that is possible, shown where it is not.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use crate::plan::Param;
use crate::template::{Context, Partial, Unknowns};

use super::draft::{Leaf, Tree, TreeValue};
use super::report::Report;

/// A value as far as it is known.
pub(super) struct Rendered {
    /// For the plan.
    pub(super) param: Param,
    /// For people: unknowns are replaced by what stands for them.
    pub(super) display: Value,
    /// JSON pointers (RFC 6901) of what is unknown, with what stands for it.
    pub(super) unknown: BTreeMap<String, String>,
}

/// Renders a tree. Gives nothing when a template in it can't be rendered; every such template is reported.
pub(super) fn render(
    tree: &Tree<'_>,
    context: &Context,
    unknown: &Unknowns,
    report: &mut Report,
) -> Option<Rendered> {
    let mut walk = Walk { context, unknown, report, found: BTreeMap::new(), pointer: String::new() };
    let (param, display) = walk.tree(tree)?;
    Some(Rendered { param, display, unknown: walk.found })
}

struct Walk<'w> {
    context: &'w Context,
    unknown: &'w Unknowns,
    report: &'w mut Report,
    found: BTreeMap<String, String>,
    pointer: String,
}

impl Walk<'_> {
    fn tree(&mut self, tree: &Tree<'_>) -> Option<(Param, Value)> {
        match &tree.value {
            TreeValue::Value(value) => Some((Param::Value(value.clone()), value.clone())),
            TreeValue::Template(leaf) => self.leaf(leaf),
            TreeValue::List(items) => {
                let inner =
                    items.iter().enumerate().map(|(index, item)| self.inside(&index.to_string(), item));
                // Collected before looking, so that every mistake is reported.
                let inner: Vec<Option<(Param, Value)>> = inner.collect();
                let (params, display): (Vec<Param>, Vec<Value>) =
                    inner.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
                let display = Value::Array(display);
                Some((all_known(&params, &display).unwrap_or(Param::List(params)), display))
            }
            TreeValue::Map(entries) => {
                let inner: Vec<Option<(Param, Value)>> = entries
                    .iter()
                    .map(|(key, item)| self.inside(&key.replace('~', "~0").replace('/', "~1"), item))
                    .collect();
                let (params, display): (Vec<Param>, Vec<Value>) =
                    inner.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
                let keys = || entries.iter().map(|(key, _)| (*key).to_owned());
                let display = Value::Object(keys().zip(display).collect());
                let known = all_known(&params, &display);
                let map = || Param::Map(keys().zip(params).collect::<IndexMap<_, _>>());
                Some((known.unwrap_or_else(map), display))
            }
        }
    }

    fn inside(&mut self, part: &str, tree: &Tree<'_>) -> Option<(Param, Value)> {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(part);
        let rendered = self.tree(tree);
        self.pointer.truncate(length);
        rendered
    }

    fn leaf(&mut self, leaf: &Leaf<'_>) -> Option<(Param, Value)> {
        match leaf.template.render_partly(self.context, self.unknown) {
            Ok(Partial::Known(value)) => Some((Param::Value(value.clone()), value)),
            Ok(Partial::Unknown { display }) => {
                self.found.insert(self.pointer.clone(), display.clone());
                Some((Param::Template(leaf.template.text().to_owned()), Value::String(display)))
            }
            Err(error) => {
                self.report.template("rekindle::template::render", error, leaf.node, leaf.offset);
                None
            }
        }
    }
}

fn all_known(params: &[Param], display: &Value) -> Option<Param> {
    params.iter().all(|param| matches!(param, Param::Value(_))).then(|| Param::Value(display.clone()))
}
