//! A copy of a running server by its flavour's own tool.

use std::path::PathBuf;
use std::sync::Arc;

use rekindle_backup::manifest::{ConsistentPoint, Tool};
use rekindle_backup::physical::{Link, Metadata, Method, Physical, StreamContents};
use rekindle_engine::host::{ExitReport, ObjectStore};
use rekindle_engine::step::{StepContext, StepError};

use super::run::Made;
use super::stream::{Proof, Wanted, store_stream};
use super::survey::{Survey, in_both};
use super::{Params, base};
use crate::backup_part::BackupPart;
use crate::client_options::ClientOptions;
use crate::connection::{Login, Server};
use crate::guard::blocking;
use crate::physical_tool::{PhysicalTool, says_completed, stream_format};
use crate::replication::position::{self, Role};
use crate::server_files::{ServerFiles, real};
use crate::stall::{Patience, Sessions};

pub(super) async fn run(
    params: &Params,
    cx: &StepContext,
    store: &dyn ObjectStore,
    part: &BackupPart,
) -> Result<Made, StepError> {
    let login = Login::of(cx, &params.target).await?;
    let mut server = login.connect().await?;
    let format = stream_format(server.version.flavour);
    let tool = PhysicalTool::find(&cx.world().processes, server.version.flavour, cx.cancel()).await?;
    tool.check_fits(&server.version)?;
    let survey = Survey::of(&mut server).await?;
    let data_dir = data_dir(params, cx, &survey)?;
    ServerFiles::check_is_here(&mut server, &data_dir).await?;
    let survey = survey.at(&data_dir)?;
    let base = base::find(params, cx, store, format, &survey.lineage).await?;
    if let Some(base) = &base {
        check_follows(&mut server, base.manifest.consistent_point.gtid.as_deref(), &base.uri.id).await?;
    }
    server.session.close().await;
    let from_lsn = base.as_ref().and_then(|base| base.physical.to_lsn);

    let options =
        ClientOptions::new(&login, tool.flavour).map_err(|error| StepError::permanent(error.to_string()))?;
    let processes = Arc::clone(&cx.world().processes);
    let file = blocking(move || processes.private_file(options.text()))
        .await?
        .map_err(|error| StepError::permanent(format!("failed to write the tool's login: {error}")))?;
    let scratch = std::env::temp_dir().join(format!("rekindle-{}-{}", cx.run(), params.name));
    let command = |login: &str| tool.backup(login, &data_dir, &scratch, from_lsn);
    let shown = command("LOGIN").display();
    cx.log(&shown);
    let key = part.object(&params.object_name(format))?;
    let wanted = Wanted {
        spec: command(&file.path().display().to_string()),
        patience: Patience::of(tool.program, params.stall_timeout(), Some(Sessions::from_now(&login).await?)),
        format,
        level: params.compression_level,
        store,
        key: &key,
        proof: proof(from_lsn),
    };
    let streamed = store_stream(cx, wanted).await;
    drop(file);
    // Only what the tool itself made there, if anything.
    let _ = std::fs::remove_dir_all(&scratch);
    let written = streamed?;
    let metadata =
        Metadata::read(&written.contents).map_err(|error| StepError::permanent(error.to_string()))?;
    let (inventory, inventory_is_whole) = look_again(cx, &login, &survey).await?;
    Ok(Made {
        format,
        point: ConsistentPoint { at: Some(cx.world().clock.now()), ..metadata.point },
        inventory,
        tool: Tool { name: tool.program.to_owned(), version: tool.text.clone(), command: shown },
        physical: Physical {
            method: Method::Hot,
            format,
            files: written.contents.files,
            stream_bytes: written.object.text_bytes,
            from_lsn: Some(metadata.from_lsn),
            to_lsn: Some(metadata.to_lsn),
            last_lsn: Some(metadata.last_lsn),
            base: base.as_ref().map(Link::as_base),
            lineage: survey.lineage,
            inventory_is_whole,
        },
        object: written.object,
    })
}

/// The environment's word counts, where it has one: a server in a container names its folder as it sees it itself.
fn data_dir(params: &Params, cx: &StepContext, survey: &Survey) -> Result<PathBuf, StepError> {
    if cx.target(&params.target)?.local.is_some() {
        return Ok(ServerFiles::of(cx, &params.target)?.data_dir().to_owned());
    }
    real(&survey.data_dir)
}

/// Positions in InnoDB's log only mean something to the directory that they are of, and the tool does not look. What
/// the server has written must include what the base had.
async fn check_follows(server: &mut Server, gtid: Option<&str>, base: &str) -> Result<(), StepError> {
    let Some(gtid) = gtid else { return Ok(()) };
    if position::has(server, Role::Source, gtid).await? {
        return Ok(());
    }
    let target = server.session.target();
    Err(StepError::permanent(format!(
        "`{target}` does not have {gtid}, up to which the base `{base}` goes: it is another history"
    ))
    .help("make a full backup: leave `base` out"))
}

/// Names were read before the copy; tables that were made or dropped meanwhile may be in it or not.
async fn look_again(
    cx: &StepContext,
    login: &Login,
    survey: &Survey,
) -> Result<(rekindle_backup::inventory::Inventory, bool), StepError> {
    let mut server = login.connect().await?;
    let after = crate::inventory::read_names(&mut server.session).await?;
    server.session.close().await;
    let (both, whole) = in_both(&survey.inventory, &after);
    if !whole {
        cx.warn("tables, views or routines were made or dropped during the backup: its inventory has only what stayed");
    }
    Ok((both, whole))
}

/// The tool's own word, and that it copied from where it was told to.
fn proof(from_lsn: Option<u64>) -> Proof {
    Box::new(move |contents: &StreamContents, end: &ExitReport| {
        if !says_completed(end) {
            return Err("it ended with 0, but did not say `completed OK!`".to_owned());
        }
        let metadata = Metadata::read(contents).map_err(|error| error.to_string())?;
        let wanted = from_lsn.unwrap_or(0);
        if metadata.from_lsn != wanted {
            return Err(format!("it copied from LSN {} on, and {wanted} was asked for", metadata.from_lsn));
        }
        if metadata.to_lsn < metadata.from_lsn || metadata.last_lsn < metadata.to_lsn {
            return Err(format!(
                "the server's log is at LSN {}, before {wanted}, where the base ends: it is another data directory",
                metadata.last_lsn
            ));
        }
        Ok(())
    })
}
