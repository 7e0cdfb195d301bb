//! `rekindle backups prune -e ENV [--yes]`: shows what the runbook `prune` would remove; removes it with `--yes`.

use std::path::Path;

use rekindle_engine::journal::Runs;
use serde_json::json;

use crate::commands::drive::Options;
use crate::commands::plan::{self, What, look};
use crate::commands::run::{self, Consent};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::project::ValueArgs;
use crate::{output, world};

/// How to prune.
#[derive(Debug, clap::Args)]
pub(super) struct Prune {
    /// Remove what is shown; without it nothing is touched
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    values: ValueArgs,
}

impl Prune {
    /// Gives the values of the runbook.
    pub(super) fn values(&self, store: &str) -> ValueArgs {
        let mut values = self.values.clone();
        values.set.insert(0, format!("store={}", json!(store)));
        values
    }

    /// Shows, or does it.
    pub(super) async fn go(&self, what: &What, state_dir: &Path, json: bool) -> Result<Exit, Failure> {
        if self.yes {
            return run::begin(what, state_dir, Consent::Given, &Options::default()).await;
        }
        let looked = look(what, &world::registry(), &world::world()?, &Runs::new(state_dir)).await?;
        if !looked.preview.is_clear() {
            return Ok(plan::show(&looked));
        }
        let decisions: Vec<&String> = looked.preview.steps.values().flat_map(|step| &step.notes).collect();
        if json {
            output::json(&json!({ "decisions": decisions }))?;
            return Ok(Exit::Done);
        }
        for decision in &decisions {
            output::line(decision);
        }
        let removed = decisions.iter().filter(|decision| decision.starts_with("remove ")).count();
        match (decisions.len(), removed) {
            (0, _) => output::line("there are no backups"),
            (_, 0) => output::line("nothing to remove"),
            (_, removed) => {
                output::line(&format!("{removed} to remove: nothing was touched; --yes removes them"));
            }
        }
        Ok(Exit::Done)
    }
}
