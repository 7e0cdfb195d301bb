//! The rekindle program that the demo drives, as a user would.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The built binary.
pub(super) struct Program {
    binary: PathBuf,
}

/// Builds the binary.
pub(super) fn build() -> Result<Program> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "rekindle", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("failed to run cargo")?;
    if !built.status.success() {
        bail!("rekindle does not build");
    }
    let binary = String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .context("cargo did not say where the program is")?;
    Ok(Program { binary })
}

impl Program {
    /// Takes a binary that is built already.
    pub(super) fn at(binary: &Path) -> Result<Self> {
        let binary = std::path::absolute(binary).context("failed to find the program")?;
        Ok(Self { binary })
    }

    /// Runs a command line in `dir`, shown to the reader, and fails when it does.
    pub(super) fn run(&self, dir: &Path, args: &[&str]) -> Result<()> {
        super::story::command(args);
        let status = self.command(dir, args).status().context("failed to start rekindle")?;
        if !status.success() {
            bail!("`rekindle {}` ended with {status}", args.join(" "));
        }
        Ok(())
    }

    /// Runs a command line and gives what it printed on standard output.
    pub(super) fn capture(&self, dir: &Path, args: &[&str]) -> Result<String> {
        let output =
            self.command(dir, args).stderr(Stdio::inherit()).output().context("failed to start rekindle")?;
        if !output.status.success() {
            bail!("`rekindle {}` ended with {}", args.join(" "), output.status);
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command line that writes JSON lines and kills it with -9 as soon as `enough` says so.
    /// Gives the id of the run it was driving.
    pub(super) fn run_until_killed(
        &self,
        dir: &Path,
        args: &[&str],
        mut enough: impl FnMut(&Value) -> bool,
    ) -> Result<String> {
        super::story::command(args);
        let mut child =
            self.command(dir, args).stdout(Stdio::piped()).spawn().context("failed to start rekindle")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut run = None;
        for line in BufReader::new(stdout).lines() {
            let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
            if let Some(id) = message.pointer("/record/event/run").and_then(Value::as_str) {
                run = Some(id.to_owned());
            }
            if enough(&message) {
                child.kill().context("failed to kill the runner")?;
                child.wait()?;
                return run.context("the runner did not say which run it drives");
            }
        }
        bail!("the runner ended by itself before it could be killed: {}", child.wait()?)
    }

    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(dir).stdin(Stdio::null());
        command
    }
}
