//! A report as Markdown, with tables, to keep and to mail.

use super::types::{Report, StepReport};
use super::words;
use crate::plan::printable;

/// Writes the report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut lines = Vec::new();
    let (runbook, environment) = (escaped(&report.runbook), escaped(&report.environment));
    lines.push(format!("# {runbook} on {environment}: {}", words::outcome(report)));
    lines.push(String::new());
    lines.extend(facts(report));
    lines.extend(
        ["", "## Steps", "", "| step | kind | started | took | attempts | result |"].map(str::to_owned),
    );
    lines.push("|---|---|---|--:|--:|---|".to_owned());
    lines.extend(report.steps.iter().map(row));
    lines.extend(errors(report));
    let warnings: Vec<String> = report
        .steps
        .iter()
        .flat_map(|step| step.warnings.iter().map(|text| format!("- `{}`: {}", step.id, escaped(text))))
        .collect();
    lines.extend(section("Warnings", warnings));
    let approvals = words::approvals(report);
    let approvals = approvals.iter().map(|(step, line)| format!("- `{}`: {}", step.id, escaped(line)));
    lines.extend(section("Approvals", approvals.collect()));
    let decisions = report.decisions.iter().map(|decision| {
        let (by, why) = (escaped(&decision.by), escaped(&decision.why));
        format!(
            "- `{}`: {}, said {by} at {}: {why}",
            decision.step,
            words::resolution(decision.resolution),
            decision.at
        )
    });
    lines.extend(section("Decisions", decisions.collect()));
    if report.critical_path.len() > 1 {
        lines.extend(section("Where the time went", vec![escaped(&words::critical_path(report))]));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn facts(report: &Report) -> Vec<String> {
    let mut facts: Vec<(&str, String)> = Vec::new();
    facts.extend(report.run.as_ref().map(|run| ("run", format!("`{run}`"))));
    facts.push((
        "runbook",
        format!(
            "{runbook} {version}",
            runbook = escaped(&report.runbook),
            version = escaped(&report.runbook_version)
        ),
    ));
    facts.push(("plan", format!("`{}`", escaped(&report.plan_hash))));
    facts.extend(report.started_at.map(|at| ("started", at.to_string())));
    facts.extend(
        report.last_at.map(|at| {
            (if report.outcome.is_some() { "finished" } else { "last sign of life" }, at.to_string())
        }),
    );
    facts.push(("took", words::duration(report.total_ms)));
    facts.extend(words::resumptions(report).map(|resumptions| ("runner", resumptions)));
    facts.extend(report.cancelled_by.as_ref().map(|by| ("cancelled by", escaped(by))));
    facts.extend(report.question.as_ref().map(|question| ("waiting for", escaped(question))));
    if let Some(objectives) = &report.objectives {
        facts.push(("recovery time (RTO)", words::measured(&objectives.recovery_time)));
        facts.push(("recovery point (RPO)", words::measured(&objectives.recovery_point)));
    }
    let rows = facts.into_iter().map(|(name, value)| format!("| {name} | {value} |"));
    ["| | |".to_owned(), "|---|---|".to_owned()].into_iter().chain(rows).collect()
}

fn row(step: &StepReport) -> String {
    let started =
        step.attempts.first().map(|attempt| format!("{:.0}", attempt.started_at)).unwrap_or_default();
    let took = if step.attempts.is_empty() { String::new() } else { words::duration(step.took_ms) };
    let mut result = vec![words::status(step.status).to_owned()];
    result.extend(step.blocked_by.as_ref().map(|by| format!("by `{by}`")));
    result
        .extend(step.probes.iter().map(|found| format!("a probe found {}", escaped(&words::finding(found)))));
    let (kind, attempts, result) = (escaped(&step.kind), step.attempts.len(), result.join("; "));
    format!("| `{}` | {kind} | {started} | {took} | {attempts} | {result} |", step.id)
}

fn errors(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &report.steps {
        for attempt in &step.attempts {
            let Some(error) = &attempt.error else { continue };
            lines.push(format!("- `{}`, attempt {}: {}", step.id, attempt.number, escaped(&error.message)));
            lines.extend(error.help.iter().map(|help| format!("  help: {}", escaped(help))));
        }
    }
    section("Errors", lines)
}

fn section(title: &str, lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    [String::new(), format!("## {title}"), String::new()].into_iter().chain(lines).collect()
}

/// Escapes what Markdown or a table would take for itself; texts come from servers and documents.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in printable(text).chars() {
        if "\\`*_[]<>|#".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
