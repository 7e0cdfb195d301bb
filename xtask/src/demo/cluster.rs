//! Where the demo works: a folder with two sandboxes, an environment for them, and local stores.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use mysql_async::{Conn, OptsBuilder};
use serde_json::Value;

use super::program::Program;

/// A password that breaks everything that quotes carelessly.
const PASSWORD: &str = r#"s3'cr"et $HOME \ #`id`"#;

/// Where the demo works.
pub(super) struct Place {
    pub(super) dir: PathBuf,
    keep: bool,
    // Removes the folder when it is ours and not kept.
    temporary: Option<tempfile::TempDir>,
}

/// One server of the demo.
pub(super) struct Server {
    pub(super) directory: PathBuf,
    pub(super) pid: i32,
    port: u16,
}

impl Place {
    /// Makes the folder.
    pub(super) fn new(dir: Option<&Path>, keep: bool) -> Result<Self> {
        let (dir, temporary) = if let Some(dir) = dir {
            fs::create_dir_all(dir)?;
            (dir.canonicalize()?, None)
        } else {
            let temporary = tempfile::Builder::new().prefix("rekindle-demo-").tempdir()?;
            (temporary.path().to_owned(), Some(temporary))
        };
        let password = dir.join("password");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(password)?;
        std::io::Write::write_all(&mut file, PASSWORD.as_bytes())?;
        Ok(Self { dir, keep, temporary })
    }

    /// Asks the program for a server: `primary`, `replica-0`.
    pub(super) fn server(&self, program: &Program, name: &str) -> Result<Server> {
        let listed: Value =
            serde_json::from_str(&program.capture(&self.dir, &["sandbox", "list", ".", "--json"])?)?;
        let found = listed.as_array().into_iter().flatten().find_map(|server| {
            let directory = PathBuf::from(server["directory"].as_str()?);
            (directory.file_name()? == name).then_some((directory, server))
        });
        let (directory, server) = found.with_context(|| format!("there is no server {name}"))?;
        let number = |field: &str| server[field].as_i64().with_context(|| format!("{name} has no {field}"));
        Ok(Server { directory, pid: i32::try_from(number("pid")?)?, port: u16::try_from(number("port")?)? })
    }

    /// Stops the servers and removes everything, unless it is to be kept; proves that nothing is left.
    pub(super) fn clean_up(self, program: &Program) -> Result<()> {
        if self.keep {
            let dir = self.temporary.map_or(self.dir, tempfile::TempDir::keep);
            super::story::say(&format!(
                "kept: everything is in {}; `rekindle sandbox down` there stops the servers",
                dir.display()
            ));
            return Ok(());
        }
        program.run(&self.dir, &["sandbox", "down", "."])?;
        let left = processes_in(&self.dir);
        ensure!(left.is_empty(), "these processes are left: {left:?}");
        let locks = held_locks(&self.dir.join(".rekindle/locks"))?;
        ensure!(locks.is_empty(), "these locks are left: {locks:?}");
        let Some(temporary) = self.temporary else { return Ok(()) };
        temporary.close().context("failed to remove the demo's folder")?;
        ensure!(!self.dir.exists(), "{} is still there", self.dir.display());
        super::story::say("no process, folder or lock is left");
        Ok(())
    }
}

/// Gives the locks that somebody holds. The record of a group stays when it is free, so that no token is given twice.
fn held_locks(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut held = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_record = path.extension().is_some_and(|extension| extension == "lease");
        let text = fs::read_to_string(&path)?;
        let record: Value = serde_json::from_str(text.lines().next().unwrap_or_default()).unwrap_or_default();
        if !is_record || !record.is_object() || record.get("holder").is_some() {
            held.push(path);
        }
    }
    Ok(held)
}

impl Server {
    /// Connects as root.
    pub(super) async fn connect(&self) -> Result<Conn> {
        let options =
            OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(self.port).user(Some("root"));
        let options = options.pass(Some(PASSWORD)).prefer_socket(false);
        Conn::new(options).await.with_context(|| format!("failed to connect to port {}", self.port))
    }
}

/// Finds processes that were started in a folder or work on a file below it.
fn processes_in(dir: &Path) -> Vec<String> {
    let text = dir.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if cwd.starts_with(dir) || command.contains(&text) {
            found.push(command);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::held_locks;

    #[test]
    fn a_group_that_is_free_holds_no_lock_and_a_holder_or_what_can_not_be_read_does() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(held_locks(&folder.path().join("none")).unwrap().is_empty());
        write("free.lease", "{\"token\":3}\nsum\n");
        assert!(held_locks(folder.path()).unwrap().is_empty());
        write("held.lease", "{\"token\":3,\"holder\":{}}\nsum\n");
        write("torn.lease", "{\"tok");
        write("g.lock", "");
        assert_eq!(held_locks(folder.path()).unwrap().len(), 3);
    }
}
