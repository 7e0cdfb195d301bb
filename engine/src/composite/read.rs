//! The text of a composite kind → [`Composite`].

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Composite;
use crate::diagnostic::Diagnostic;
use crate::document::{Fields, Location, Node, NodeValue, Reader, Source, parse as parse_document};
use crate::runbook::{
    CODES, Kind, Phase, Spanned, StepDefinition, read_declarations, read_header, read_only_steps,
    read_version,
};

/// Parses and reads a composite kind.
///
/// # Errors
/// Every mistake of the document, in its order: those of its YAML, or, when that is sound, those of the kind.
/// Which kinds its steps use, and their templates, are not looked at here: that is compiling.
pub fn parse(source: &Arc<Source>) -> Result<Composite, Vec<Diagnostic>> {
    let node = parse_document(source)?;
    let mut reader = Reader::new(&CODES);
    let composite = read(&mut reader, &node);
    reader.finish(composite)
}

fn read(reader: &mut Reader, node: &Node) -> Option<Composite> {
    let mut fields = reader.fields(node, "a composite step kind")?;
    read_header(reader, &mut fields, Kind::Composite)?;
    let name = read_name(reader, &mut fields);
    let version = read_version(reader, &mut fields);
    let summary = fields.take("summary").and_then(|node| reader.text(node, "`summary`"));
    let values = fields.take("values").map(|node| read_declarations(reader, node)).unwrap_or_default();
    let steps = read_only_steps(reader, &mut fields);
    let outputs = match fields.take("outputs") {
        Some(node) => read_outputs(reader, node),
        None => Some(Node { value: NodeValue::Map(Vec::new()), location: fields.first_key() }),
    };
    reader.close(&fields);
    let source = Arc::clone(&node.location.source);
    let name = name?;
    Some(Composite {
        sha256: hex::encode(Sha256::digest(source.text.as_bytes())),
        source,
        version: version?,
        summary: summary.unwrap_or_default().to_owned(),
        values,
        steps,
        end: end(&name, outputs?, node.location.clone()),
        name,
    })
}

fn read_name(reader: &mut Reader, fields: &mut Fields<'_>) -> Option<Spanned<String>> {
    let node = reader.require(fields, "name")?;
    let name = reader.text(node, "`name`")?;
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if name.len() > 63 || !name.split('.').all(word) {
        return reader.wrong_value(
            node,
            format!("`{name}` is no name for a step kind"),
            "write words of small letters, digits and `-`, joined by dots, at most 63: `shop.reseed`",
        );
    }
    Some(Spanned { value: name.to_owned(), location: node.location.clone() })
}

/// Outputs are named as values are: templates refer to them as `steps.ID.outputs.NAME`.
fn read_outputs(reader: &mut Reader, node: &Node) -> Option<Node> {
    let Some(entries) = node.entries() else { return reader.wrong_type(node, "`outputs`", "a map") };
    for entry in entries {
        let fits = entry.key.starts_with(|first: char| first.is_ascii_lowercase())
            && entry.key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !fits {
            reader.report(
                Diagnostic::new(
                    "rekindle::composite::output_name",
                    format!("`{}` is not a name for an output", entry.key),
                )
                .label(&entry.key_location(), "this name")
                .help("names are snake_case: a small letter, then small letters, digits and `_`"),
            );
        }
    }
    Some(node.clone())
}

fn end(name: &Spanned<String>, outputs: Node, location: Location) -> StepDefinition {
    StepDefinition {
        id: Spanned { value: "outputs".to_owned(), location: outputs.location.clone() },
        name: None,
        uses: name.clone(),
        with: outputs,
        needs: Vec::new(),
        when: None,
        for_each: None,
        max_parallel: None,
        retry: None,
        timeout: None,
        deadline: None,
        phase: Phase::Run,
        on_crash: None,
        effect: None,
        continue_on_error: false,
        disabled: None,
        location,
    }
}
