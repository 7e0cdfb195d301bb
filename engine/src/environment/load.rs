//! An environment with everything that it extends.

use std::sync::Arc;

use super::read::read_into;
use super::{CODES, Environment, concealed};
use crate::diagnostic::Diagnostic;
use crate::document::{Node, Reader, Source, parse as parse_document};

/// Longer chains are a mistake, such as a cycle through links between folders.
const MAX_LAYERS: usize = 16;

/// Why what an environment extends can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Parses and reads an environment and the chain of those that it extends.
///
/// `find` gets what stands after `extends:` and the text it stands in, and gives the text that is meant. Texts
/// of one name are taken for the same file.
///
/// # Errors
///
/// Every mistake of all files, file by file: those of their YAML, of `extends`, or, when these are sound, those
/// of the environment that they make.
pub fn load(
    source: &Arc<Source>,
    mut find: impl FnMut(&str, &Source) -> Result<Arc<Source>, NotFound>,
) -> Result<Environment, Vec<Diagnostic>> {
    let mut reader = Reader::new(&CODES);
    let mut broken = Vec::new();
    // Strongest first while they are collected.
    let mut layers: Vec<Node> = Vec::new();
    let mut next = Some(Arc::clone(source));
    let mut whole = true;
    while let Some(source) = next.take() {
        match parse_document(&source) {
            Err(errors) => {
                broken.extend(concealed::conceal(&source, errors));
                whole = false;
            }
            Ok(layer) => {
                concealed::sweep(&mut reader, &layer);
                layers.push(layer);
                match base(&mut reader, &layers, &mut find) {
                    Ok(base) => next = base,
                    Err(()) => whole = false,
                }
            }
        }
    }
    layers.reverse();
    let read = if whole { read_into(&mut reader, layers) } else { None };
    match reader.finish(read) {
        Ok(environment) => Ok(environment),
        Err(mut errors) => {
            errors.extend(broken);
            Err(errors)
        }
    }
}

/// Parses and reads an environment that extends no other.
///
/// # Errors
///
/// Every mistake of the document, in its order: those of its YAML, or, when that is sound, those of the
/// environment.
pub fn parse(source: &Arc<Source>) -> Result<Environment, Vec<Diagnostic>> {
    load(source, |name, _| Err(NotFound { message: format!("`{name}` can't be looked up here"), help: None }))
}

/// Gives what the last layer extends.
fn base(
    reader: &mut Reader,
    layers: &[Node],
    find: &mut impl FnMut(&str, &Source) -> Result<Arc<Source>, NotFound>,
) -> Result<Option<Arc<Source>>, ()> {
    let Some(layer) = layers.last() else { return Ok(None) };
    let Some(node) = layer.get("extends") else { return Ok(None) };
    let name = reader.filled_text(node, "`extends`").ok_or(())?;
    let found = match find(name, &node.location.source) {
        Ok(found) => found,
        Err(NotFound { message, help }) => {
            let diagnostic = Diagnostic::new("rekindle::environment::unknown_base", message)
                .label(&node.location, "extends this");
            reader.report(match help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
            return Err(());
        }
    };
    let names = || layers.iter().map(|layer| layer.location.source.name.as_str());
    if let Some(first) = names().position(|known| known == found.name) {
        let round: Vec<_> = names().skip(first).chain([found.name.as_str()]).collect();
        reader.report(
            Diagnostic::new(
                "rekindle::environment::extends_cycle",
                format!("environments extend each other: {}", round.join(" → ")),
            )
            .label(&node.location, "leads back")
            .help("remove the `extends` of the one that is the base of all"),
        );
        return Err(());
    }
    if layers.len() >= MAX_LAYERS {
        reader.report(
            Diagnostic::new(
                "rekindle::environment::extends_depth",
                format!("more than {MAX_LAYERS} environments extend one another"),
            )
            .label(&node.location, "one too many")
            .help("put what they share into fewer files"),
        );
        return Err(());
    }
    Ok(Some(found))
}
