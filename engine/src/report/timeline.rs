//! One bar for each step, all on the same scale, so that the eye sees what ran side by side.

use super::fold::{between, last_end};
use super::types::{AttemptEnd, Report, StepReport};

/// Columns of a bar.
pub(super) const WIDTH: usize = 48;

const BUSY: char = '█';
const FAILED: char = '×';
const WAITING: char = '▒';
const CUT_OFF: char = '!';
const NO_RUNNER: char = '░';

/// Draws a step's attempts, waits between them, and gaps without a runner inside its span.
pub(super) fn bar(report: &Report, step: &StepReport) -> String {
    let mut cells = [' '; WIDTH];
    let mut fill = |from: u64, to: u64, with: char| {
        let (first, last) = (cell(report, from), cell(report, to.saturating_sub(1)));
        cells[first..=last.max(first)].fill(with);
    };
    let at = |time| between(report.started_at, time);
    let Some(first) = step.attempts.first() else { return String::new() };
    fill(at(Some(first.started_at)), at(last_end(step, report.last_at)), WAITING);
    for gap in &report.resumptions {
        let inside = step.attempts.iter().any(|attempt| attempt.ended_at == Some(gap.lost_at));
        if inside {
            fill(at(Some(gap.lost_at)), at(Some(gap.resumed_at)), NO_RUNNER);
        }
    }
    for attempt in &step.attempts {
        fill(at(Some(attempt.started_at)), at(attempt.ended_at.or(report.last_at)), BUSY);
    }
    // Marks last: they must be seen also where several attempts share a cell.
    for attempt in &step.attempts {
        let mark = match attempt.end {
            AttemptEnd::Failed | AttemptEnd::Cancelled => FAILED,
            AttemptEnd::Interrupted => CUT_OFF,
            AttemptEnd::Running | AttemptEnd::Succeeded => continue,
        };
        let end = at(attempt.ended_at).saturating_sub(1);
        fill(end, end, mark);
    }
    cells.iter().collect::<String>().trim_end().to_owned()
}

/// Explains the signs that occur in these bars.
pub(super) fn legend(bars: &str) -> String {
    let signs = [
        (BUSY, "at work"),
        (FAILED, "failed or was stopped"),
        (WAITING, "waited to go on"),
        (CUT_OFF, "the runner died"),
        (NO_RUNNER, "no runner"),
    ];
    let used = signs.iter().filter(|(sign, _)| bars.contains(*sign));
    used.map(|(sign, meaning)| format!("{sign} {meaning}")).collect::<Vec<_>>().join("   ")
}

fn cell(report: &Report, ms: u64) -> usize {
    let total = u128::from(report.total_ms.max(1));
    let cell = u128::from(ms) * WIDTH as u128 / total;
    usize::try_from(cell).unwrap_or(WIDTH).min(WIDTH - 1)
}
