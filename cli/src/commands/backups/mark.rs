//! `rekindle backups mark ID --keep --reason TEXT [--label k=v] | --no-keep`: the values of the runbook `mark`.

use std::collections::BTreeMap;

use rekindle_engine::id::StoreName;
use serde_json::{Value, json};

use crate::failure::Failure;

/// What to say of a backup.
#[derive(Debug, clap::Args)]
pub(super) struct Mark {
    /// The backup's id, or `latest`
    id: String,
    /// Keep it: pruning never removes it
    #[arg(long, requires = "reason", conflicts_with = "no_keep")]
    keep: bool,
    /// Give it free: pruning judges it as any other
    #[arg(long)]
    no_keep: bool,
    /// Why it is kept, or no longer is
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Set a label; `NAME=` takes it away (repeatable)
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
}

impl Mark {
    /// Gives it as values of the runbook.
    pub(super) fn values(&self, store: &StoreName) -> Result<Vec<String>, Failure> {
        let text = |text: &str| Value::from(text).to_string();
        let mut set = vec![format!("backup={}", text(&self.id)), format!("store={}", text(store.as_str()))];
        if self.keep || self.no_keep {
            set.push(format!("keep={}", self.keep));
        }
        if let Some(reason) = &self.reason {
            set.push(format!("reason={}", text(reason)));
        }
        if !self.labels.is_empty() {
            let labels =
                self.labels.iter().map(|label| pair(label)).collect::<Result<BTreeMap<_, _>, _>>()?;
            set.push(format!("labels={}", json!(labels)));
        }
        Ok(set)
    }
}

/// Reads `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(Failure::input(format!("`--label {text}` has no name and value"))
            .help("write `--label NAME=VALUE`, as in `--label ticket=OPS-7`")),
    }
}
