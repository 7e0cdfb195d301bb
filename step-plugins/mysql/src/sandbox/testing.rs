//! Servers for tests: a temporary MariaDB or MySQL that is killed and removed when its guard is dropped.
//!
//! Not behind a feature, because tests of other crates use it; nothing else should.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rekindle_backup::manifest::Flavour;
use rekindle_engine::environment::{SecretRef, Target};
use rekindle_engine::host::{Processes, Secret};
use tokio_util::sync::CancellationToken;

use super::directory::SandboxDirectory;
use super::{
    Ending, ReplicationLogin, Running, SandboxError, SandboxSpec, free_port, server_process, stop, up,
};
use crate::connection::Login;

/// A password that breaks every careless quoting.
pub const CANARY_PASSWORD: &str = r#"p'a"ss\$w$(id)#"#;
/// The replication account of every [`TempServer`]; its password is [`CANARY_PASSWORD`] too.
pub const REPLICATION_USER: &str = "replication";

static NEXT: AtomicU32 = AtomicU32::new(0);
/// Another program may take a free port between looking and listening.
const TRIES: u32 = 3;

/// A server of one test, with the account `root` and the password [`CANARY_PASSWORD`].
pub struct TempServer {
    spec: SandboxSpec,
    directory: SandboxDirectory,
    processes: Arc<dyn Processes>,
    running: Running,
}

impl TempServer {
    /// Starts a MariaDB; `name` is its target's name in messages.
    ///
    /// # Errors
    /// As [`up`].
    pub async fn start(name: &str, processes: &Arc<dyn Processes>) -> Result<Self, SandboxError> {
        Self::start_with(name, processes, &[]).await
    }

    /// Starts a MariaDB with more options for the server.
    ///
    /// # Errors
    /// As [`up`].
    pub async fn start_with(
        name: &str,
        processes: &Arc<dyn Processes>,
        options: &[&str],
    ) -> Result<Self, SandboxError> {
        Self::start_of(Flavour::Mariadb, name, processes, options).await
    }

    /// Starts one of this flavour with more options for the server. MySQL has to be first on `PATH`.
    ///
    /// # Errors
    /// As [`up`].
    pub async fn start_of(
        flavour: Flavour,
        name: &str,
        processes: &Arc<dyn Processes>,
        options: &[&str],
    ) -> Result<Self, SandboxError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(flavour, name, processes, options).await {
                Err(
                    SandboxError::PortTaken { .. }
                    | SandboxError::OtherServer { .. }
                    | SandboxError::Died { .. },
                ) if tries < TRIES => {}
                other => return other,
            }
        }
    }

    async fn try_start(
        flavour: Flavour,
        name: &str,
        processes: &Arc<dyn Processes>,
        options: &[&str],
    ) -> Result<Self, SandboxError> {
        let path = std::env::temp_dir().join(format!(
            "rekindle-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        let login = Login {
            target: name.to_owned(),
            host: "127.0.0.1".to_owned(),
            port: free_port().map_err(SandboxError::io("find a free port for", &path))?,
            user: "root".to_owned(),
            password: Some(Secret::new(CANARY_PASSWORD)),
            tls: None,
        };
        let mut spec = SandboxSpec::new(&path, login);
        spec.flavour = flavour;
        spec.options = options.iter().map(ToString::to_string).collect();
        spec.replication = Some(ReplicationLogin {
            user: REPLICATION_USER.to_owned(),
            password: Secret::new(CANARY_PASSWORD),
        });
        let directory = SandboxDirectory::at(&path)?;
        let brought_up = up(&spec, processes, &CancellationToken::new()).await;
        if brought_up.is_err() {
            remove(&directory);
        }
        Ok(Self { running: brought_up?, spec, directory, processes: Arc::clone(processes) })
    }

    /// Which server it is.
    pub fn flavour(&self) -> Flavour {
        self.spec.flavour
    }

    /// How to log in to it.
    pub fn login(&self) -> &Login {
        &self.spec.login
    }

    /// What it was made from.
    pub fn spec(&self) -> &SandboxSpec {
        &self.spec
    }

    /// Gives it as a target of an environment whose secret `secret` is [`CANARY_PASSWORD`].
    pub fn target(&self, secret: &str) -> Target {
        Target {
            host: self.spec.login.host.clone(),
            port: self.spec.login.port,
            user: self.spec.login.user.clone(),
            password: Some(SecretRef { secret: secret.into() }),
            tls: None,
            local: None,
        }
    }

    /// Where everything of it lies.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Its process, as it was last started.
    pub fn pid(&self) -> i32 {
        self.running.pid
    }

    /// Kills it as a disaster would and leaves its files.
    ///
    /// # Errors
    /// When it does not go away.
    pub async fn kill(&self) -> Result<(), SandboxError> {
        stop(self.directory.path(), Ending::Kill).await
    }

    /// Starts it again after [`TempServer::kill`].
    ///
    /// # Errors
    /// As [`up`].
    pub async fn start_again(&mut self) -> Result<(), SandboxError> {
        self.running = up(&self.spec, &self.processes, &CancellationToken::new()).await?;
        Ok(())
    }

    /// Its server's log so far.
    pub fn log_path(&self) -> PathBuf {
        self.directory.log()
    }
}

impl Drop for TempServer {
    fn drop(&mut self) {
        remove(&self.directory);
    }
}

fn remove(directory: &SandboxDirectory) {
    let _ = server_process::end_blocking(directory, Ending::Kill);
    let _ = std::fs::remove_dir_all(directory.path());
}
