//! `rekindle steps [KIND]`

mod fields;

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

/// Describes a kind for people: all that its schemas say.
pub(crate) fn describe(info: &KindInfo) -> String {
    let effect = if info.effect_is_declared {
        format!("{}, or as declared", info.effect)
    } else {
        info.effect.to_string()
    };
    let crash = if info.probes { "looks whether its effect is there" } else { "has no probe" };
    let mut text =
        format!("{}\n  {}\n\n  effect       {effect}\n  after a crash {crash}\n", info.kind, info.summary);
    fields::write(&mut text, "with", info.params.as_value());
    fields::write(&mut text, "outputs", info.outputs.as_value());
    text
}
