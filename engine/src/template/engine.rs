//! The configured template engine: strict, bounded, one for the whole program.

use std::ops::Range;
use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use super::{Context, OUTPUT_LIMIT_BYTES, TemplateError, json, syntax};

/// Instructions and, at 64 bytes each, the data one rendering may make: about 6 MiB.
const FUEL: u64 = 100_000;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_formatter(format);
    engine.set_fuel(Some(FUEL));
    // Debug mode copies the variables of the template into its errors: they are not ours to show.
    engine.set_debug(false);
    engine.set_syntax(syntax::config());
    engine.remove_global("debug");
    engine
});

/// Evaluates the expression at `range` of `text`.
pub(super) fn expression(
    text: &str,
    range: Range<usize>,
    context: &Context,
) -> Result<serde_json::Value, TemplateError> {
    let value = ENGINE
        .compile_expression(&text[range.clone()])
        .and_then(|expression| expression.eval(context.root()))
        .map_err(|error| explain(&error, text, range.start))?;
    json::from_template(&value).map_err(|unfit| match unfit {
        json::Unfit::Undefined => {
            let what = if value.is_undefined() {
                "the value is undefined"
            } else {
                "a part of the value is undefined"
            };
            TemplateError { undefined: true, ..TemplateError::new(what, range) }
        }
        json::Unfit::Because(why) => TemplateError::new(why, range),
    })
}

/// Renders the one expression at `range` of `text` as it would stand inside text.
pub(super) fn emission(text: &str, range: Range<usize>, context: &Context) -> Result<String, TemplateError> {
    let open = "{{ ";
    let braced = format!("{open}{} }}}}", &text[range.clone()]);
    ENGINE.render_str(&braced, context.root()).map_err(|error| {
        let mut explained = explain(&error, &braced, 0);
        let shift = |offset: usize| (offset.saturating_sub(open.len()) + range.start).min(range.end);
        explained.range = shift(explained.range.start)..shift(explained.range.end);
        explained.clamped(text)
    })
}

/// Renders a template to text.
pub(super) fn text(text: &str, context: &Context) -> Result<String, TemplateError> {
    let rendered = ENGINE.render_str(text, context.root()).map_err(|error| explain(&error, text, 0))?;
    if rendered.len() > OUTPUT_LIMIT_BYTES {
        let message = format!("the text is longer than {OUTPUT_LIMIT_BYTES} bytes");
        return Err(TemplateError::new(message, 0..text.len()));
    }
    Ok(rendered)
}

fn format(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Ok(()),
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "true" } else { "false" })?),
        ValueKind::Number | ValueKind::String => Ok(write!(out, "{value}")?),
        other => Err(Error::new(
            ErrorKind::InvalidOperation,
            match other {
                ValueKind::Map => "a map can't stand inside text",
                ValueKind::Seq | ValueKind::Iterable => "a list can't stand inside text",
                _ => "this value can't stand inside text",
            },
        )),
    }
}

pub(super) fn explain(error: &Error, text: &str, offset: usize) -> TemplateError {
    let range = match error.range() {
        Some(range) => range.start + offset..range.end + offset,
        None => 0..text.len(),
    };
    let detail = error.detail().map(str::to_owned);
    let message = match error.kind() {
        ErrorKind::OutOfFuel => "the template does too much work or makes too much text".to_owned(),
        ErrorKind::UndefinedError => detail.unwrap_or_else(|| "something here is undefined".to_owned()),
        ErrorKind::SyntaxError => {
            format!("template syntax: {}", detail.unwrap_or_else(|| "error".to_owned()))
        }
        kind => detail.unwrap_or_else(|| kind.to_string()),
    };
    let explained = TemplateError::new(message, range).clamped(text);
    match error.kind() {
        ErrorKind::UndefinedError => TemplateError { undefined: true, ..explained },
        ErrorKind::InvalidOperation if explained.message.ends_with("inside text") => explained
            .help("join it (`{{ values.names | join(\",\") }}`), or make the expression the whole value"),
        _ => explained,
    }
}
