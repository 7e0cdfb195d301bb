//! The document of a runbook as a whole.

use std::sync::Arc;

use super::patch::{self, Patch};
use super::step::Section;
use super::{CODES, Concurrency, Defaults, Kind, OnConflict, Runbook, Spanned, StepDefinition};
use super::{declarations, read_header, references, requirement, retry, step};
use crate::diagnostic::Diagnostic;
use crate::document::{Fields, Node, NodeValue, Reader};

/// Reads a runbook out of a document.
///
/// # Errors
///
/// Every mistake in it, in the order of the text. Step kinds, their parameters and templates are not looked at
/// here: that is compiling.
pub fn read(node: &Node) -> Result<Runbook, Vec<Diagnostic>> {
    let mut reader = Reader::new(&CODES);
    let runbook = read_document(&mut reader, node);
    reader.finish(runbook)
}

/// Reads a runbook with the patches that an environment has for it.
///
/// # Errors
///
/// The mistakes of the runbook as it stands; when there are none, those of the patches; when there are none
/// either, those of what they make of it.
pub fn read_patched(node: &Node, patches: &[Patch]) -> Result<Runbook, Vec<Diagnostic>> {
    let plain = read(node)?;
    if patches.is_empty() {
        return Ok(plain);
    }
    let applied = patch::apply(node, patches)?;
    let mut runbook = read(&applied.document)?;
    let steps = runbook.steps.iter_mut().chain(&mut runbook.on_failure).chain(&mut runbook.finally);
    for step in steps {
        step.disabled = applied.disabled.get(&step.id.value).cloned();
    }
    Ok(runbook)
}

/// Reads what can be read, and gives every mistake besides.
pub(super) fn read_partly(node: &Node) -> (Option<Runbook>, Vec<Diagnostic>) {
    let mut reader = Reader::new(&CODES);
    let runbook = read_document(&mut reader, node);
    (runbook, reader.finish_partly())
}

fn read_document(reader: &mut Reader, node: &Node) -> Option<Runbook> {
    let mut fields = reader.fields(node, "a runbook")?;
    read_header(reader, &mut fields, Kind::Runbook)?;
    let requires = fields.take("requires");
    if let Some(node) = requires {
        requirement::check(reader, node)?;
    }
    let name = read_name(reader, &mut fields);
    let version = read_version(reader, &mut fields);
    let summary = fields.take("summary").and_then(|node| reader.text(node, "`summary`"));
    let values = fields.take("values").map(|node| declarations::read(reader, node)).unwrap_or_default();
    let concurrency = fields.take("concurrency").and_then(|node| read_concurrency(reader, node));
    let defaults = fields.take("defaults").and_then(|node| read_defaults(reader, node)).unwrap_or_default();
    let steps_node = reader.require(&mut fields, "steps");
    let on_failure_node = fields.take("on_failure");
    let finally_node = fields.take("finally");
    reader.close(&fields);

    let sections = [
        (Section::Steps, steps_node),
        (Section::OnFailure, on_failure_node),
        (Section::Finally, finally_node),
    ];
    let [steps, on_failure, finally] = sections.map(|(section, node)| read_section(reader, section, node));
    references::check(reader, sections);
    Some(Runbook {
        source: Arc::clone(&node.location.source),
        // What is missing is reported: the rest is worth a look all the same.
        name: name.unwrap_or_else(|| Spanned { value: String::new(), location: node.location.clone() }),
        version: version.unwrap_or_else(|| semver::Version::new(0, 0, 0)),
        requires: requires.and_then(Node::text).map(str::to_owned),
        summary: summary.unwrap_or_default().to_owned(),
        values,
        concurrency,
        defaults,
        steps,
        on_failure,
        finally,
    })
}

fn read_name(reader: &mut Reader, fields: &mut Fields<'_>) -> Option<Spanned<String>> {
    let node = reader.require(fields, "name")?;
    let name = reader.text(node, "`name`")?;
    reader
        .check_name(name, &node.location, "a runbook")
        .then(|| Spanned { value: name.to_owned(), location: node.location.clone() })
}

/// Reads the `steps:` of a document that has no other section.
pub(crate) fn read_only_steps(reader: &mut Reader, fields: &mut Fields<'_>) -> Vec<StepDefinition> {
    let node = reader.require(fields, "steps");
    let steps = read_section(reader, Section::Steps, node);
    references::check(reader, [(Section::Steps, node), (Section::OnFailure, None), (Section::Finally, None)]);
    steps
}

/// Reads `version:`.
pub(crate) fn read_version(reader: &mut Reader, fields: &mut Fields<'_>) -> Option<semver::Version> {
    let node = reader.require(fields, "version")?;
    let help = "write three numbers, such as `1.2.0` (semver.org)";
    if let NodeValue::Integer(_) | NodeValue::Float(_) = node.value {
        return reader.wrong_value(node, "`version` is a number, not a version", help);
    }
    let text = reader.text(node, "`version`")?;
    match text.parse() {
        Ok(version) => Some(version),
        Err(error) => reader.wrong_value(node, format!("`{text}` is no version: {error}"), help),
    }
}

fn read_concurrency(reader: &mut Reader, node: &Node) -> Option<Concurrency> {
    let mut fields = reader.fields(node, "`concurrency`")?;
    let group = reader.require(&mut fields, "group");
    let choices = [("fail", OnConflict::Fail), ("wait", OnConflict::Wait)];
    let on_conflict =
        fields.take("on_conflict").and_then(|node| reader.choice(node, "`on_conflict`", &choices));
    reader.close(&fields);
    let group = group?;
    match group.text() {
        Some(_) => Some(Concurrency { group: group.clone(), on_conflict: on_conflict.unwrap_or_default() }),
        None => reader.wrong_type(group, "`group`", "a string"),
    }
}

fn read_defaults(reader: &mut Reader, node: &Node) -> Option<Defaults> {
    let mut fields = reader.fields(node, "`defaults`")?;
    let timeout = fields.take("timeout").and_then(|node| reader.duration(node, "`timeout`"));
    let retry = fields.take("retry").and_then(|node| retry::read(reader, node));
    reader.close(&fields);
    Some(Defaults { timeout, retry })
}

fn read_section(reader: &mut Reader, section: Section, node: Option<&Node>) -> Vec<StepDefinition> {
    let Some(node) = node else { return Vec::new() };
    let what = format!("`{}`", section.field());
    let Some(items) = reader.items(node, &what) else { return Vec::new() };
    if items.is_empty() && section == Section::Steps {
        let _: Option<()> = reader.wrong_value(node, "`steps` is empty", "write at least one step");
    }
    items.iter().filter_map(|item| step::read(reader, item, section)).collect()
}
