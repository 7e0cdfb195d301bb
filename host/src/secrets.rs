//! Secrets from the places an environment names: receives a [`SecretSource`], yields its value.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rekindle_engine::environment::SecretSource;
use rekindle_engine::host::{
    CommandSpec, ExitReport, Masker, ProcessError, Processes, RunningProcess, Secret, SecretError, Secrets,
    TerminateReason,
};
use rekindle_engine::id::SecretName;

use crate::processes::SystemProcesses;

/// More than any password or key; less than anything that was named by mistake.
const LIMIT_BYTES: u64 = 64 * 1024;
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
const COMMAND_GRACE: Duration = Duration::from_secs(2);

/// Reads secrets from environment variables, files and commands, each time anew.
#[derive(Clone)]
pub struct SystemSecrets {
    processes: SystemProcesses,
    masker: Masker,
    command_limit: Duration,
}

impl SystemSecrets {
    /// Commands are run through `processes`; `masker` learns every value before it is given out.
    pub fn new(processes: SystemProcesses, masker: Masker) -> Self {
        Self { processes, masker, command_limit: COMMAND_LIMIT }
    }
}

impl Secrets for SystemSecrets {
    fn read(&self, name: &SecretName, source: &SecretSource) -> Result<Secret, SecretError> {
        let (from, bytes) = match (&source.env, &source.file, &source.command) {
            (Some(variable), None, None) => {
                (format!("the environment variable {variable}"), read_variable(variable))
            }
            (None, Some(path), None) => (format!("the file {path}"), read_file(path)),
            (None, None, Some(argv)) => (format!("the command {}", argv.join(" ")), self.run_command(argv)),
            _ => ("its source".to_owned(), Err("give exactly one of `env`, `file` and `command`".to_owned())),
        };
        let secret = bytes.and_then(as_text).map(Secret::new);
        let secret = secret.map_err(|why| SecretError { name: name.clone(), from, why })?;
        self.masker.learn(&secret);
        Ok(secret)
    }
}

fn read_variable(variable: &str) -> Result<Vec<u8>, String> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(variable)
        .map(OsStringExt::into_vec)
        .ok_or_else(|| format!("it is not set; export {variable} before you start rekindle"))
}

fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; write the secret into it, with mode 0600".to_owned()
        }
        _ => error.to_string(),
    })?;
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("others than its owner may use it (mode {mode:04o}); run `chmod 600 {path}`"));
    }
    read_bounded(file)
}

fn read_bounded(source: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err("it is larger than 64 KiB, which no secret is".to_owned());
    }
    Ok(without_newline(bytes))
}

/// Editors and `echo` end a file with a newline that is not part of the secret.
fn without_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    bytes
}

fn as_text(bytes: Vec<u8>) -> Result<String, String> {
    // An empty password is said by leaving `password` away; here it is an accident.
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

impl SystemSecrets {
    fn run_command(&self, argv: &[String]) -> Result<Vec<u8>, String> {
        let (program, rest) = argv.split_first().ok_or("the command is empty")?;
        let spec = CommandSpec::new(program).args(rest);
        let mut process = self.processes.start(&spec).map_err(|error| describe(&error))?;
        let terminate = process.terminator();
        let stdout = process.take_stdout();
        let (sender, receiver) = mpsc::channel();
        // Not joined: whatever holds the pipe open after the time limit must not hold us.
        thread::spawn(move || sender.send(read_to_end(process, stdout)));
        receiver.recv_timeout(self.command_limit).unwrap_or_else(|_| {
            terminate(TerminateReason::TimedOut, COMMAND_GRACE);
            Err(format!("it did not end within {} s", self.command_limit.as_secs()))
        })
    }
}

/// Reads the output, then the exit code. Neither output nor standard error goes into a message: either may
/// hold the secret.
fn read_to_end(
    process: Box<dyn RunningProcess>,
    stdout: Option<Box<dyn Read + Send>>,
) -> Result<Vec<u8>, String> {
    // On an error the process is dropped here, and that ends it.
    let bytes = stdout.map_or_else(|| Ok(Vec::new()), read_bounded)?;
    let report: ExitReport = process.wait().map_err(|error| describe(&error))?;
    if report.success() {
        Ok(bytes)
    } else {
        Err(format!("it ended with {}; run it by hand to see what it says", report.describe()))
    }
}

fn describe(error: &ProcessError) -> String {
    match error {
        ProcessError::NotFound { program } => {
            format!("there is no program `{program}` on PATH; install it or name it by its path")
        }
        ProcessError::Io { source, .. } => source.to_string(),
    }
}

#[cfg(test)]
mod tests;
