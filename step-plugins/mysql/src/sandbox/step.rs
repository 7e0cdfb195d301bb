//! `mysql.sandbox`: brings a throw-away server up for a target, or takes it down.

use async_trait::async_trait;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::CommandSpec;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::commands::Programs;
use super::directory::{Found, SandboxDirectory};
use super::{ReplicationLogin, Running, SandboxSpec, down, running, up};
use crate::account::Account;
use crate::connection::Login;
use crate::flavour::flavour_name;
use crate::preflight;

/// Parameters of `mysql.sandbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxParams {
    /// The target it is for: a loopback host; its port, user and password become the server's.
    pub target: TargetName,
    /// Where it keeps everything; made when absent, refused when it holds something else.
    pub directory: String,
    /// Whether it is to run or to be gone.
    #[serde(default)]
    pub state: SandboxState,
    /// Which server; its programs have to be on PATH.
    #[serde(default = "mariadb")]
    pub flavour: Flavour,
    /// `server_id`; the port number when absent, which differs for every server of a machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_id: Option<u32>,
    /// More options for the server, each `--name=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// An account for its replicas, made with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Account>,
}

fn mariadb() -> Flavour {
    Flavour::Mariadb
}

/// Whether a sandbox is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxState {
    /// It answers.
    #[default]
    Running,
    /// It is stopped and its directory is gone.
    Absent,
}

/// Outputs of `mysql.sandbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxOutputs {
    /// The server's process; absent when it is gone.
    pub pid: Option<i32>,
    /// Its port.
    pub port: u16,
    /// Its directory, absolute.
    pub directory: String,
    /// `VERSION()`; absent when it is gone.
    pub version: Option<String>,
}

impl From<Running> for SandboxOutputs {
    fn from(running: Running) -> Self {
        Self {
            pid: Some(running.pid),
            port: running.port,
            directory: running.directory.display().to_string(),
            version: Some(running.version),
        }
    }
}

/// The step kind.
pub(crate) struct Sandbox;

async fn spec(params: &SandboxParams, cx: &StepContext) -> Result<SandboxSpec, StepError> {
    let login = Login::of(cx, &params.target).await?;
    let mut spec = SandboxSpec::new(&params.directory, login);
    if let Some(server_id) = params.server_id {
        spec.server_id = server_id;
    }
    spec.flavour = params.flavour;
    spec.options.clone_from(&params.options);
    if let Some(account) = &params.replication {
        let password = cx.secret(&account.password).await?;
        spec.replication = Some(ReplicationLogin { user: account.user.clone(), password });
    }
    Ok(spec)
}

fn absent(params: &SandboxParams, cx: &StepContext) -> Result<SandboxOutputs, StepError> {
    let port = cx.target(&params.target)?.port;
    let directory = SandboxDirectory::at(std::path::Path::new(&params.directory))?;
    Ok(SandboxOutputs { pid: None, port, directory: directory.path().display().to_string(), version: None })
}

fn shown_commands(flavour: Flavour, directory: &str) -> Vec<String> {
    let programs = Programs::of(flavour);
    let data = format!("--datadir={directory}/data");
    let install = match flavour {
        Flavour::Mariadb => CommandSpec::new(programs.installer),
        Flavour::Mysql => CommandSpec::new(programs.installer).arg("--initialize-insecure"),
    };
    let start = CommandSpec::new(programs.server).arg(&data).arg("--bind-address=127.0.0.1");
    vec![install.arg(&data).display(), start.display()]
}

#[async_trait]
impl Step for Sandbox {
    const KIND: &'static str = "mysql.sandbox";
    const SUMMARY: &'static str = "Starts or removes a throw-away server on this machine.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = SandboxParams;
    type Outputs = SandboxOutputs;

    fn plan(&self, params: &Planned<SandboxParams>) -> Result<Intent, StepError> {
        let (target, directory) = (params.show("/target"), params.show("/directory"));
        if params.value("/state").and_then(|state| state.as_str()) == Some("absent") {
            let summary = format!("stop the throw-away server of {target} and remove {directory}");
            return Ok(Intent { summary, ..Intent::default() });
        }
        let provides =
            params.value("/target").and_then(|name| name.as_str()).map(TargetName::from).into_iter();
        let flavour = match (params.value("/flavour"), params.show("/flavour").is_empty()) {
            (Some(known), _) => serde_json::from_value(known.clone()).ok(),
            (None, true) => Some(mariadb()),
            // Told by an earlier step.
            (None, false) => None,
        };
        Ok(Intent {
            summary: format!(
                "start a throw-away {} for {target} in {directory}",
                flavour.map_or("server", flavour_name)
            ),
            commands: flavour.map_or_else(Vec::new, |flavour| shown_commands(flavour, &directory)),
            provides: provides.collect(),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<SandboxParams>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        if let Err(problem) = preflight::login(&cx.step, &params.target, "/target").await {
            return Preflight::problem(problem);
        }
        if let Some(account) = &params.replication
            && let Err(problem) =
                preflight::check_secret(&cx.step, &account.password, "/replication/password").await
        {
            return Preflight::problem(problem);
        }
        if params.state == SandboxState::Absent {
            return Preflight::default();
        }
        let spec = match spec(params, &cx.step).await {
            Ok(spec) => spec,
            Err(error) => return Preflight::problem(error.into()),
        };
        match spec.check(&cx.step.world().processes).await {
            Ok(()) => Preflight::default(),
            Err(error) => Preflight::problem(error.problem(error.parameter())),
        }
    }

    async fn probe(
        &self,
        params: &SandboxParams,
        cx: &StepContext,
    ) -> Result<Probe<SandboxOutputs>, StepError> {
        match params.state {
            SandboxState::Running => Ok(match running(&spec(params, cx).await?).await? {
                Some(running) => Probe::Complete(running.into()),
                // Bringing it up is repeatable from wherever it stopped.
                None => Probe::Absent,
            }),
            SandboxState::Absent => {
                let directory = SandboxDirectory::at(std::path::Path::new(&params.directory))?;
                Ok(match directory.look()? {
                    Found::Nothing => Probe::Complete(absent(params, cx)?),
                    Found::Sandbox(_) | Found::Foreign => Probe::Absent,
                })
            }
        }
    }

    async fn run(&self, params: &SandboxParams, cx: &StepContext) -> Result<SandboxOutputs, StepError> {
        match params.state {
            SandboxState::Running => {
                let spec = spec(params, cx).await?;
                Ok(up(&spec, &cx.world().processes, cx.cancel()).await?.into())
            }
            SandboxState::Absent => {
                let outputs = absent(params, cx)?;
                down(std::path::Path::new(&params.directory)).await?;
                Ok(outputs)
            }
        }
    }
}
