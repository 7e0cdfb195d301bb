//! The step kind.

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};

use super::run::{self, look, not_kept};
use super::{ConfigureOutputs, ConfigureParams, Kept};
use crate::connection::Server;
use crate::preflight::{Look, look_at_target, problem};

/// `mysql.configure`
pub(crate) struct Configure;

#[async_trait]
impl Step for Configure {
    const KIND: &'static str = "mysql.configure";
    const SUMMARY: &'static str =
        "Sets server variables, keeps them over a restart where that can be done, and reads them back.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = ConfigureParams;
    type Outputs = ConfigureOutputs;

    fn plan(&self, params: &Planned<ConfigureParams>) -> Result<Intent, StepError> {
        let names: Vec<&str> = params
            .rendered()
            .pointer("/variables")
            .and_then(|variables| variables.as_object())
            .map(|variables| variables.keys().map(String::as_str).collect())
            .unwrap_or_default();
        Ok(Intent {
            summary: format!("set {} of {}", names.join(", "), params.show("/target")),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<ConfigureParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        let Look::Reached(mut server) = look_at_target(params, "/target", cx, &mut found).await else {
            return found;
        };
        if let Some(known) = params.get() {
            match look(known, &mut server).await {
                Ok(looked) => {
                    found.notes.extend(looked.settings.iter().filter_map(|setting| setting.note.clone()));
                    found.notes.extend(looked.changes.iter().map(ToString::to_string));
                    let changed = looked
                        .settings
                        .iter()
                        .filter(|setting| looked.changes.iter().any(|change| change.name == setting.name));
                    found.commands.extend(changed.map(|setting| setting.statement(&server.version)));
                    if looked.changes.is_empty() {
                        found.notes.push("everything is so already".to_owned());
                    }
                    if looked.kept == Kept::No {
                        found.notes.push(not_kept(known, &server));
                    }
                }
                Err(error) => {
                    found.problems.push(problem("rekindle::configure::not_possible", error, "/variables"));
                }
            }
        }
        server.session.close().await;
        found
    }

    async fn probe(
        &self,
        params: &ConfigureParams,
        cx: &StepContext,
    ) -> Result<Probe<ConfigureOutputs>, StepError> {
        let mut server = Server::open(cx, &params.target).await?;
        let found = look(params, &mut server).await?;
        server.session.close().await;
        Ok(if found.changes.is_empty() && found.is_kept {
            Probe::Complete(ConfigureOutputs { changed: Vec::new(), kept: found.kept })
        } else {
            // Setting a variable again is the same as setting it once.
            Probe::Absent
        })
    }

    async fn run(&self, params: &ConfigureParams, cx: &StepContext) -> Result<ConfigureOutputs, StepError> {
        run::run(params, cx).await
    }
}
