//! The document of an environment as a whole.

use indexmap::IndexMap;

use super::{
    CODES, Environment, EnvironmentSource, NOT_SUPPORTED, Objectives, Settings, concealed, journal,
    lifecycle, policy, schedules, secrets, stores, targets,
};
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Fields, Location, Node, NodeValue, Reader, lay_over};
use crate::runbook::patch::{self, Patch};
use crate::runbook::{Kind, read_header};
use crate::values::{DurationText, refuse_templates};

/// What a layer says about itself: never inherited.
const OWN: [&str; 4] = ["apiVersion", "kind", "name", "extends"];

/// Reads an environment out of its layers, what it extends first.
///
/// Maps merge, lists replace, `null` deletes what lower layers say. `name` is that of the last.
///
/// # Errors
///
/// Every mistake in them, in the order of their texts; and what this version does not support yet.
pub fn read(layers: &[Node]) -> Result<Environment, Vec<Diagnostic>> {
    let mut reader = Reader::new(&CODES);
    for layer in layers {
        concealed::sweep(&mut reader, layer);
    }
    let environment = read_into(&mut reader, layers.to_vec());
    reader.finish(environment)
}

/// Reads an environment out of layers that are swept already.
pub(super) fn read_into(reader: &mut Reader, layers: Vec<Node>) -> Option<Environment> {
    let mut sound = true;
    for layer in &layers {
        let mut fields = reader.fields(layer, "an environment")?;
        sound &= read_header(reader, &mut fields, Kind::Environment).is_some();
    }
    if !sound {
        return None;
    }
    let mut merged: Option<Node> = None;
    let mut values = Vec::new();
    for layer in &layers {
        values.extend(layer.get("values").and_then(|node| read_values(reader, node)));
        merged = Some(lay_layer(reader, merged.as_ref(), layer));
    }
    let mut environment = read_document(reader, &merged?)?;
    environment.values = values;
    environment.sources = layers.iter().map(|layer| EnvironmentSource::of(&layer.location.source)).collect();
    environment.layers = layers;
    Some(environment)
}

/// Lays a layer over those below it. Its own fields come first: what is missing is missing from its file.
fn lay_layer(reader: &mut Reader, below: Option<&Node>, layer: &Node) -> Node {
    let own = |entry: &&Entry| OWN.contains(&entry.key.as_str());
    let entries = layer.entries().unwrap_or_default();
    // Values are laid over the runbook's defaults, one layer after the other: `null` means something there.
    let laid = |node: &Node| -> Vec<Entry> {
        let entries = node.entries().unwrap_or_default().iter();
        entries.filter(|entry| !own(entry) && entry.key != "values").cloned().collect()
    };
    let mut orphans = Vec::new();
    let lower = below.map(laid).unwrap_or_default();
    let mut merged: Vec<Entry> = entries.iter().filter(own).cloned().collect();
    merged.extend(lay_over(&lower, &laid(layer), "", &mut orphans));
    for orphan in orphans {
        reader.report(
            Diagnostic::new(
                "rekindle::environment::nothing_to_delete",
                format!("`{}` is null, and no environment below sets it", orphan.path),
            )
            .label(&orphan.at, "deletes nothing")
            .help("remove the line, or write a value"),
        );
    }
    Node { value: NodeValue::Map(merged), location: layer.location.clone() }
}

fn read_document(reader: &mut Reader, node: &Node) -> Option<Environment> {
    let mut fields = reader.fields(node, "an environment")?;
    for known in OWN.into_iter().chain(["values"]) {
        fields.take(known);
    }
    let name = reader.require(&mut fields, "name").and_then(|node| read_name(reader, node, "an environment"));
    let cluster = fields.take("cluster").and_then(|node| read_name(reader, node, "a cluster"));
    let mut locations = IndexMap::new();
    // Secrets first: targets and stores refer to them.
    let secrets_node = fields.take("secrets");
    let secrets = read_named(reader, secrets_node, "secrets", &mut locations, secrets::read);
    let secret_names = keys(secrets_node);
    let targets = read_named(reader, fields.take("targets"), "targets", &mut locations, |reader, entry| {
        targets::read(reader, entry, &secret_names)
    });
    let stores_node = fields.take("stores");
    let stores = read_named(reader, stores_node, "stores", &mut locations, |reader, entry| {
        stores::read(reader, entry, &secret_names)
    });
    let journal = fields.take("journal").and_then(|node| journal::read(reader, node, &keys(stores_node)));
    let objectives = fields.take("objectives").and_then(|node| read_objectives(reader, node));
    if let (Some(node), Some(objectives)) = (stores_node, &objectives) {
        lifecycle::hold_against(reader, node, &stores, objectives);
    }
    if let (Some(node), Some(journal)) = (stores_node, &journal) {
        lifecycle::spare_journals(reader, node, &stores, journal);
    }
    let policy = fields.take("policy").and_then(|node| policy::read(reader, node)).unwrap_or_default();
    let schedules =
        read_named(reader, fields.take("schedules"), "schedules", &mut locations, schedules::read);
    let patches = fields.take("patches").map(|node| read_patches(reader, node)).unwrap_or_default();
    reader.close(&fields);
    let settings = Settings {
        name: name?,
        cluster,
        targets: targets.into_iter().map(|(name, target)| (name.into(), target)).collect(),
        stores: stores.into_iter().map(|(name, store)| (name.into(), store)).collect(),
        secrets: secrets.into_iter().map(|(name, secret)| (name.into(), secret)).collect(),
        journal,
        objectives,
        policy,
        schedules: schedules.into_iter().collect(),
    };
    Some(Environment {
        settings,
        values: Vec::new(),
        patches,
        locations,
        sources: Vec::new(),
        layers: Vec::new(),
    })
}

