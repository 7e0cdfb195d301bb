//! What a command could not do, and how it is told.

use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme};
use rekindle_engine::diagnostic::Diagnostic;

use crate::exit::Exit;
use crate::output;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Mistakes in what the user wrote.
    Mistakes(Vec<Diagnostic>),
    /// Anything else, with the exit code it means.
    Plain {
        /// What went wrong: a lowercase fragment.
        message: String,
        /// What to do.
        help: Option<String>,
        /// How the program ends.
        exit: Exit,
    },
}

impl Failure {
    /// Makes a failure that is the user's to mend.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Plain { message: message.into(), help: None, exit: Exit::Input }
    }

    /// Makes a failure of what was begun.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Plain { message: message.into(), help: None, exit: Exit::Failed }
    }

    /// Says how the program ends, where a signal brought this about.
    #[must_use]
    pub(crate) fn ending(mut self, by: Option<Exit>) -> Self {
        if let (Self::Plain { exit, .. }, Some(by)) = (&mut self, by) {
            *exit = by;
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        if let Self::Plain { help, .. } = &mut self {
            *help = Some(text.into());
        }
        self
    }

    /// Gives what went wrong in one line.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Mistakes(diagnostics) => diagnostics
                .iter()
                .map(|diagnostic| diagnostic.message.as_str())
                .collect::<Vec<_>>()
                .join("; "),
            Self::Plain { message, .. } => message.clone(),
        }
    }

    /// Tells it on standard error and gives the exit code.
    pub(crate) fn report(&self) -> Exit {
        match self {
            Self::Mistakes(diagnostics) => {
                output::error(&render(diagnostics));
                Exit::Input
            }
            Self::Plain { message, help, exit } => {
                let mut text = format!("error: {message}\n");
                if let Some(help) = help {
                    let _ = writeln!(text, "help: {help}");
                }
                output::error(&text);
                *exit
            }
        }
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Mistakes(diagnostics)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Mistakes(vec![diagnostic])
    }
}

/// Renders diagnostics one after the other with their source lines, and a count when there are several.
pub(crate) fn render(diagnostics: &[Diagnostic]) -> String {
    let theme =
        if output::error_colours() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(output::width()).with_context_lines(1);
    let mut text = String::new();
    for diagnostic in diagnostics {
        if handler.render_report(&mut text, diagnostic).is_err() {
            let _ = writeln!(text, "{}: {diagnostic}", diagnostic.code);
        }
        text.push('\n');
    }
    if diagnostics.len() > 1 {
        let _ = writeln!(text, "{} mistakes", diagnostics.len());
    }
    text
}
