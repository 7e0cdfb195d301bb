//! The live tree: one line a step, with bytes, rate and elapsed time, on a terminal.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rekindle_engine::id::StepId;
use rekindle_engine::journal::{Event, Record};
use rekindle_engine::plan::{Plan, PlanStep, Section, printable};
use rekindle_engine::run::Observer;
use rekindle_engine::step::Progress;

use super::words;

/// One line for every step of the plan, in its order; instances of a `for_each` stand below one another.
pub(super) struct Tree {
    lines: MultiProgress,
    steps: Mutex<HashMap<StepId, Line>>,
    /// What was said while the tree was hidden.
    held: Mutex<Option<VecDeque<String>>>,
}

/// More than that is not kept while the tree is hidden; the logs have it all.
const MOST_HELD: usize = 1000;

struct Line {
    bar: ProgressBar,
    label: String,
    started: Option<Instant>,
    bytes: u64,
}

impl Tree {
    /// Draws every step as waiting.
    pub(super) fn new(plan: &Plan) -> Self {
        let lines = MultiProgress::new();
        let width = plan.steps.iter().map(|step| label(step).chars().count()).max().unwrap_or(0);
        let mut steps = HashMap::new();
        let mut section = Section::Main;
        for (position, step) in plan.steps.iter().enumerate() {
            if step.section != section {
                section = step.section;
                add_heading(&lines, section);
            }
            let next = plan.steps.get(position + 1);
            let last = next.is_none_or(|next| next.section != step.section);
            let bar = lines.add(unstyled());
            bar.set_prefix(if last { "└─" } else { "├─" });
            let label = format!("{:width$}", label(step));
            settle(&bar, "·", "dim", &label, "");
            steps.insert(step.id.clone(), Line { bar, label, started: None, bytes: 0 });
        }
        Self { lines, steps: Mutex::new(steps), held: Mutex::default() }
    }

    fn with(&self, step: &StepId, act: impl FnOnce(&mut Line)) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = steps.get_mut(step) {
            act(line);
        }
    }

    /// Makes room for something else on the terminal.
    pub(super) fn hide(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(VecDeque::new());
            let _ = self.lines.clear();
            self.lines.set_draw_target(ProgressDrawTarget::hidden());
        }
    }

    /// Draws the tree again, below what was said meanwhile.
    pub(super) fn show(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(held) = held else { return };
        self.lines.set_draw_target(ProgressDrawTarget::stderr());
        for line in self.steps.lock().unwrap_or_else(PoisonError::into_inner).values() {
            line.bar.tick();
        }
        for text in held {
            self.say(&text);
        }
    }

    /// Says something above the tree.
    pub(super) fn say(&self, text: &str) {
        if let Some(held) = self.held.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            held.push_back(text.to_owned());
            if held.len() > MOST_HELD {
                held.pop_front();
            }
            return;
        }
        // A line above the tree; lost only when the terminal is gone.
        let _ = self.lines.println(text);
    }
}

fn label(step: &PlanStep) -> String {
    match &step.name {
        Some(name) => format!("{}  {name}", step.id),
        None => step.id.to_string(),
    }
}

fn add_heading(lines: &MultiProgress, section: Section) {
    let heading = lines.add(unstyled());
    heading.set_style(style("{msg:.dim}"));
    heading.finish_with_message(match section {
        Section::Main => "steps",
        Section::OnFailure => "on failure",
        Section::Finally => "finally",
    });
}

