//! The program under test, in a folder of its own, without the environment of whoever runs the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder with the documents a user wrote.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    /// What the program takes for the machine's temporary folder. Tests run side by side: in a shared one each would
    /// find what another's killed runner leaves until its reaper is done.
    temporary: tempfile::TempDir,
}

/// What a command line gave.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// Makes an empty folder.
    pub(crate) fn new() -> Self {
        let folder = |prefix| tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        Self { folder: folder("rekindle-e2e-"), temporary: folder("rekindle-tmp-") }
    }

    /// Gives the folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder that the program has for temporary files.
    pub(crate) fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes a folder whose environment `here` keeps its journals in a store, given as the fields of one.
    pub(crate) fn with_journal_in(store: &str) -> Self {
        let project = Self::new();
        let environment = format!(
            "apiVersion: rekindle/v1\nkind: Environment\nname: here\njournal: {{ store: shared }}\n\
             stores: {{ shared: {{ {store} }} }}\n"
        );
        project.write("environments/here.yaml", &environment);
        project
    }

    /// Prepares a command line in the folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekindle"));
        command.args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("TMPDIR", self.temporary());
        command
    }

    /// Runs a command line.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        Answer::from(self.command(args).output().unwrap())
    }

    /// Gives every file below a folder with its contents, to compare before and after.
    pub(crate) fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    files.push((path.clone(), Vec::new()));
                    folders.push(path);
                } else if let Ok(bytes) = fs::read(&path) {
                    files.push((path, bytes));
                }
            }
        }
        files.sort();
        files
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Answer {
    /// Asserts that it ended with 0.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.code(0)
    }

    /// Asserts how it ended.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Reads standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}
