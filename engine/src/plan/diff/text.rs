//! What differs between two plans, for people.

use serde_json::Value;

use super::{FieldChange, PlanDiff, StepChange, StepWords};
use crate::plan::style::{Paint, Style, printable};

/// How much of a value is shown; JSON has all of it.
const LIMIT: usize = 120;
/// How much of what two long texts have in common is shown in front of the first difference.
const CONTEXT: usize = 20;

impl PlanDiff {
    /// Writes what differs: `+` is only in the new plan, `-` only in the old one, `~` in both. Empty when nothing
    /// does.
    pub fn text(&self, style: Style) -> String {
        let mut page = Page { style, text: String::new() };
        // The document's own line says that its text has changed.
        let said = |change: &&FieldChange| self.sources.is_empty() || change.field != "sha256";
        page.fields("runbook", &self.runbook.iter().filter(said).cloned().collect::<Vec<_>>());
        page.fields("asked for", &self.inputs);
        page.fields("documents (sha256)", &self.sources);
        page.fields("files it refers to (sha256)", &self.files);
        page.fields("step kinds", &self.kinds);
        page.fields("environment", &self.settings);
        page.fields("values", &self.values);
        page.fields("plan", &self.other);
        page.steps("found while planning", &self.pinned);
        page.steps("steps", &self.steps);
        if self.reordered {
            page.title("order of steps");
            page.line(2, "the steps stand in another order");
        }
        page.text
    }
}

struct Page {
    style: Style,
    text: String,
}

impl Page {
    fn line(&mut self, indent: usize, line: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn title(&mut self, title: &str) {
        let title = self.style.paint(Paint::Strong, title);
        self.line(0, &title);
    }

    fn fields(&mut self, title: &str, changes: &[FieldChange]) {
        if changes.is_empty() {
            return;
        }
        self.title(title);
        for change in changes {
            self.field(2, change);
        }
    }

    fn field(&mut self, indent: usize, change: &FieldChange) {
        let field = printable(&change.field);
        let line = match (&change.old, &change.new) {
            (None, Some(new)) => format!("{} {field}: {}", self.added(), shown(new)),
            (Some(old), None) => format!("{} {field}: {}", self.removed(), shown(old)),
            (old, new) => {
                let (old, new) = pair(old.as_ref(), new.as_ref());
                format!("{} {field}: {old} → {new}", self.changed())
            }
        };
        self.line(indent, &line);
    }

    fn steps(&mut self, title: &str, changes: &[StepChange]) {
        if changes.is_empty() {
            return;
        }
        self.title(title);
        for change in changes {
            match change {
                StepChange::Added(words) => self.only_one_has(&self.added(), words),
                StepChange::Removed(words) => self.only_one_has(&self.removed(), words),
                StepChange::Changed { id, fields } => {
                    let id = self.style.paint(Paint::Strong, &printable(id.as_str()));
                    self.line(2, &format!("{} {id}", self.changed()));
                    // What a step says it will do follows from its parameters: told when nothing else is.
                    let said = |change: &&FieldChange| change.field.starts_with("intent.");
                    let only_said = fields.iter().all(|change| said(&change));
                    for change in fields.iter().filter(|change| only_said || !said(change)) {
                        self.field(6, change);
                    }
                }
            }
        }
    }

    fn only_one_has(&mut self, mark: &str, words: &StepWords) {
        let id = self.style.paint(Paint::Strong, &printable(words.id.as_str()));
        let kind = self.style.paint(Paint::Quiet, &printable(&words.kind));
        let effect = words.effect;
        self.line(2, &format!("{mark} {id}  {kind} ({effect}): {}", printable(&words.summary)));
    }

    fn added(&self) -> String {
        self.style.paint(Paint::Good, "+")
    }

    fn removed(&self) -> String {
        self.style.paint(Paint::Bad, "-")
    }

    fn changed(&self) -> String {
        self.style.paint(Paint::Read, "~")
    }
}

fn shown(value: &Value) -> String {
    cut(&words(value), 0)
}

/// Gives a value as JSON; of a sha256 only its beginning, which is enough to tell two apart.
fn words(value: &Value) -> String {
    match value.as_str() {
        Some(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{}…", &text[..12])
        }
        Some(_) | None => value.to_string(),
    }
}

/// Shows two values so that the first difference is among what is shown.
fn pair(old: Option<&Value>, new: Option<&Value>) -> (String, String) {
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), words);
    let (old, new) = (text(old), text(new));
    let longest = old.chars().count().max(new.chars().count());
    let common = old.chars().zip(new.chars()).take_while(|(one, other)| one == other).count();
    let start = if longest > LIMIT { common.saturating_sub(CONTEXT) } else { 0 };
    (cut(&old, start), cut(&new, start))
}

fn cut(text: &str, start: usize) -> String {
    let front = if start > 0 { "…" } else { "" };
    let mut rest = text.chars().skip(start);
    let part: String = rest.by_ref().take(LIMIT).collect();
    let back = if rest.next().is_some() { "…" } else { "" };
    printable(&format!("{front}{part}{back}"))
}
