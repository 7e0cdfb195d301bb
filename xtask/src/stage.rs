//! Runs one command of a task: receives its words, yields success, or why the task stops and with what code.

use std::ffi::OsString;
use std::path::PathBuf;

/// Why a task stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What went wrong and what to do.
    pub(crate) message: String,
    /// The exit code of `cargo xtask`.
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }
}

/// Gives the folder of the workspace.
pub(crate) fn workspace_root() -> PathBuf {
    // Set by `cargo run` for the package it runs.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    package.and_then(|dir| dir.parent().map(PathBuf::from)).unwrap_or_else(|| PathBuf::from("."))
}

/// One command, run in the workspace with its output shown.
#[derive(Debug)]
pub(crate) struct Stage {
    program: OsString,
    words: Vec<OsString>,
    variables: Vec<(&'static str, String)>,
}

impl Stage {
    /// Makes a command of a program and its arguments.
    pub(crate) fn new<W: Into<OsString>>(
        program: impl Into<OsString>,
        words: impl IntoIterator<Item = W>,
    ) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        Self { program: program.into(), words, variables: Vec::new() }
    }

    /// Makes a command of cargo: the one that runs this program.
    pub(crate) fn cargo<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), words)
    }

    /// Sets a variable for the command.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Shows the command and runs it.
    ///
    /// # Errors
    /// A failure with the exit code of the command.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        println!("\n==> {}", self.shown());
        self.run_unnamed()
    }

    /// Runs the command without showing it first.
    ///
    /// # Errors
    /// As [`Stage::run`].
    pub(crate) fn run_unnamed(&self) -> Result<(), Failure> {
        let output = self.expression().run().map_err(|error| self.not_started(&error))?;
        match output.status.code() {
            Some(0) => Ok(()),
            code => Err(self.ended(code)),
        }
    }

    /// Runs the command quietly and gives its standard output.
    ///
    /// # Errors
    /// A failure with the exit code of the command and what it said.
    pub(crate) fn read(&self) -> Result<String, Failure> {
        let expression = self.expression().stdout_capture().stderr_capture();
        let output = expression.run().map_err(|error| self.not_started(&error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let mut failure = self.ended(output.status.code());
        failure.message = format!("{}\n{}", failure.message, String::from_utf8_lossy(&output.stderr).trim());
        Err(failure)
    }

    fn expression(&self) -> duct::Expression {
        let mut expression = duct::cmd(self.program.clone(), &self.words).dir(workspace_root()).unchecked();
        for (name, value) in &self.variables {
            expression = expression.env(name, value);
        }
        expression
    }

    fn shown(&self) -> String {
        let variables = self.variables.iter().map(|(name, value)| format!("{name}='{value}'"));
        let program = std::path::Path::new(&self.program).file_name().unwrap_or(&self.program);
        let words = std::iter::once(program).chain(self.words.iter().map(OsString::as_os_str));
        let words = words.map(|word| word.to_string_lossy().into_owned());
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }

    fn not_started(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("failed to start {}: {error}", self.program.to_string_lossy()))
    }

    fn ended(&self, code: Option<i32>) -> Failure {
        let how = code.map_or_else(
            || "was ended by a signal".to_owned(),
            |code| format!("ended with exit code {code}"),
        );
        let code = code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1);
        Failure { message: format!("`{}` {how}", self.shown()), code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_stops_with_the_exit_code_of_its_command() {
        let failure = Stage::new("sh", ["-c", "exit 42"]).run().unwrap_err();
        assert_eq!(
            failure,
            Failure { message: "`sh -c exit 42` ended with exit code 42".to_owned(), code: 42 }
        );
    }

    #[test]
    fn a_command_that_a_signal_ended_is_a_failure() {
        assert_eq!(Stage::new("sh", ["-c", "kill -9 $$"]).run().unwrap_err().code, 1);
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = Stage::new("no-such-program", [""; 0]).run().unwrap_err();
        assert!(failure.message.starts_with("failed to start no-such-program"), "{}", failure.message);
    }

    #[test]
    fn what_a_command_says_can_be_read() {
        let stage = Stage::new("sh", ["-c", "echo \"$GREETING\""]).variable("GREETING", "hello");
        assert_eq!(stage.read().unwrap(), "hello\n");
    }
}
