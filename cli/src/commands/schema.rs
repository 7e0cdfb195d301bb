//! `rekindle schema [NAME]`

use std::collections::BTreeMap;

use rekindle_engine::diagnostic::nearest;
use rekindle_engine::schema::{composite, environment, runbook, schema_of};
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which schema; all names are listed without it
    name: Option<String>,
}

pub(crate) fn schema(args: &Args) -> Result<Exit, Failure> {
    let documents = documents();
    let Some(name) = &args.name else {
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
    BTreeMap::from([
        ("runbook", runbook(&world::registry())),
        ("composite", composite(&world::registry())),
        ("environment", environment()),
        ("journal", schema_of::<rekindle_engine::journal::Record>()),
        ("manifest", schema_of::<rekindle_backup::manifest::Manifest>()),
        ("plugin", schema_of::<rekindle_external::protocol::PluginMessage>()),
        ("dump-index", schema_of::<rekindle_backup::manifest::DumpIndex>()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: [(&str, &str); 7] = [
        ("composite", include_str!("../../../schemas/composite.schema.json")),
        ("runbook", include_str!("../../../schemas/runbook.schema.json")),
        ("environment", include_str!("../../../schemas/environment.schema.json")),
        ("journal", include_str!("../../../schemas/journal.schema.json")),
        ("manifest", include_str!("../../../schemas/manifest.schema.json")),
        ("plugin", include_str!("../../../schemas/plugin.schema.json")),
        ("dump-index", include_str!("../../../schemas/dump-index.schema.json")),
    ];

    #[test]
    fn the_committed_schemas_are_what_the_program_prints() {
        let documents = documents();
        let names: Vec<_> = documents.keys().copied().collect();
        let mut committed = COMMITTED.map(|(name, _)| name);
        committed.sort_unstable();
        assert_eq!(names, committed, "a schema has no file here: run `cargo xtask schemas` and list it");
        for (name, text) in COMMITTED {
            let printed = format!("{:#}\n", documents[name]);
            assert!(printed == text, "schemas/{name}.schema.json is out of date: run `cargo xtask schemas`");
        }
    }
}
