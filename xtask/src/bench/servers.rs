//! The programs that are measured, and the stores they are measured against.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What the S3 server for tests takes (`emulators/src/s3.rs`).
const KEY: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAEMULATOR"),
    ("AWS_SECRET_ACCESS_KEY", "emulator/secret+key"),
    ("AWS_REGION", "us-east-1"),
];

/// Release builds of rekindle and of the servers.
pub(super) struct Programs {
    rekindle: PathBuf,
    emulators: PathBuf,
}

/// A store's server in a process of its own.
pub(super) struct Server {
    pub(super) endpoint: String,
    /// The folder that it keeps everything in.
    pub(super) root: PathBuf,
    child: Child,
    /// It ends when this is closed.
    input: Option<ChildStdin>,
}

impl Programs {
    pub(super) fn build() -> Result<Self> {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--package", "rekindle", "--package", "rekindle-emulators"])
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .context("failed to run cargo")?;
        if !built.status.success() {
            bail!("rekindle does not build");
        }
        let text = String::from_utf8_lossy(&built.stdout).into_owned();
        let executables = text.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(PathBuf::from(message.get("executable")?.as_str()?))
        });
        let all: Vec<PathBuf> = executables.collect();
        let find = |name: &str| {
            let found = all.iter().find(|path| path.file_name().is_some_and(|file| file == name));
            found.cloned().with_context(|| format!("cargo did not say where {name} is"))
        };
        Ok(Self { rekindle: find("rekindle")?, emulators: find("rekindle-emulators")? })
    }

    /// Prepares a command line of rekindle, with the credentials of the servers and nothing of this machine's.
    pub(super) fn rekindle(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.rekindle);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(args).current_dir(folder).env_clear().env("PATH", path).envs(KEY);
        command
    }

    pub(super) fn serve(&self, kind: &str) -> Result<Server> {
        let mut child = Command::new(&self.emulators)
            .args([kind, "bench"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start the server")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut next = || lines.next().transpose()?.context("the server did not start");
        let (endpoint, root) = (next()?, PathBuf::from(next()?));
        Ok(Server { endpoint, root, child, input })
    }
}

/// Gives a command the credentials of the S3 server.
pub(super) fn with_credentials(command: &mut Command) {
    command.envs(KEY);
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input = None;
        // It has nothing to say any more.
        let _ = self.child.wait();
    }
}