/// Gives what is declared in a map, be it right or not.
fn keys(node: Option<&Node>) -> Vec<&str> {
    node.and_then(Node::entries).unwrap_or_default().iter().map(|entry| entry.key.as_str()).collect()
}

fn read_patches(reader: &mut Reader, node: &Node) -> IndexMap<String, Vec<Patch>> {
    let Some(entries) = node.entries() else {
        let _: Option<()> = reader.wrong_type(node, "`patches`", "a map");
        return IndexMap::new();
    };
    entries
        .iter()
        .map(|entry| {
            let what = format!("the patches of `{}`", entry.key);
            let items = reader.items(&entry.value, &what).unwrap_or_default();
            (entry.key.clone(), items.iter().filter_map(|item| patch::read(reader, item)).collect())
        })
        .collect()
}

fn read_name(reader: &mut Reader, node: &Node, what: &str) -> Option<String> {
    let name = reader.text(node, &format!("the name of {what}"))?;
    reader.check_name(name, &node.location, what).then(|| name.to_owned())
}

/// Reads a map of named things and notes where each stands, by `section.name`.
fn read_named<T>(
    reader: &mut Reader,
    node: Option<&Node>,
    section: &str,
    locations: &mut IndexMap<String, Location>,
    mut read: impl FnMut(&mut Reader, &Entry) -> Option<T>,
) -> Vec<(String, T)> {
    let Some(node) = node else { return Vec::new() };
    let Some(entries) = node.entries() else {
        let _: Option<()> = reader.wrong_type(node, &format!("`{section}`"), "a map");
        return Vec::new();
    };
    let mut named = Vec::new();
    for entry in entries {
        let at = entry.key_location();
        let name_fits = reader.check_name(&entry.key, &at, &format!("one of `{section}`"));
        locations.insert(format!("{section}.{}", entry.key), at);
        if let Some(thing) = read(reader, entry)
            && name_fits
        {
            named.push((entry.key.clone(), thing));
        }
    }
    named
}

fn read_objectives(reader: &mut Reader, node: &Node) -> Option<Objectives> {
    let mut fields = reader.fields(node, "`objectives`")?;
    let rto = fields.take("rto").and_then(|node| reader.duration(node, "`rto`")).map(DurationText);
    let rpo = fields.take("rpo").and_then(|node| reader.duration(node, "`rpo`")).map(DurationText);
    let window = fields.take("recovery_window");
    let recovery_window =
        window.and_then(|node| reader.duration(node, "`recovery_window`")).map(DurationText);
    reader.close(&fields);
    Some(Objectives { rto, rpo, recovery_window })
}

fn read_values(reader: &mut Reader, node: &Node) -> Option<Node> {
    let Some(entries) = node.entries() else {
        return reader.wrong_type(node, "`values`", "a map");
    };
    for entry in entries {
        for error in refuse_templates(&entry.value, &format!("`{}`", entry.key)) {
            reader.report(error);
        }
    }
    Some(node.clone())
}

/// Refuses a field that the format has and this version does not do.
pub(super) fn refuse(reader: &mut Reader, fields: &mut Fields<'_>, field: &'static str) {
    if let Some(entry) = fields.take_entry(field) {
        reader.report(
            Diagnostic::new(NOT_SUPPORTED, format!("`{field}` is not supported by this version yet"))
                .label(&entry.key_location(), "would be ignored")
                .help("remove it: nothing in an environment is ever left out silently"),
        );
    }
}
