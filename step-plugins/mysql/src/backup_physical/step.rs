//! The step kind: what it says, what it looks at, what it does.

use async_trait::async_trait;
use rekindle_backup::physical::{Method, StreamFormat};
use rekindle_engine::host::CommandSpec;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};

use super::run::{find_finished, part, run};
use super::survey::Survey;
use super::{Outputs, Params, base, cold};
use crate::backup_part::BackupPart;
use crate::connection::Server;
use crate::physical_tool::{PhysicalTool, check_unpack, stream_format};
use crate::preflight::{Look, look_at_target, problem};
use crate::server_files::{ServerFiles, real};

/// `mysql.backup-physical`
pub struct BackupPhysical;

const NOT_POSSIBLE: &str = "rekindle::physical::not_possible";

#[async_trait]
impl Step for BackupPhysical {
    const KIND: &'static str = "mysql.backup-physical";
    const SUMMARY: &'static str =
        "Copies a server's files, compressed, straight into a store, and proves that the copy is whole.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = Params;
    type Outputs = Outputs;

    fn plan(&self, params: &Planned<Params>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            params.check()?;
        }
        let (target, store) = (params.show("/target"), params.show("/store"));
        let is_cold = params.value("/mode").is_some_and(|mode| mode == "cold");
        let base = params.show("/base");
        let summary = match (is_cold, base.as_str()) {
            (true, _) => format!("stop {target}, archive its files into {store}, and start it again"),
            (false, "") => format!("copy the files of {target}, which goes on running, into {store}"),
            (false, base) => format!("copy what changed in the files of {target} since {base} into {store}"),
        };
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<Params>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Some(store) = params.value("/store").and_then(|value| value.as_str()).map(StoreName::from) {
            let part = params.get().map(|params| part(params, &cx.step));
            found.problems.extend(BackupPart::store_problem(part, &store, cx).await);
        }
        if let Look::Reached(mut server) = look_at_target(params, "/target", cx, &mut found).await {
            if let Some(params) = params.get()
                && let Err(error) = look_at_server(params, &mut server, &cx.step, &mut found).await
            {
                found.problems.push(problem(NOT_POSSIBLE, error, "/target"));
            }
            server.session.close().await;
        }
        found
    }

    async fn probe(&self, params: &Params, cx: &StepContext) -> Result<Probe<Outputs>, StepError> {
        // Without its index an object is no backup: replacing it loses nothing. A server that was left stopped is
        // started by `run`, and only `run` may.
        Ok(find_finished(params, cx).await?.map_or(Probe::Absent, Probe::Complete))
    }

    async fn run(&self, params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
        run(params, cx).await
    }
}

/// Looks for everything that would make the copy fail, as it is now.
async fn look_at_server(
    params: &Params,
    server: &mut Server,
    cx: &StepContext,
    found: &mut Preflight,
) -> Result<(), StepError> {
    let survey = Survey::of(server).await?;
    found.notes.push(format!("{} tables", survey.inventory.table_count()));
    let processes = &cx.world().processes;
    if params.mode == Method::Cold {
        let files = ServerFiles::of(cx, &params.target)?;
        check_unpack(processes.as_ref(), StreamFormat::Tar)?;
        ServerFiles::check_is_here(server, files.data_dir()).await?;
        let archive = cold::archive(files.data_dir());
        let commands = [files.stop_command(), Some(archive), files.start_command()];
        found.commands.extend(commands.iter().flatten().map(CommandSpec::display));
        return Ok(());
    }
    let tool = PhysicalTool::find(processes, server.version.flavour, cx.cancel()).await?;
    tool.check_fits(&server.version)?;
    let data_dir = match cx.target(&params.target)?.local {
        Some(_) => ServerFiles::of(cx, &params.target)?.data_dir().to_owned(),
        None => real(&survey.data_dir)?,
    };
    ServerFiles::check_is_here(server, &data_dir).await?;
    let store = cx.store(&params.store).await?;
    let format = stream_format(server.version.flavour);
    let base = base::find(params, cx, store.as_ref(), format, &survey.lineage).await?;
    if let Some(base) = &base {
        found.notes.push(format!("an increment to {}", base.uri));
    }
    let from_lsn = base.and_then(|base| base.physical.to_lsn);
    found.commands.push(tool.backup("LOGIN", &data_dir, &std::env::temp_dir(), from_lsn).display());
    Ok(())
}
