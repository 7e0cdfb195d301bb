//! The step kind.

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use serde_json::Value;

use super::params::check;
use super::run::{not_done, run};
use super::{SqlOutputs, SqlParams};
use crate::preflight::{Look, look_at_target};

/// `mysql.sql`
pub(crate) struct Sql;

#[async_trait]
impl Step for Sql {
    const KIND: &'static str = "mysql.sql";
    const SUMMARY: &'static str =
        "Runs statements on a server, and proves by a query that they did what they were to do.";
    const EFFECT: Effect = Effect::Write;
    const EFFECT_IS_DECLARED: bool = true;
    const PROBES: bool = true;
    type Params = SqlParams;
    type Outputs = SqlOutputs;

    fn plan(&self, params: &Planned<SqlParams>) -> Result<Intent, StepError> {
        let list = params.rendered().pointer("/statements").and_then(Value::as_array);
        let texts: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
        if list.is_some_and(|list| list.len() == texts.len()) {
            check(&texts)?;
        }
        let count = if let [_] = texts.as_slice() {
            "a statement".to_owned()
        } else {
            format!("{} statements", texts.len())
        };
        let together = if params.show("/transaction") == "true" { " in one transaction" } else { "" };
        let unless = match params.show("/done/sql").as_str() {
            "" => String::new(),
            sql => format!(", unless `{sql}` answers {}", params.show("/done/expect")),
        };
        Ok(Intent {
            summary: format!("run {count} on {}{together}{unless}", params.show("/target")),
            commands: texts.into_iter().map(str::to_owned).collect(),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<SqlParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Look::Reached(server) = look_at_target(params, "/target", cx, &mut found).await {
            server.session.close().await;
        }
        found
    }

    async fn probe(&self, params: &SqlParams, cx: &StepContext) -> Result<Probe<SqlOutputs>, StepError> {
        if params.done.is_none() {
            return Ok(Probe::Unknown { why: "the runbook does not say by `done` how to know".to_owned() });
        }
        Ok(match not_done(params, cx).await? {
            None => Probe::Complete(SqlOutputs::default()),
            Some(_) => Probe::Absent,
        })
    }

    async fn run(&self, params: &SqlParams, cx: &StepContext) -> Result<SqlOutputs, StepError> {
        run(params, cx).await
    }
}
