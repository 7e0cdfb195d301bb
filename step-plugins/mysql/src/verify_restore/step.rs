//! The step kind.

use async_trait::async_trait;
use rekindle_backup::catalogue::load_manifest;
use rekindle_backup::layout::BackupUri;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};

use super::run::run;
use super::{Outputs, Params};
use crate::preflight::{Look, look_at_target, problem};

/// `mysql.verify-restore`
pub(crate) struct VerifyRestore;

#[async_trait]
impl Step for VerifyRestore {
    const KIND: &'static str = "mysql.verify-restore";
    const SUMMARY: &'static str = "Proves that a restored server holds what its backup says, records the verdict, and predicts a recovery's time.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = Params;
    type Outputs = Outputs;

    fn plan(&self, params: &Planned<Params>) -> Result<Intent, StepError> {
        let (target, backup) = (params.show("/target"), params.show("/backup"));
        Ok(Intent {
            summary: format!("compare {target} with {backup}, and store the verdict beside it"),
            commands: vec![
                "SELECT COUNT(*) FROM every table".to_owned(),
                "CHECKSUM TABLE every table".to_owned(),
                "CHECK TABLE every table -- where the backup is of files".to_owned(),
            ],
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<Params>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Look::Reached(server) = look_at_target(params, "/target", cx, &mut found).await {
            server.session.close().await;
        }
        let uri: Option<BackupUri> = params.value("/backup").and_then(|uri| uri.as_str()?.parse().ok());
        let Some(uri) = uri else { return found };
        let records = params.value("/record").and_then(serde_json::Value::as_bool).unwrap_or(true);
        let opened = if records {
            cx.writable_store(&uri.store, "/backup").await
        } else {
            cx.step.store(&uri.store).await.map_err(|error| problem(UNUSABLE, error, "/backup"))
        };
        match opened {
            Err(problem) => found.problems.push(problem),
            Ok(store) => {
                if let Err(error) = load_manifest(store.as_ref(), &uri).await {
                    found.problems.push(problem(UNUSABLE, error.into(), "/backup"));
                }
            }
        }
        found
    }

    /// The verdict is one object, so there is never half of one: looking again is always safe.
    async fn probe(&self, _: &Params, _: &StepContext) -> Result<Probe<Outputs>, StepError> {
        Ok(Probe::Absent)
    }

    async fn run(&self, params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
        run(params, cx).await
    }
}

const UNUSABLE: &str = "rekindle::backup::unusable";
