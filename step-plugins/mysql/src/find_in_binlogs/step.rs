//! The step kind.

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Problem, Step, StepContext, StepError,
};

use super::{FindInBinlogsOutputs, FindInBinlogsParams, run};

/// `mysql.find-in-binlogs`
pub(crate) struct FindInBinlogs;

#[async_trait]
impl Step for FindInBinlogs {
    const KIND: &'static str = "mysql.find-in-binlogs";
    const SUMMARY: &'static str =
        "Finds in archived binary logs the transaction that dropped a table or deleted rows.";
    const EFFECT: Effect = Effect::Read;
    type Params = FindInBinlogsParams;
    type Outputs = FindInBinlogsOutputs;

    fn plan(&self, params: &Planned<FindInBinlogsParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get()
            && params.deeds.is_empty()
        {
            return Err(StepError::permanent("`deeds` says nothing to look for")
                .help("name at least one of drop, truncate, alter, delete, update, insert"));
        }
        let (database, table) = (params.show("/database"), params.show("/table"));
        let what = match (database.as_str(), table.as_str()) {
            ("", "") => "any table".to_owned(),
            ("", table) => format!("a table {table}"),
            (database, "") => format!("the database {database}"),
            (database, table) => format!("{database}.{table}"),
        };
        Ok(Intent {
            summary: format!(
                "look in the binary logs in {} for what was done to {what}",
                params.show("/store")
            ),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<FindInBinlogsParams>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        match cx.step.store(&params.store).await {
            Ok(_) => Preflight::default(),
            Err(error) => Preflight::problem(Problem::unusable_store(error, "/store")),
        }
    }

    async fn run(
        &self,
        params: &FindInBinlogsParams,
        cx: &StepContext,
    ) -> Result<FindInBinlogsOutputs, StepError> {
        run::run(params, cx).await
    }
}
