//! The step kind.

use async_trait::async_trait;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};

use super::run::{find_finished, part, run};
use super::source::Source;
use super::{From, ImportOutputs, ImportParams};
use crate::backup_part::BackupPart;
use crate::preflight::problem;

/// `mysql.import-dump`
pub struct ImportDump;

#[async_trait]
impl Step for ImportDump {
    const KIND: &'static str = "mysql.import-dump";
    const SUMMARY: &'static str =
        "Takes a dump that was made without rekindle into a store, as a part of a backup like any other.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = ImportParams;
    type Outputs = ImportOutputs;

    fn plan(&self, params: &Planned<ImportParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            params.check()?;
        }
        let from = match params.value("/from/key") {
            Some(_) => format!("{} of {}", params.show("/from/key"), params.show("/from/store")),
            None => params.show("/from"),
        };
        let (store, at) = (params.show("/store"), params.show("/taken_at"));
        let summary = format!("take the dump {from}, of {at}, into {store}");
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<ImportParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Some(store) = params.value("/store").and_then(|value| value.as_str()).map(StoreName::from) {
            let part = params.get().map(|params| part(params, &cx.step));
            found.problems.extend(BackupPart::store_problem(part, &store, cx).await);
        }
        let Some(ImportParams { from: From::File(path), .. }) = params.get() else { return found };
        if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            // A step before this one may make it.
            found.notes.push(format!("{path} is not there yet"));
        } else if let Err(error) = Source::of_file(path) {
            found.problems.push(problem(UNREADABLE, error, "/from"));
        }
        found
    }

    async fn probe(
        &self,
        params: &ImportParams,
        cx: &StepContext,
    ) -> Result<Probe<ImportOutputs>, StepError> {
        // Without its index an object is no dump: replacing it loses nothing.
        Ok(find_finished(params, cx).await?.map_or(Probe::Absent, Probe::Complete))
    }

    async fn run(&self, params: &ImportParams, cx: &StepContext) -> Result<ImportOutputs, StepError> {
        run(params, cx).await
    }
}

/// The code of a dump that can't be read.
const UNREADABLE: &str = "rekindle::import_dump::unreadable";
