//! Does a plugin keep to the protocol? Receives an executable, yields one verdict a rule.
//!
//! The plugin's own examples are run for real, in folders made for the test.

mod calls;
mod canary;
mod examples;

use std::path::Path;
use std::sync::Arc;

use rekindle_engine::host::{Clock, Processes};
use serde_json::json;

use crate::call::{CallError, Executable};
use crate::describe::{DescribeError, Described, describe};
use crate::search::{PREFIX, check_kind};

use self::calls::Caller;

/// What came of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Kept,
    /// It is broken, and how.
    Broken(String),
    /// It could not be looked at, and why.
    Skipped(String),
}

/// One rule of the protocol, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The rule: a short name.
    pub rule: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What a plugin is and how it behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conformance {
    /// The kind, by the name of the file.
    pub kind: String,
    /// The version that it says; empty when it could not be described.
    pub version: String,
    /// All rules, in the order in which they were looked at.
    pub checked: Vec<Checked>,
}

impl Conformance {
    /// Tells whether no rule was broken.
    pub fn is_kept(&self) -> bool {
        !self.checked.iter().any(|checked| matches!(checked.verdict, Verdict::Broken(_)))
    }

    fn add(&mut self, rule: impl Into<String>, verdict: Verdict) {
        self.checked.push(Checked { rule: rule.into(), verdict });
    }
}

/// Tests a plugin: describes it twice, runs its examples, and asks it what it can't know.
///
/// # Errors
/// When the path does not name a plugin; a plugin that misbehaves is no error but a verdict.
pub async fn conformance(
    path: &Path,
    processes: Arc<dyn Processes>,
    clock: Arc<dyn Clock>,
) -> Result<Conformance, String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let kind = name.strip_prefix(PREFIX).ok_or_else(|| format!("a plugin's file is named `{PREFIX}KIND`"))?;
    check_kind(kind)?;
    let mut found = Conformance { kind: kind.to_owned(), version: String::new(), checked: Vec::new() };
    let executable = match Executable::inspect(kind, path) {
        Ok(executable) => executable,
        Err(error) => {
            found.add("file", Verdict::Broken(error.to_string()));
            return Ok(found);
        }
    };
    found.add("file", Verdict::Kept);
    let first = describe(&executable, Arc::clone(&processes), Arc::clone(&clock)).await;
    found.add("describe", verdict(&first));
    let Ok(described) = first else { return Ok(found) };
    found.version.clone_from(&described.hello.version);
    let again = describe(&executable, Arc::clone(&processes), Arc::clone(&clock)).await;
    found.add("describe again", same(&described, &again, &executable));
    found.add("closed parameters", closed(&described));

    let mut caller = Caller::new(&executable, &described, processes, clock);
    let unknown = json!({ "type": "rekindle-test-unknown" });
    found.add("unknown request", caller.refuses(&unknown).await);
    found.add("wrong parameters", caller.refuses_wrong_parameters().await);
    examples::run(&mut caller, &mut found).await;
    found.add("leaves no process", caller.left_nothing());
    found.add("keeps secrets", caller.kept_secrets());
    Ok(found)
}

fn verdict<T>(described: &Result<T, DescribeError>) -> Verdict {
    match described {
        Ok(_) => Verdict::Kept,
        Err(error) => Verdict::Broken(error.to_string()),
    }
}

fn same(first: &Described, again: &Result<Described, DescribeError>, executable: &Executable) -> Verdict {
    let Ok(again) = again else { return verdict(again) };
    let (one, two) = (first.info(executable), again.info(executable));
    let equal = one.summary == two.summary
        && one.version == two.version
        && one.effect == two.effect
        && one.probes == two.probes
        && one.params == two.params
        && one.outputs == two.outputs;
    if equal {
        return Verdict::Kept;
    }
    Verdict::Broken("it describes itself differently each time: plans could not be compared".to_owned())
}

/// Without this, a misspelt parameter is passed over in silence.
fn closed(described: &Described) -> Verdict {
    if described.params.schema.get("additionalProperties") == Some(&json!(false)) {
        return Verdict::Kept;
    }
    Verdict::Broken(
        "`params` must have `\"additionalProperties\": false`: misspelt parameters are mistakes".to_owned(),
    )
}

/// Puts a call's error into the words of a verdict.
fn broken(error: &CallError) -> Verdict {
    Verdict::Broken(error.to_string())
}
