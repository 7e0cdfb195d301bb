//! A report for a terminal: the timeline first.

use super::timeline::{WIDTH, bar, legend};
use super::types::{Objectives, Report, StepReport, StepStatus, Verdict};
use super::words;
use crate::journal::Outcome;
use crate::plan::{Paint, Style, printable};

/// Writes the report as a timeline, followed by errors, warnings, decisions, the critical path and the promises.
pub fn text(report: &Report, style: Style) -> String {
    let mut page = Page { style, lines: Vec::new() };
    page.header(report);
    page.timeline(report);
    page.errors(report);
    page.said(report);
    if report.critical_path.len() > 1 {
        page.section("Where the time went");
        page.line(&format!("  {}", printable(&words::critical_path(report))));
        let busy = words::duration(report.busy_ms);
        let total = words::duration(report.total_ms);
        let most = words::count(report.most_at_once, "step");
        page.line(&format!("  {busy} of work in {total}, at most {most} at once"));
    }
    if let Some(objectives) = &report.objectives {
        page.objectives(objectives);
    }
    page.lines.push(String::new());
    page.lines.join("\n")
}

struct Page {
    style: Style,
    lines: Vec<String>,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.lines.push(line.trim_end().to_owned());
    }

    fn section(&mut self, title: &str) {
        let title = self.style.paint(Paint::Strong, title);
        self.lines.push(String::new());
        self.line(&title);
    }

    fn header(&mut self, report: &Report) {
        let good = matches!(report.outcome, Some(Outcome::Succeeded | Outcome::SucceededWithWarnings) | None);
        let paint = if good { Paint::Good } else { Paint::Bad };
        let outcome = self.style.paint(paint, words::outcome(report));
        let name = self.style.paint(Paint::Strong, &printable(&report.runbook));
        let (version, place) = (printable(&report.runbook_version), printable(&report.environment));
        self.line(&format!(
            "{name} {version} on {place}: {outcome} after {}",
            words::duration(report.total_ms)
        ));
        let mut facts: Vec<String> = report.run.iter().map(|run| format!("run {run}")).collect();
        facts.extend(report.started_at.map(|at| format!("started {at:.0}")));
        facts.extend(words::resumptions(report));
        facts.extend(words::replans(report));
        facts.extend(report.cancelled_by.as_ref().map(|by| format!("cancelled by {}", printable(by))));
        self.line(&facts.join(", "));
        if let Some(question) = &report.question {
            self.line(&format!("waiting: {}", printable(question)));
        }
    }

    fn timeline(&mut self, report: &Report) {
        let names = report.steps.iter().map(|step| step.id.as_str().chars().count());
        let width = names.max().unwrap_or(0).clamp(4, 32);
        self.section("Timeline");
        let end = words::duration(report.total_ms);
        let axis = format!("  {:width$}  {:>8}  0s{end:>rest$}", "", "", rest = WIDTH - 2);
        let axis = self.style.paint(Paint::Quiet, &axis);
        self.line(&axis);
        let mut bars = String::new();
        for step in &report.steps {
            let bar = bar(report, step);
            bars.push_str(&bar);
            self.step(step, &bar, width);
        }
        let legend = legend(&bars);
        if !legend.is_empty() {
            let legend = self.style.paint(Paint::Quiet, &format!("  {:width$}  {:>8}  {legend}", "", ""));
            self.line(&legend);
        }
    }

    fn step(&mut self, step: &StepReport, bar: &str, width: usize) {
        let took = if step.attempts.is_empty() { String::new() } else { words::duration(step.took_ms) };
        let paint = match step.status {
            StepStatus::Succeeded => Paint::Good,
            StepStatus::Failed | StepStatus::Cancelled | StepStatus::Interrupted => Paint::Bad,
            StepStatus::FoundWhilePlanning
            | StepStatus::NotStarted
            | StepStatus::Running
            | StepStatus::WaitingForApproval
            | StepStatus::WaitingToRetry
            | StepStatus::Skipped
            | StepStatus::Blocked => Paint::Quiet,
        };
        let remarks = printable(&words::remarks(step).join(", "));
        let padding = if remarks.is_empty() { 0 } else { WIDTH.saturating_sub(bar.chars().count()) + 2 };
        let bar = if bar.is_empty() { String::new() } else { self.style.paint(paint, bar) };
        let id = printable(step.id.as_str());
        self.line(&format!("  {id:width$}  {took:>8}  {bar}{:padding$}{remarks}", ""));
    }

    fn errors(&mut self, report: &Report) {
        let failed = report.steps.iter().flat_map(|step| {
            step.attempts.iter().filter_map(move |attempt| Some((step, attempt, attempt.error.as_ref()?)))
        });
        for (position, (step, attempt, error)) in failed.enumerate() {
            if position == 0 {
                self.section("Errors");
            }
            let cross = self.style.paint(Paint::Bad, "×");
            let message = printable(&error.message);
            self.line(&format!("  {cross} {}, attempt {}: {message}", step.id, attempt.number));
            if let Some(help) = &error.help {
                self.line(&format!("    help: {}", printable(help)));
            }
        }
    }

    /// Warnings, and what people agreed to and decided.
    fn said(&mut self, report: &Report) {
        let approvals = words::approvals(report);
        if !approvals.is_empty() {
            self.section("Approvals");
        }
        for (step, line) in approvals {
            self.line(&format!("  {}: {}", step.id, printable(&line)));
        }
        if report.steps.iter().any(|step| !step.warnings.is_empty()) {
            self.section("Warnings");
        }
        for step in &report.steps {
            for warning in &step.warnings {
                self.line(&format!("  {}: {}", step.id, printable(warning)));
            }
        }
        if !report.decisions.is_empty() {
            self.section("Decisions");
        }
        for decision in &report.decisions {
            let why = if decision.why.is_empty() { "no reason given" } else { &decision.why };
            let word = words::resolution(decision.resolution);
            self.line(&format!(
                "  {}: {word}, said {}: {}",
                decision.step,
                printable(&decision.by),
                printable(why)
            ));
        }
    }

    fn objectives(&mut self, objectives: &Objectives) {
        self.section("Objectives");
        let both =
            [("RTO", "back after", &objectives.recovery_time), ("RPO", "lost", &objectives.recovery_point)];
        for (name, verb, measured) in both {
            let paint = match measured.verdict {
                Verdict::Met => Paint::Good,
                Verdict::Missed => Paint::Bad,
                Verdict::Open | Verdict::NoObjective | Verdict::Unknown => Paint::Quiet,
            };
            let verb = if measured.achieved_ms.is_some() { format!("{verb} ") } else { String::new() };
            let words = self.style.paint(paint, &format!("{verb}{}", words::measured(measured)));
            self.line(&format!("  {name}  {words}"));
        }
    }
}
