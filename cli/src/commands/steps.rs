//! `rekindle steps [KIND]`

use std::fmt::Write as _;

use rekindle_engine::composite::Composite;
use rekindle_engine::diagnostic::nearest;
use rekindle_engine::runbook::StepDefinition;
use rekindle_engine::step::KindInfo;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The kind to describe: mysql.dump
    kind: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn steps(args: &Args) -> Result<Exit, Failure> {
    let registry = world::registry();
    let Some(kind) = &args.kind else {
        let kinds: Vec<_> = registry.kinds().map(|step| step.info()).collect();
        for name in registry.names() {
            if let Some(problem) = registry.refusal(name) {
                output::error(&format!("warning: {name}: {}\n", problem.message));
            }
        }
        for (name, mistakes) in registry.refused_composites() {
            for mistake in mistakes {
                output::error(&format!("warning: {name}: {}\n", mistake.message));
            }
        }
        if args.json {
            output::json(&kinds.iter().map(|info| as_json(info)).collect::<Vec<_>>())?;
        } else {
            output::print(&list(&kinds));
        }
        return Ok(Exit::Done);
    };
    if let Some(mistakes) = registry.composite_refusal(kind) {
        return Err(mistakes.to_vec().into());
    }
    let Some(step) = registry.get(kind) else {
        if let Some(problem) = registry.refusal(kind) {
            let failure = Failure::input(problem.message.clone());
            return Err(match &problem.help {
                Some(help) => failure.help(help.clone()),
                None => failure,
            });
        }
        let near = nearest(kind, registry.names());
        let help = near
            .map_or("`rekindle steps` lists all kinds".to_owned(), |near| format!("did you mean `{near}`?"));
        return Err(Failure::input(format!("there is no step kind `{kind}`")).help(help));
    };
    if args.json {
        let mut json = as_json(step.info());
        if let Some(composite) = registry.composite(kind) {
            json["steps"] = composite.steps.iter().map(inner_as_json).collect();
        }
        output::json(&json)?;
    } else {
        let mut text = describe(step.info());
        if let Some(composite) = registry.composite(kind) {
            inner(&mut text, composite);
        }
        output::print(&text);
    }
    Ok(Exit::Done)
}

fn as_json(info: &KindInfo) -> Value {
    json!({
        "kind": info.kind,
        "summary": info.summary,
        "version": info.version,
        "digest": info.digest,
        "effect": info.effect,
        "effect_is_declared": info.effect_is_declared,
        "probes": info.probes,
        "params": info.params,
        "outputs": info.outputs,
    })
}

fn inner_as_json(step: &StepDefinition) -> Value {
    json!({ "id": step.id.value, "uses": step.uses.value, "name": step.name })
}

/// Writes the steps that a composite stands for.
fn inner(text: &mut String, composite: &Composite) {
    let _ = writeln!(text, "\nstands for these steps, from {}:", composite.source.name);
    for step in &composite.steps {
        let name = step.name.as_deref().map_or_else(String::new, |name| format!("  {name}"));
        let _ = writeln!(text, "  {}  {}{name}", step.id.value, step.uses.value);
    }
}

fn list(kinds: &[&KindInfo]) -> String {
    let width = kinds.iter().map(|info| info.kind.len()).max().unwrap_or(0);
    let mut text = String::new();
    for info in kinds {
        let _ = writeln!(text, "{:width$}  {:7}  {}", info.kind, info.effect.to_string(), info.summary);
    }
    text
}

fn describe(info: &KindInfo) -> String {
    let effect = if info.effect_is_declared {
        format!("{}, or as declared", info.effect)
    } else {
        info.effect.to_string()
    };
    let crash = if info.probes { "looks whether its effect is there" } else { "has no probe" };
    let mut text =
        format!("{}\n  {}\n\n  effect       {effect}\n  after a crash {crash}\n", info.kind, info.summary);
    fields(&mut text, "with", info.params.as_value());
    fields(&mut text, "outputs", info.outputs.as_value());
    text
}

fn fields(text: &mut String, title: &str, schema: &Value) {
    let _ = writeln!(text, "\n{title}:");
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        let _ = writeln!(text, "  (none)");
        return;
    };
    let required = |name: &str| {
        schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|n| n == name))
    };
    for (name, property) in properties {
        let need = if required(name) { "required" } else { "optional" };
        let default = property.get("default").filter(|value| !value.is_null());
        let default = default.map_or(String::new(), |value| format!(", default {value}"));
        let _ = writeln!(text, "  {name}  ({}, {need}{default})", kind_of(property));
        if let Some(description) = property.get("description").and_then(Value::as_str) {
            for line in description.lines().filter(|line| !line.trim().is_empty()) {
                let _ = writeln!(text, "      {}", line.trim());
            }
        }
    }
}

fn kind_of(schema: &Value) -> String {
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        return format.to_owned();
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return options
            .iter()
            .map(|option| option.as_str().map_or(option.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(" | ");
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema.get(key).and_then(Value::as_array) {
            let kinds: Vec<_> = options.iter().map(kind_of).filter(|kind| kind != "null").collect();
            return kinds.join(" | ");
        }
    }
    if let Some(constant) = schema.get("const") {
        return constant.as_str().map_or(constant.to_string(), str::to_owned);
    }
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<_> =
                kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            kinds.join(" | ")
        }
        _ => "any".to_owned(),
    }
}
