//! The step kind.

use async_trait::async_trait;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};

use super::{ArchiveBinlogsOutputs, ArchiveBinlogsParams};
use super::{capture, preview};
use crate::binlogs::program::LogProgram;
use crate::binlogs::server::{self, ROTATE};
use crate::connection::Server;
use crate::preflight::{Look, look_at_target, problem};

/// `mysql.archive-binlogs`
pub(crate) struct ArchiveBinlogs;

#[async_trait]
impl Step for ArchiveBinlogs {
    const KIND: &'static str = "mysql.archive-binlogs";
    const SUMMARY: &'static str =
        "Copies what a server has logged since the last archived log into a store, once or as it is written.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = ArchiveBinlogsParams;
    type Outputs = ArchiveBinlogsOutputs;

    fn plan(&self, params: &Planned<ArchiveBinlogsParams>) -> Result<Intent, StepError> {
        let follows = params.value("/follow").is_some_and(|value| value == true);
        let (target, store) = (params.show("/target"), params.show("/store"));
        let mut commands = vec!["SHOW BINARY LOGS".to_owned()];
        let summary = if follows {
            format!("archive what {target} logs in {store}, as it is written")
        } else {
            commands.push(ROTATE.to_owned());
            format!("archive in {store} what {target} has logged since the last time")
        };
        Ok(Intent { summary, commands, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<ArchiveBinlogsParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        let store = params.value("/store").and_then(|name| name.as_str()).map(StoreName::from);
        if let Some(name) = &store {
            found.problems.extend(cx.writable_and_readable_store(name, "/store").await.err());
        }
        if let Look::Reached(mut server) = look_at_target(params, "/target", cx, &mut found).await {
            if let Err(problem) = look_at_server(params, store.as_ref(), &mut server, cx, &mut found).await {
                found.problems.push(problem);
            }
            server.session.close().await;
        }
        found
    }

    /// What is archived is never archived again: every run goes on from what is there.
    async fn probe(
        &self,
        _: &ArchiveBinlogsParams,
        _: &StepContext,
    ) -> Result<Probe<ArchiveBinlogsOutputs>, StepError> {
        Ok(Probe::Absent)
    }

    async fn run(
        &self,
        params: &ArchiveBinlogsParams,
        cx: &StepContext,
    ) -> Result<ArchiveBinlogsOutputs, StepError> {
        capture::run(params, cx).await
    }
}

async fn look_at_server(
    params: &Planned<ArchiveBinlogsParams>,
    store: Option<&StoreName>,
    server: &mut Server,
    cx: &PreflightContext,
    found: &mut Preflight,
) -> Result<(), Problem> {
    let target = server.session.target().to_owned();
    if !server::logs_at_all(server).await.map_err(|error| error.problem("/target"))? {
        return Err(problem("rekindle::binlog::not_possible", preview::not_logging(&target), "/target"));
    }
    let logs = server::logs(server).await.map_err(|error| error.problem("/target"))?;
    let program =
        LogProgram::find(&cx.step.world().processes, server.version.flavour, cx.step.cancel()).await;
    let program = program.map_err(|error| problem("rekindle::tool::missing", error, "/target"))?;
    if let Some(log) = logs.last() {
        found.commands.push(program.shown_fetch(&log.name, 4));
    }
    if params.value("/follow").is_some_and(|value| value == true) {
        let synced: u64 = server
            .session
            .row("tell how it syncs its binary log", "SELECT CAST(@@global.sync_binlog AS UNSIGNED)")
            .await
            .map_err(|error| error.problem("/target"))?;
        if synced != 1 {
            found.notes.push(format!(
                "sync_binlog of {target} is {synced}: a crash of the machine may take transactions from the server \
                 that are archived already; it then begins another timeline"
            ));
        }
    }
    let (Some(known), Some(name)) = (params.get(), store) else { return Ok(()) };
    let cluster = known.cluster.as_deref().unwrap_or(cx.step.settings().cluster());
    let Ok(store) = cx.step.store(name).await else { return Ok(()) };
    match preview::notes(store.as_ref(), cluster, server).await {
        Ok(notes) => found.notes.extend(notes),
        Err(error) => found.problems.push(problem("rekindle::binlog::not_possible", error, "/store")),
    }
    Ok(())
}
