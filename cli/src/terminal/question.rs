//! A question to people in words, and what they type in answer to it.

use std::fmt::Write as _;

use rekindle_engine::id::RunId;
use rekindle_engine::plan::{Plan, Style, printable, short_hash, step_text};
use rekindle_engine::run::{Answer, Awaited};

/// Shows what the answer is to, and which plan it binds to.
pub(crate) fn question(run: &RunId, plan: &Plan, awaited: &Awaited, style: Style) -> String {
    let (runbook, place) = (&plan.runbook, &plan.settings.name);
    let hash = short_hash(&plan.hash);
    let mut text = format!("run {run}: {} {} on {place}, plan {hash}\n", runbook.name, runbook.version);
    if let Some(step) = plan.steps.iter().find(|step| step.id == awaited.step) {
        text.push_str(&step_text(plan, step, style));
    }
    let _ = writeln!(text, "      now: {}", awaited.what);
    if !awaited.approved_by.is_empty() {
        let _ = writeln!(text, "      approved so far by {}", printable(&awaited.approved_by.join(", ")));
    }
    if let Some(until) = awaited.expires_at {
        let _ = writeln!(text, "      until {until:.0}");
    }
    text
}

/// `1 more approval is needed, from somebody else`
pub(crate) fn missing(awaited: &Awaited) -> String {
    match awaited.missing() {
        1 => "1 more approval is needed, from somebody else".to_owned(),
        more => format!("{more} more approvals are needed, each from somebody else"),
    }
}

/// What somebody typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// An answer, and why; the reason may be empty.
    Answered(Answer, String),
    /// Not now, or not by this person.
    Later,
    /// None of the words that are heard.
    Unclear,
}

/// Understands a line. Only whole words count: nobody approves by leaning on a key.
pub(super) fn understand(line: &str) -> Typed {
    let line = line.trim();
    let (word, why) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let why = why.trim().to_owned();
    match word {
        "approve" => Typed::Answered(Answer::Approve, why),
        "reject" => Typed::Answered(Answer::Reject, why),
        "later" => Typed::Later,
        _ => Typed::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::{Typed, understand};
    use rekindle_engine::run::Answer;

    #[test]
    fn whole_words_answer_and_the_rest_of_the_line_is_the_reason() {
        let answered = |answer, why: &str| Typed::Answered(answer, why.to_owned());
        assert_eq!(understand("approve"), answered(Answer::Approve, ""));
        assert_eq!(understand("  approve  ticket 4711 \r\n"), answered(Answer::Approve, "ticket 4711"));
        assert_eq!(understand("reject wrong\tbackup"), answered(Answer::Reject, "wrong\tbackup"));
        assert_eq!(understand("later"), Typed::Later);
    }

    #[test]
    fn anything_else_is_no_answer() {
        for line in ["", " ", "y", "yes", "a", "approved", "Approve", "no approve", "\u{1b}[A", "approve,"] {
            assert_eq!(understand(line), Typed::Unclear, "{line:?}");
        }
    }
}
