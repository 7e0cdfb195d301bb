//! `rekindle schema [NAME]`

use std::collections::BTreeMap;

use rekindle_engine::diagnostic::nearest;
use rekindle_engine::schema::{composite, environment, runbook, schema_of, steps};
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which schema; all names are listed without it
    name: Option<String>,
    /// Print the names as JSON; a schema is JSON anyway
    #[arg(long)]
    json: bool,
}

pub(crate) fn schema(args: &Args) -> Result<Exit, Failure> {
    let documents = documents();
    let Some(name) = &args.name else {
        if args.json {
            output::json(&documents.keys().collect::<Vec<_>>())?;
            return Ok(Exit::Done);
        }
        for name in documents.keys() {
            output::line(name);
        }
        return Ok(Exit::Done);
    };
    let Some(schema) = documents.get(name.as_str()) else {
        let known = documents.keys().copied().collect::<Vec<_>>();
        let help = nearest(name, known.iter().copied())
            .map_or(format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        return Err(Failure::input(format!("there is no schema `{name}`")).help(help));
    };
    output::json(schema)?;
    Ok(Exit::Done)
}

/// Gives every schema by name, as `schemas/NAME.schema.json` holds it.
pub(crate) fn documents() -> BTreeMap<&'static str, Value> {
    let registry = world::registry();
    BTreeMap::from([
        ("runbook", runbook(&registry)),
        ("composite", composite(&registry)),
        ("steps", steps(&registry)),
        ("plan", schema_of::<rekindle_engine::plan::Plan>()),
        ("environment", environment()),
        ("journal", schema_of::<rekindle_engine::journal::Record>()),
        ("manifest", schema_of::<rekindle_backup::manifest::Manifest>()),
        ("plugin", schema_of::<rekindle_external::protocol::PluginMessage>()),
        ("dump-index", schema_of::<rekindle_backup::manifest::DumpIndex>()),
    ])
}

#[cfg(test)]
mod tests;