/// A bar without the style that would be drawn, full width, before the first one of ours.
fn unstyled() -> ProgressBar {
    ProgressBar::new(0).with_style(style("{msg}"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

/// Draws a line that no longer moves.
fn settle(bar: &ProgressBar, mark: &str, colour: &str, label: &str, detail: &str) {
    bar.set_style(style(&format!("{{prefix:.dim}} {{msg:.{colour}}}")));
    bar.disable_steady_tick();
    bar.set_message(format!("{mark} {label}  {detail}").trim_end().to_owned());
    bar.tick();
}

impl Line {
    fn begin(&mut self, attempt: u32) {
        self.started = Some(Instant::now());
        self.bytes = 0;
        self.bar.reset();
        self.bar.set_style(style("{prefix:.dim} {spinner:.cyan} {msg}  {elapsed:.dim}"));
        let again = if attempt > 1 { format!("  attempt {attempt}") } else { String::new() };
        self.bar.set_message(format!("{}{again}", self.label));
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }

    fn advance(&mut self, progress: &Progress) {
        if self.bytes == 0 && progress.bytes > 0 {
            self.bar.set_style(style(match progress.total_bytes {
                Some(_) => {
                    "{prefix:.dim} {spinner:.cyan} {msg}  {binary_bytes:>10} of {binary_total_bytes:<10} \
                     {binary_bytes_per_sec:>12}  {elapsed:.dim}"
                }
                None => {
                    "{prefix:.dim} {spinner:.cyan} {msg}  {binary_bytes:>10} {binary_bytes_per_sec:>12}  {elapsed:.dim}"
                }
            }));
        }
        self.bytes = progress.bytes;
        if let Some(total) = progress.total_bytes {
            self.bar.set_length(total);
        }
        self.bar.set_position(progress.bytes);
        if !progress.note.is_empty() {
            let note: String = printable(&progress.note).chars().take(40).collect();
            self.bar.set_message(format!("{}  {note}", self.label));
        }
    }

    fn end(&mut self, mark: &str, colour: &str, detail: &str) {
        let mut spent = String::new();
        if let Some(started) = self.started.take() {
            let elapsed = started.elapsed();
            spent = words::duration(elapsed);
            if self.bytes > 0 {
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss
                )]
                let rate = (self.bytes as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
                spent = format!("{spent}  {}  {}/s", words::bytes(self.bytes), words::bytes(rate));
            }
        }
        let detail = [spent.as_str(), detail]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("  ");
        settle(&self.bar, mark, colour, &self.label, &detail);
    }
}

impl Observer for Tree {
    fn record(&self, record: &Record) {
        match &record.event {
            Event::StepStarted { step, attempt } => self.with(step, |line| line.begin(*attempt)),
            Event::StepSucceeded { step, .. } => self.with(step, |line| line.end("✔", "green", "")),
            Event::StepFailed { step, error, retry_at } => {
                let again = if retry_at.is_some() { "will try again: " } else { "" };
                self.with(step, |line| {
                    line.end("✘", "red", &format!("{again}{}", printable(&error.to_string())));
                });
            }
            Event::StepSkipped { step } => self.with(step, |line| line.end("–", "dim", "skipped")),
            Event::StepBlocked { step, by } => {
                self.with(step, |line| line.end("–", "yellow", &format!("blocked by {by}")));
            }
            Event::StepCancelled { step } => self.with(step, |line| line.end("■", "yellow", "cancelled")),
            Event::StepCheckpoint { .. } => {}
            Event::ApprovalRequested { step, needed, .. } => {
                self.with(step, |line| line.end("?", "yellow", &format!("waits for approval by {needed}")));
            }
            Event::ApprovalExpired { step } => {
                self.with(step, |line| line.end("✘", "red", "too few approved in time"));
            }
            Event::StepApproved { step, by, .. } => {
                self.with(step, |line| line.end("?", "yellow", &format!("approved by {by}")));
            }
            Event::StepRejected { step, by, .. } => {
                self.with(step, |line| line.end("✘", "red", &format!("rejected by {by}")));
            }
            Event::RunStarted { .. }
            | Event::RunResumed { .. }
            | Event::StepWarned { .. }
            | Event::StepProbed { .. }
            | Event::StepResolved { .. }
            | Event::RunWaiting { .. }
            | Event::RunReplanned { .. }
            | Event::CancelRequested { .. }
            | Event::RunPaused { .. } => {
                if let Some(text) = words::event(&record.event) {
                    self.say(&text);
                }
            }
            Event::RunFinished { .. } => {
                let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
                for line in steps.values() {
                    line.bar.abandon();
                }
            }
        }
    }

    fn progress(&self, step: &StepId, progress: &Progress) {
        self.with(step, |line| line.advance(progress));
    }

    fn log(&self, step: &StepId, line: &str) {
        self.say(&format!("{step}: {}", printable(line)));
    }
}
