//! From parameters to a command line: receives `with:` as known so far, yields what a person would type.

use std::ffi::OsString;
use std::path::Path;

use rekindle_engine::host::CommandSpec;
use rekindle_engine::step::{Intent, Planned, StepError};
use serde_json::Value;

use super::RunParams;

/// What `run` does, once the two spellings are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A program with its arguments.
    Command(Vec<String>),
    /// A script for `sh -eu`.
    Script(String),
}

impl What {
    /// Says it in a few words, for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Command(words) => format!("`{}`", words.first().map_or("", String::as_str)),
            Self::Script(_) => "the script".to_owned(),
        }
    }
}

/// Tells the two spellings apart.
///
/// # Errors
/// When there is none or both, or the command is empty.
pub(super) fn what(command: Option<Vec<String>>, script: Option<String>) -> Result<What, StepError> {
    match (command, script) {
        (Some(words), None) if words.first().is_none_or(String::is_empty) => {
            Err(StepError::permanent("`command` names no program")
                .help("write `command: [program, argument, …]`"))
        }
        (Some(words), None) => Ok(What::Command(words)),
        (None, Some(script)) if script.trim().is_empty() => {
            Err(StepError::permanent("the script is empty").help("write what it is to do"))
        }
        (None, Some(script)) => Ok(What::Script(script)),
        (None, None) => Err(StepError::permanent("there is nothing to run")
            .help("write `run: [program, argument, …]`, or `run: |` and a script")),
        (Some(_), Some(_)) => Err(StepError::permanent("there are a `command` and a `script`")
            .help("keep one of them, or make two steps")),
    }
}

/// Makes the command line of typed parameters; a script's comes without its file.
pub(super) fn spec(params: &RunParams, what: &What) -> Result<CommandSpec, StepError> {
    let mut spec = match what {
        What::Command(words) => {
            CommandSpec::new(words.first().cloned().unwrap_or_default()).args(words.iter().skip(1))
        }
        What::Script(_) => CommandSpec::new("sh").arg("-eu"),
    };
    for (name, value) in &params.env {
        check_name(name)?;
        spec.env.push((OsString::from(name), OsString::from(&value.0)));
    }
    spec.cwd = params.cwd.as_ref().map(Into::into);
    Ok(spec)
}

/// POSIX.1-2017, Base Definitions 8.1: what a shell can refer to.
fn check_name(name: &str) -> Result<(), StepError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(StepError::permanent(format!("`{name}` is no name of a variable"))
            .help("use letters, digits and `_`, and no digit in front"));
    }
    Ok(())
}

/// Finds the program to look for on `PATH`; nothing when it is not known yet or a path.
pub(super) fn program(params: &Planned<RunParams>) -> Result<Option<String>, StepError> {
    match shown_what(params.rendered())? {
        What::Script(_) => Ok(Some("sh".to_owned())),
        What::Command(_) => {
            let program = params.value("/command/0").and_then(Value::as_str);
            Ok(program.filter(|program| !program.contains('/')).map(str::to_owned))
        }
    }
}

/// Programs whose first argument that is no option is a script.
const INTERPRETERS: [&str; 9] = ["sh", "bash", "dash", "ksh", "zsh", "python3", "python", "perl", "ruby"];

/// Finds the scripts of the project that will be run: a program by a relative path, and what an interpreter is
/// given. A saved plan is refused when one of them has changed; programs of the system are not covered.
pub(super) fn reads(params: &Planned<RunParams>) -> Vec<String> {
    let cwd = match (params.rendered().get("cwd"), params.value("/cwd")) {
        (None | Some(Value::Null), _) => "",
        (Some(_), Some(Value::String(cwd))) => cwd,
        (Some(_), _) => return Vec::new(),
    };
    let known = |position: usize| params.value(&format!("/command/{position}")).and_then(Value::as_str);
    let Some(program) = known(0) else { return Vec::new() };
    let mut files = Vec::new();
    if program.contains('/') && !program.starts_with('/') {
        files.push(program);
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    if INTERPRETERS.contains(&name)
        && let Some(script) = known(1).filter(|argument| !argument.starts_with('-'))
    {
        files.push(script);
    }
    files.into_iter().map(|file| Path::new(cwd).join(file).display().to_string()).collect()
}

/// Says what will be run, as a person would type it. What is not known yet is shown in its place.
pub(super) fn intent(rendered: &Value) -> Result<Intent, StepError> {
    let what = shown_what(rendered)?;
    let mut prefix = String::new();
    if let Some(cwd) = rendered.get("cwd").filter(|cwd| !cwd.is_null()) {
        prefix = format!("{} && ", CommandSpec::new("cd").arg(text(cwd)).display());
    }
    let mut words = Vec::new();
    if let Some(env) = rendered.get("env").and_then(Value::as_object).filter(|env| !env.is_empty()) {
        words.push("env".to_owned());
        for (name, value) in env {
            check_name(name)?;
            words.push(format!("{name}={}", text(value)));
        }
    }
    let mut commands = Vec::new();
    match &what {
        What::Command(command) => {
            words.extend(command.iter().cloned());
            commands.push(prefix + &line(&words));
        }
        What::Script(script) => {
            words.extend(["sh".to_owned(), "-eu".to_owned()]);
            commands.push(format!("{prefix}{} <<'END'", line(&words)));
            commands.extend(script.lines().map(str::to_owned));
            commands.push("END".to_owned());
        }
    }
    let summary = match &what {
        What::Command(command) => format!("run {}", line(command)),
        What::Script(_) => "run a script".to_owned(),
    };
    Ok(Intent { summary, commands, ..Intent::default() })
}

fn shown_what(rendered: &Value) -> Result<What, StepError> {
    let given = |field: &str| rendered.get(field).filter(|value| !value.is_null());
    let command = given("command").map(|command| match command {
        Value::Array(words) => words.iter().map(text).collect(),
        // The whole list is not known yet.
        other => vec![text(other)],
    });
    what(command, given("script").map(text))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn line(words: &[String]) -> String {
    let (program, rest) = words.split_first().map_or(("", words), |(first, rest)| (first.as_str(), rest));
    CommandSpec::new(program).args(rest).display()
}
