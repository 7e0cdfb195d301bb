//! `mysql.wait-ready`: waits until a server answers, is of the right kind, and is writable or caught up.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Progress, Step, StepContext, StepError,
};
use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connection::{Login, Server};
use crate::error::{ServerError, UNREACHABLE};
use crate::flavour::flavour_name;
use crate::preflight::{Look, look_at_target};
use crate::replication::status::ReplicaStatus;

const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);

/// Parameters of `mysql.wait-ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitReadyParams {
    /// The server.
    pub target: TargetName,
    /// Whether it must accept writes (`read_only` off) or refuse them; either when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writable: Option<bool>,
    /// The family it must be of; another one is an error at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavour: Option<Flavour>,
    /// What it must be as a replica.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<WantedReplication>,
    /// How long to wait between two looks: `500ms` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<DurationText>,
}

/// What a replica must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WantedReplication {
    /// Both its threads run and it has applied everything that it knows of.
    CaughtUp,
}

/// Outputs of `mysql.wait-ready`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitReadyOutputs {
    /// `VERSION()`.
    pub version: String,
    /// Its family.
    pub flavour: Flavour,
    /// `@@read_only`.
    pub read_only: bool,
    /// How long it took, in seconds.
    pub waited_seconds: f64,
}

/// The step kind.
pub(crate) struct WaitReady;

/// What one look found.
enum Readiness {
    Ready { version: String, flavour: Flavour, read_only: bool },
    NotYet(String),
}

async fn look(login: &Login, params: &WaitReadyParams) -> Result<Readiness, ServerError> {
    let mut server = login.connect().await?;
    let found = judge(&mut server, params).await;
    server.session.close().await;
    found
}

async fn judge(server: &mut Server, params: &WaitReadyParams) -> Result<Readiness, ServerError> {
    let version = server.version.clone();
    if let Some(wanted) = params.flavour.filter(|wanted| *wanted != version.flavour) {
        return Err(ServerError::OtherFlavour {
            target: params.target.to_string(),
            found: version.to_string(),
            wanted: flavour_name(wanted).to_owned(),
        });
    }
    // `super_read_only`, `NO_LOCK` and the like are numbers or words by version: anything but off is on.
    let setting: String =
        server.session.row("tell whether it is writable", "SELECT CAST(@@global.read_only AS CHAR)").await?;
    let read_only = !matches!(setting.as_str(), "0" | "OFF");
    if let Some(writable) = params.writable.filter(|writable| *writable == read_only) {
        let now = if writable { "read_only is on" } else { "read_only is off" };
        return Ok(Readiness::NotYet(now.to_owned()));
    }
    if params.replication == Some(WantedReplication::CaughtUp) {
        let status = ReplicaStatus::read(server).await?;
        if let Some(why) = status.map_or(Some("it is no replica".to_owned()), |status| status.not_caught_up())
        {
            return Ok(Readiness::NotYet(why));
        }
    }
    Ok(Readiness::Ready { version: version.text, flavour: version.flavour, read_only })
}

fn seconds_since(start: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(start).as_secs_f64()
}

#[async_trait]
impl Step for WaitReady {
    const KIND: &'static str = "mysql.wait-ready";
    const SUMMARY: &'static str = "Waits until a server answers and is what is asked for.";
    const EFFECT: Effect = Effect::Read;
    type Params = WaitReadyParams;
    type Outputs = WaitReadyOutputs;

    fn plan(&self, params: &Planned<WaitReadyParams>) -> Result<Intent, StepError> {
        let mut summary = format!("wait until {} answers", params.show("/target"));
        for (pointer, value, words) in [
            ("/writable", "true", ", is writable"),
            ("/writable", "false", ", is read-only"),
            ("/replication", "caught-up", ", has caught up"),
        ] {
            if params.show(pointer) == value {
                summary.push_str(words);
            }
        }
        let provides =
            params.value("/target").and_then(|name| name.as_str()).map(TargetName::from).into_iter();
        Ok(Intent {
            summary,
            commands: vec!["SELECT VERSION(), @@version_comment".to_owned()],
            provides: provides.collect(),
            ..Intent::default()
        })
    }

    /// A server that does not answer yet is what this kind is for; a wrong password is not.
    async fn preflight(&self, params: &Planned<WaitReadyParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        let looked = look_at_target(params, "/target", cx, &mut found).await;
        found.problems.retain(|problem| problem.code != UNREACHABLE);
        match looked {
            Look::Failed if found.problems.is_empty() => {
                found.notes.push(format!("{} does not answer yet", params.show("/target")));
            }
            Look::Reached(server) => server.session.close().await,
            Look::Failed | Look::Later => {}
        }
        found
    }

    /// Waits without an end of its own: the step's `timeout` is the end.
    async fn run(&self, params: &WaitReadyParams, cx: &StepContext) -> Result<WaitReadyOutputs, StepError> {
        let login = Login::of(cx, &params.target).await?;
        let clock = &cx.world().clock;
        let interval = params.interval.map_or(DEFAULT_INTERVAL, |interval| interval.0);
        let start = clock.now();
        let mut said = String::new();
        loop {
            let looked = tokio::select! {
                looked = look(&login, params) => looked,
                () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            };
            let why = match looked {
                Ok(Readiness::Ready { version, flavour, read_only }) => {
                    let waited_seconds = seconds_since(start, clock.now());
                    return Ok(WaitReadyOutputs { version, flavour, read_only, waited_seconds });
                }
                Ok(Readiness::NotYet(why)) => format!("{} answers, but {why}", params.target),
                Err(error) if error.is_passing() => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            if why != said {
                cx.log(&why);
                said.clone_from(&why);
            }
            cx.progress(Progress { note: why, ..Progress::default() });
            tokio::select! {
                () = clock.sleep(interval) => {}
                () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
