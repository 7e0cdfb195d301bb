//! What a run was made of, for `runs show`, and what differs between two, for `runs diff`.

use std::fmt::Write as _;

use rekindle_engine::journal::{Record, RunDirectory, SourceCommit};
use rekindle_engine::plan::{Plan, Style};
use rekindle_engine::report;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// How much of a value is shown; JSON has all of it.
const SHOWN: usize = 160;

/// `rekindle runs diff A B`
pub(super) fn diff(old: &RunDirectory, new: &RunDirectory, json: bool) -> Result<Exit, Failure> {
    let ((old_plan, old_records), (new_plan, new_records)) = (read(old)?, read(new)?);
    let diff = report::compare((&old_plan, &old_records), (&new_plan, &new_records));
    if json {
        output::json(&diff)?;
    } else {
        let style = if output::colours() { Style::Ansi } else { Style::Plain };
        output::print(&diff.text(style));
    }
    Ok(Exit::Done)
}

fn read(run: &RunDirectory) -> Result<(Plan, Vec<Record>), Failure> {
    let plan = run.plan().map_err(|error| Failure::input(error.to_string()))?;
    let records = run.records().map_err(|error| Failure::input(error.to_string()))?;
    Ok((plan, records))
}

/// Says what a run was made of: a line each for runbook, environment, plan and values.
pub(super) fn heading(plan: &Plan, records: &[Record]) -> String {
    let runbook = &plan.runbook;
    let commit =
        report::commit(records).map_or_else(String::new, |commit| format!(", commit {}", commit.words()));
    let mut text = format!("  runbook      {} {}{commit}\n", runbook.name, runbook.version);
    // Writing to a `String` can't fail.
    let _ = writeln!(text, "  environment  {}", plan.settings.name);
    let _ = writeln!(text, "  plan         {}", plan.hash);
    for (name, value) in plan.values.as_object().into_iter().flatten() {
        let mut shown = value.to_string();
        if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
            shown.truncate(end);
            shown.push('…');
        }
        let _ = writeln!(text, "  value        {name} = {shown}");
    }
    text
}

/// Gives a run as JSON: what it was made of, where it stands, and every event.
pub(super) fn as_json(run: &RunDirectory, status: &str, plan: &Plan, records: &[Record]) -> Value {
    let commit: Option<&SourceCommit> = report::commit(records);
    json!({
        "run": run.id(),
        "status": status,
        "runbook": plan.runbook,
        "commit": commit,
        "environment": plan.settings.name,
        "plan_hash": plan.hash,
        "values": plan.values,
        "origin": plan.origin,
        "events": records,
    })
}
