//! The step kind.

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};

use super::run::{self, Original, checksum, has_database, is_there, outputs, taken};
use super::{CopyTableOutputs, CopyTableParams};
use crate::connection::Server;
use crate::preflight::{Look, look_at_target, problem};

/// `mysql.copy-table`
pub(crate) struct CopyTable;

#[async_trait]
impl Step for CopyTable {
    const KIND: &'static str = "mysql.copy-table";
    const SUMMARY: &'static str = "Copies one table to another server under a name that is free there.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = CopyTableParams;
    type Outputs = CopyTableOutputs;

    fn plan(&self, params: &Planned<CopyTableParams>) -> Result<Intent, StepError> {
        let show = |pointer| params.show(pointer);
        Ok(Intent {
            summary: format!(
                "copy {}.{} of {} to {} as {}.{}",
                show("/database"),
                show("/table"),
                show("/from"),
                show("/to"),
                show("/database"),
                show("/as")
            ),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<CopyTableParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Look::Reached(server) = look_at_target(params, "/from", cx, &mut found).await {
            server.session.close().await;
        }
        if let Look::Reached(mut server) = look_at_target(params, "/to", cx, &mut found).await {
            if let Err(error) = run::client(&cx.step, &server.version).await {
                found.problems.push(problem("rekindle::tool::missing", error, "/from"));
            }
            if let Some(known) = params.get() {
                match is_there(&mut server, &known.database, &known.new_name).await {
                    Ok(false) => {}
                    Ok(true) => {
                        found.problems.push(problem("rekindle::copy_table::name_taken", taken(known), "/as"));
                    }
                    Err(error) => found.problems.push(error.into()),
                }
                match has_database(&mut server, &known.database).await {
                    Ok(true) => {}
                    Ok(false) => found.notes.push(format!(
                        "{} has no database {}: it is created, with the character set that it has at {}",
                        known.to, known.database, known.from
                    )),
                    Err(error) => found.problems.push(error.into()),
                }
            }
            server.session.close().await;
        }
        found
    }

    async fn probe(
        &self,
        params: &CopyTableParams,
        cx: &StepContext,
    ) -> Result<Probe<CopyTableOutputs>, StepError> {
        let mut target = Server::open(cx, &params.to).await?;
        if !is_there(&mut target, &params.database, &params.new_name).await? {
            return Ok(Probe::Absent);
        }
        let mut source = Server::open(cx, &params.from).await?;
        let original = Original::look(params, cx, &mut source, &target.version).await?;
        if checksum(&mut target, &params.database, &params.new_name, original.rows).await?
            != original.checksum
        {
            return Ok(Probe::Partial { found: taken(params).message });
        }
        Ok(Probe::Complete(outputs(params, &mut target, original.checksum).await?))
    }

    async fn run(&self, params: &CopyTableParams, cx: &StepContext) -> Result<CopyTableOutputs, StepError> {
        run::run(params, cx).await
    }
}
