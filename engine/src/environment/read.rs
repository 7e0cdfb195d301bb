//! The document of an environment as a whole.

use indexmap::IndexMap;

use super::{
    CODES, Environment, EnvironmentSource, NOT_SUPPORTED, Objectives, Settings, policy, secrets, stores,
    targets,
};
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Fields, Location, Node, Reader};
use crate::runbook::{Kind, read_header};
use crate::values::{DurationText, refuse_templates};

/// Reads an environment out of a document.
///
/// # Errors
///
/// Every mistake in it, in the order of the text; and what this version does not support yet.
pub fn read(node: &Node) -> Result<Environment, Vec<Diagnostic>> {
    let mut reader = Reader::new(&CODES);
    let environment = read_document(&mut reader, node);
    reader.finish(environment)
}

fn read_document(reader: &mut Reader, node: &Node) -> Option<Environment> {
    let mut fields = reader.fields(node, "an environment")?;
    read_header(reader, &mut fields, Kind::Environment)?;
    let name = reader.require(&mut fields, "name").and_then(|node| read_name(reader, node, "an environment"));
    let cluster = fields.take("cluster").and_then(|node| read_name(reader, node, "a cluster"));
    let mut locations = IndexMap::new();
    // Secrets first: targets refer to them.
    let secrets_node = fields.take("secrets");
    let secrets = read_named(reader, secrets_node, "secrets", &mut locations, secrets::read);
    let secret_names: Vec<&str> = secrets_node
        .and_then(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.key.as_str())
        .collect();
    let targets = read_named(reader, fields.take("targets"), "targets", &mut locations, |reader, entry| {
        targets::read(reader, entry, &secret_names)
    });
    let stores = read_named(reader, fields.take("stores"), "stores", &mut locations, stores::read);
    let objectives = fields.take("objectives").and_then(|node| read_objectives(reader, node));
    let values = fields.take("values").and_then(|node| read_values(reader, node));
    let policy = fields.take("policy").and_then(|node| policy::read(reader, node)).unwrap_or_default();
    for field in ["extends", "schedules", "patches"] {
        refuse(reader, &mut fields, field);
    }
    reader.close(&fields);
    let settings = Settings {
        name: name?,
        cluster,
        targets: targets.into_iter().map(|(name, target)| (name.into(), target)).collect(),
        stores: stores.into_iter().map(|(name, store)| (name.into(), store)).collect(),
        secrets: secrets.into_iter().map(|(name, secret)| (name.into(), secret)).collect(),
        objectives,
        policy,
    };
    let sources = vec![EnvironmentSource::of(&node.location.source)];
    Some(Environment { settings, values, locations, sources })
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
    reader.close(&fields);
    Some(Objectives { rto, rpo })
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
