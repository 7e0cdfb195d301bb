//! Asks on the terminal that shows the run: the tree makes room for the question, and comes back after the answer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rekindle_engine::id::{RunId, StepId};
use rekindle_engine::journal::{Event, Record};
use rekindle_engine::plan::{Plan, Style, printable};
use rekindle_engine::run::{Answer, Approvals, Awaited, InboxApprovals, Observer, Verdict};
use rekindle_engine::step::Progress;

use super::keyboard::Keyboard;
use super::question::{Typed, question, understand};
use super::tree::Tree;
use crate::output;
use crate::person::Person;

/// The person at this terminal, and those who answer elsewhere.
pub(super) struct Asker {
    run: RunId,
    plan: Arc<Plan>,
    tree: Tree,
    person: Person,
    elsewhere: InboxApprovals,
    keyboard: tokio::sync::Mutex<Keyboard>,
    asked: Mutex<Asked>,
}

/// What was said to the person.
#[derive(Default)]
struct Asked {
    /// The question on the screen, and how many had approved when it was shown.
    open: Option<(StepId, u64, usize)>,
    /// Questions that they leave to others.
    passed: HashSet<(StepId, u64)>,
    /// Nothing more can be typed.
    gone: bool,
}

impl Asker {
    pub(super) fn new(run: RunId, plan: Arc<Plan>, person: Person, elsewhere: InboxApprovals) -> Self {
        let tree = Tree::new(&plan);
        let (keyboard, asked) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { run, plan, tree, person, elsewhere, keyboard, asked }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the first question that this person can still answer.
    fn mine<'a>(&self, awaited: &'a [Awaited]) -> Option<&'a Awaited> {
        let asked = self.asked();
        let open = |awaited: &&Awaited| {
            !asked.gone
                && !awaited.has_approved(&self.person.name)
                && !asked.passed.contains(&(awaited.step.clone(), awaited.request))
        };
        awaited.iter().find(open)
    }

    /// Shows a question, unless it is what the screen shows already.
    fn show(&self, awaited: &Awaited, keyboard: &mut Keyboard) {
        let open = (awaited.step.clone(), awaited.request, awaited.approved_by.len());
        if self.asked().open.as_ref() == Some(&open) {
            return;
        }
        self.close();
        self.tree.hide();
        keyboard.forget();
        let style = if output::error_colours() { Style::Ansi } else { Style::Plain };
        output::error(&question(&self.run, &self.plan, awaited, style));
        self.prompt();
        self.asked().open = Some(open);
    }

    fn prompt(&self) {
        output::error(&format!("{}: approve, reject or later, and why? ", printable(&self.person.name)));
    }

    /// Takes the question off the screen.
    fn close(&self) {
        if self.asked().open.take().is_some() {
            self.tree.show();
        }
    }

    /// As [`Asker::close`], where the person did not end the line.
    fn withdraw(&self) {
        if self.asked().open.is_some() {
            output::error("\n");
        }
        self.close();
    }

    fn verdict(&self, awaited: &Awaited, answer: Answer, why: String) -> Verdict {
        Verdict {
            step: awaited.step.clone(),
            request: awaited.request,
            plan_hash: self.plan.hash.clone(),
            answer,
            by: self.person.name.clone(),
            why,
            from: self.person.from.clone(),
        }
    }

    /// Takes what was typed; none when it leads to no answer yet.
    fn hear(&self, awaited: &Awaited, line: Option<&str>) -> Heard {
        match line.map(understand) {
            Some(Typed::Answered(answer, why)) => {
                self.close();
                return Heard::Verdict(self.verdict(awaited, answer, why));
            }
            Some(Typed::Unclear) => {
                output::error("Only `approve`, `reject` and `later` are heard, whole words.\n");
                self.prompt();
                return Heard::Nothing;
            }
            Some(Typed::Later) => {
                self.asked().passed.insert((awaited.step.clone(), awaited.request));
                self.close();
            }
            None => {
                self.asked().gone = true;
                self.withdraw();
            }
        }
        Heard::Left
    }
}

/// Says whether an event leaves nothing to be answered on the screen.
fn ends_question(event: &Event, open: Option<&StepId>) -> bool {
    match event {
        Event::StepApproved { step, .. }
        | Event::StepRejected { step, .. }
        | Event::ApprovalExpired { step }
        | Event::StepCancelled { step }
        | Event::StepFailed { step, .. } => Some(step) == open,
        Event::CancelRequested { .. }
        | Event::RunWaiting { .. }
        | Event::RunPaused { .. }
        | Event::RunFinished { .. } => true,
        _ => false,
    }
}

enum Heard {
    Verdict(Verdict),
    /// They leave it to others.
    Left,
    Nothing,
}

#[async_trait]
impl Approvals for Asker {
    fn attended(&self, awaited: &[Awaited]) -> bool {
        self.mine(awaited).is_some()
    }

    async fn next(&self, awaited: &[Awaited]) -> Option<Verdict> {
        let mut keyboard = self.keyboard.lock().await;
        loop {
            let Some(mine) = self.mine(awaited) else { return self.elsewhere.next(awaited).await };
            self.show(mine, &mut keyboard);
            let heard = tokio::select! {
                biased;
                verdict = self.elsewhere.next(awaited) => return verdict,
                line = keyboard.line() => self.hear(mine, line.as_deref()),
            };
            match heard {
                Heard::Verdict(verdict) => return Some(verdict),
                Heard::Left => return None,
                Heard::Nothing => {}
            }
        }
    }

    fn settled(&self, verdict: &Verdict, taken: Result<(), &str>) {
        self.elsewhere.settled(verdict, taken);
        if let Err(why) = taken {
            self.tree.say(&format!(
                "{}: the answer of {} is refused: {why}",
                verdict.step,
                printable(&verdict.by)
            ));
        }
    }
}

impl Observer for Asker {
    fn record(&self, record: &Record) {
        if ends_question(&record.event, self.asked().open.as_ref().map(|(step, ..)| step)) {
            self.withdraw();
        }
        self.tree.record(record);
    }

    fn progress(&self, step: &StepId, progress: &Progress) {
        self.tree.progress(step, progress);
    }

    fn log(&self, step: &StepId, line: &str) {
        self.tree.log(step, line);
    }
}
