//! What can be said of a template while something it refers to is not known yet.
//!
//! Decided from the references alone, never by evaluating with a stand-in: a stand-in would take a branch of
//! an `if`, and `unknown == 1` would be false.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use serde_json::Value;

use super::{Context, Piece, Shape, Template, TemplateError, engine};

/// Paths whose values are not known yet, each with the words that stand for it.
#[derive(Debug, Clone, Default)]
pub struct Unknowns {
    paths: Arc<Paths>,
    /// What only this one has; small.
    own: Paths,
}

type Paths = BTreeMap<Vec<String>, String>;

impl Unknowns {
    /// Makes everything at and below `path` unknown. `shown` is such as `known after find`.
    pub fn insert(&mut self, path: &[&str], shown: impl Into<String>) {
        Arc::make_mut(&mut self.paths).insert(owned(path), shown.into());
    }

    /// Gives these and one more. The others are shared, not copied.
    #[must_use]
    pub fn with(&self, path: &[&str], shown: impl Into<String>) -> Self {
        let mut more = self.clone();
        more.own.insert(owned(path), shown.into());
        more
    }

    /// Makes values of a group unknown, by their JSON pointers (RFC 6901) with the text shown in their places.
    pub(crate) fn insert_values(&mut self, unknown: &BTreeMap<String, String>) {
        for (pointer, display) in unknown {
            let parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
            let path: Vec<String> = std::iter::once("values".to_owned()).chain(parts).collect();
            Arc::make_mut(&mut self.paths).insert(path, words(display).to_owned());
        }
    }

    /// Gives the words for a path of which a part is unknown: itself, something above it or below it.
    pub fn find(&self, path: &[String]) -> Option<&str> {
        let path = canonical(path);
        find(&self.own, &path).or_else(|| find(&self.paths, &path))
    }

    fn find_any(&self, template: &Template, inside: &Range<usize>) -> Option<&str> {
        template
            .analysis()
            .references
            .iter()
            .filter(|reference| inside.contains(&reference.range.start))
            .find_map(|reference| self.find(&reference.path))
    }
}

/// Gives the words of `(known after find)` in a text such as `s3://(known after find)/y`.
fn words(display: &str) -> &str {
    let start = display.find("(known ").map_or(0, |at| at + 1);
    let inside = &display[start..];
    if start == 0 { inside } else { inside.split(')').next().unwrap_or(inside) }
}

fn owned(path: &[&str]) -> Vec<String> {
    canonical(&path.iter().map(|&part| part.to_owned()).collect::<Vec<_>>())
}

fn find<'p>(paths: &'p Paths, path: &[String]) -> Option<&'p str> {
    if let Some(shown) = (1..=path.len()).find_map(|length| paths.get(&path[..length])) {
        return Some(shown);
    }
    let (below, shown) = paths.range::<[String], _>((Bound::Excluded(path), Bound::Unbounded)).next()?;
    below.starts_with(path).then_some(shown.as_str())
}

/// `steps.wait_ready` and `steps["wait-ready"]` are one step.
fn canonical(path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    if let [root, step, ..] = path.as_mut_slice()
        && root == "steps"
    {
        *step = step.replace('-', "_");
    }
    path
}

/// A value, or what stands for it until it is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Partial {
    /// Known.
    Known(Value),
    /// Not known yet.
    Unknown {
        /// For people: `s3://(known after find)/y`.
        display: String,
    },
}

impl Template {
    /// Renders it as far as it is known. Text with plain `{{ … }}` shows what is known around what is not;
    /// anything else is unknown as a whole.
    ///
    /// # Errors
    /// As [`Template::render`], also for the known parts of a partly known text.
    pub fn render_partly(&self, context: &Context, unknown: &Unknowns) -> Result<Partial, TemplateError> {
        let Some(shown) = unknown.find_any(self, &(0..self.text().len().max(1))) else {
            return self.render(context).map(Partial::Known);
        };
        let Shape::Mixed { pieces: Some(pieces) } = &self.analysis().shape else {
            self.check_known(context, unknown)?;
            return Ok(Partial::Unknown { display: format!("({shown})") });
        };
        let mut display = String::new();
        for piece in pieces {
            match piece {
                Piece::Raw(text) => display.push_str(text),
                Piece::Emit(range) => match unknown.find_any(self, range) {
                    Some(shown) => {
                        display.push('(');
                        display.push_str(shown);
                        display.push(')');
                    }
                    None => display.push_str(&self.emission(range, context)?),
                },
            }
        }
        Ok(Partial::Unknown { display })
    }

    /// Checks that what it refers to beside the unknown is defined: it must not take a run to find that out.
    ///
    /// # Errors
    /// Names the first path that is undefined and that the template nowhere tests or gives a default.
    pub fn check_known(&self, context: &Context, unknown: &Unknowns) -> Result<(), TemplateError> {
        let references = &self.analysis().references;
        let guarded = |path: &[String]| references.iter().any(|other| other.guarded && other.path == path);
        let missing = references.iter().find(|reference| {
            unknown.find(&reference.path).is_none()
                && !guarded(&reference.path)
                && context.first_undefined(&reference.path).is_some()
        });
        let Some(reference) = missing else { return Ok(()) };
        let error = TemplateError::new("this is undefined", reference.range.clone());
        Err(TemplateError { undefined: true, ..error }.explained([reference], context))
    }

    fn emission(&self, range: &Range<usize>, context: &Context) -> Result<String, TemplateError> {
        engine::emission(self.text(), range.clone(), context).map_err(|error| {
            let references = &self.analysis().references;
            let here = references.iter().filter(|reference| range.contains(&reference.range.start));
            error.explained(here, context)
        })
    }
}
