//! minijinja, strict: which names a template refers to, and what it renders to.
//!
//! Receives the text of a string scalar (YAML is parsed before, so a value can never change the shape of a
//! document) and yields the references in it ([`analyse`]), a value ([`render`]), a truth ([`evaluate`]), or
//! what can be said while something is not known yet ([`Template::render_partly`]). The only place that names
//! the template crate; its syntax tree is named in `syntax` only.

mod analysis;
mod context;
#[cfg(test)]
mod context_tests;
mod engine;
mod error;
mod json;
mod names;
mod partial;
mod syntax;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use analysis::{Analysis, Piece, Reference, Shape};
pub use context::{Context, Failure, RunScope, groups_run, run_context};
pub(crate) use context::{
    context as context_of_group, environment as context_of_environment, insert_step, is_step, local,
    steps_named_in,
};
pub use error::TemplateError;
pub use partial::{Partial, Unknowns};

use crate::plan::Param;

/// The names that templates can start with.
pub const ROOTS: [&str; 6] = ["values", "environment", "each", "steps", "run", "failure"];

/// The longest text a template may render to, and the most text a whole-scalar value may hold.
pub const OUTPUT_LIMIT_BYTES: usize = 1 << 20;

/// A parsed template: parse once, render for every instance.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    analysis: Analysis,
}

impl Template {
    /// Parses a string scalar.
    ///
    /// # Errors
    /// Gives the first mistake: syntax, an unknown filter, test or function, a dynamic `steps[name]`, a
    /// `steps.wait-ready` that is a subtraction.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { text: text.to_owned(), analysis: analyse(text)? })
    }

    /// Parses a bare expression, without braces, such as the one of `when:`.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_expression(expression: &str) -> Result<Self, TemplateError> {
        Ok(Self { text: expression.to_owned(), analysis: syntax::analyse_expression(expression)? })
    }

    /// Gives what it refers to.
    pub fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// Gives the text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the source of the expression, without braces, when it is exactly one.
    pub fn expression(&self) -> Option<&str> {
        match &self.analysis.shape {
            Shape::Expression(range) => Some(&self.text[range.clone()]),
            Shape::Text | Shape::Mixed { .. } => None,
        }
    }

    /// Renders it. A template that is exactly one expression keeps that value's type; any other gives text.
    ///
    /// # Errors
    /// Fails on an undefined name (also nested in the value), a list or map inside text, and when the bounds on
    /// work or size are passed.
    pub fn render(&self, context: &Context) -> Result<Value, TemplateError> {
        let rendered = match &self.analysis.shape {
            Shape::Text => return Ok(Value::String(self.text.clone())),
            Shape::Expression(range) => engine::expression(&self.text, range.clone(), context),
            Shape::Mixed { .. } => engine::text(&self.text, context).map(Value::String),
        };
        rendered.map_err(|error| error.explained(&self.analysis.references, context))
    }

    /// Renders it to a truth.
    ///
    /// # Errors
    /// As [`Template::render`], and when the result is not a boolean: `0`, `""` and `"false"` have no truth here.
    pub fn truth(&self, context: &Context) -> Result<bool, TemplateError> {
        match self.render(context)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(TemplateError::new(
                format!("a condition must be true or false, this is {}", json::kind(&other)),
                0..self.text.len(),
            )
            .help(
                "compare it: `values.name == \"x\"`, `values.items | length > 0`, `values.name is defined`",
            )),
        }
    }
}

/// Says whether a string scalar is a template, and what it refers to.
///
/// # Errors
/// As [`Template::parse`].
pub fn analyse(text: &str) -> Result<Analysis, TemplateError> {
    syntax::analyse(text)
}

/// Renders a parameter tree when a step starts. Known values pass through untouched.
///
/// # Errors
/// As [`Template::render`], for the first template that fails.
pub fn render(param: &Param, context: &Value) -> Result<Value, TemplateError> {
    render_in(param, &Context::new(context))
}

fn render_in(param: &Param, context: &Context) -> Result<Value, TemplateError> {
    Ok(match param {
        Param::Value(value) => value.clone(),
        Param::Template(text) => Template::parse(text)?.render(context)?,
        Param::List(items) => {
            items.iter().map(|item| render_in(item, context)).collect::<Result<Value, _>>()?
        }
        Param::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), render_in(value, context)?)))
                .collect::<Result<_, TemplateError>>()?,
        ),
    })
}

/// Evaluates the expression of a `when:`; always gives [`Value::Bool`].
///
/// # Errors
/// As [`Template::truth`].
pub fn evaluate(expression: &str, context: &Value) -> Result<Value, TemplateError> {
    Template::parse_expression(expression)?.truth(&Context::new(context)).map(Value::Bool)
}
