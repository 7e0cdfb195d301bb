//! Unpacked files made consistent: the full backup first, then each increment.

use std::fs;
use std::path::{Path, PathBuf};

use rekindle_engine::host::CommandSpec;
use rekindle_engine::step::{Progress, StepContext, StepError};

use super::source::Source;
use super::unpack;
use crate::physical_tool::{PhysicalTool, Preparing, said, says_completed, tool_error};
use crate::tool::run_tool;

/// Where the full backup is unpacked, and in the end everything is.
pub(super) fn base_folder(work: &Path) -> PathBuf {
    work.join("base")
}

/// Unpacks and prepares everything into an empty work folder.
pub(super) async fn run(
    cx: &StepContext,
    source: &Source,
    tool: Option<&PhysicalTool>,
    work: &Path,
) -> Result<(), StepError> {
    let base = base_folder(work);
    let last = source.chain.len().saturating_sub(1);
    for (number, link) in source.chain.iter().enumerate() {
        let folder = if number == 0 { base.clone() } else { work.join(format!("increment-{number}")) };
        fs::create_dir_all(&folder)
            .map_err(|error| StepError::permanent(format!("failed to make {}: {error}", folder.display())))?;
        unpack::run(cx, &source.store, link, &folder).await?;
        refuse_files_elsewhere(&folder)?;
        let Some(tool) = tool else { continue };
        let increment = (number > 0).then_some(folder.as_path());
        let which = if number == last { Preparing::Last } else { Preparing::Early };
        cx.progress(Progress { note: format!("preparing {}", link.uri.id), ..Progress::default() });
        prepare(cx, tool, tool.prepare(&base, increment, which)).await?;
        if let Some(folder) = increment {
            remove(folder)?;
        }
    }
    remove_tool_files(&base)?;
    if forget_sources(&base)? {
        cx.warn(FORGETS_SOURCE);
    }
    unpack::sync(work)
}

async fn prepare(cx: &StepContext, tool: &PhysicalTool, spec: CommandSpec) -> Result<(), StepError> {
    cx.log(&spec.display());
    let end = run_tool(&cx.world().processes, spec, cx.cancel()).await.map_err(tool_error)?.report;
    if end.success() && says_completed(&end) {
        return Ok(());
    }
    let how = if end.success() {
        "ended without `completed OK!`".to_owned()
    } else {
        format!("failed with {}", end.describe())
    };
    Err(StepError::permanent(format!(
        "{} could not prepare the files: it {how}{}",
        tool.program,
        said(&end.stderr)
    ))
    .help("resume the run to unpack and prepare anew; if it stays so, restore an older backup"))
}

/// Tables with a `DATA DIRECTORY` have a file that says where they lie; they would be put where the old server had them.
fn refuse_files_elsewhere(folder: &Path) -> Result<(), StepError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&folder, &error))?;
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "isl") {
                return Err(StepError::permanent(format!(
                    "the table of {} has its file outside the data directory (`DATA DIRECTORY`)",
                    path.file_stem().unwrap_or_default().display()
                ))
                .help("restore such a server by hand with `--copy-back`, or from a logical backup"));
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// Said of the backup of a replica.
pub(super) const FORGETS_SOURCE: &str =
    "the backup is of a replica: it has forgotten its source, and mysql.reset-replication lets it follow one";

/// Removes what MariaDB knows its sources by: `master.info`, `relay-log.info`, with the connection's name in between where
/// it has one, and `multi-master.info`. It would follow them as soon as it starts.
///
/// Tells whether there was any. MySQL keeps them in tables (MySQL manual, "Replication Metadata Repositories").
fn forget_sources(base: &Path) -> Result<bool, StepError> {
    let mut forgot = false;
    for entry in fs::read_dir(base).map_err(|error| unreadable(base, &error))? {
        let entry = entry.map_err(|error| unreadable(base, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_source = ["master", "relay-log", "multi-master"].iter().any(|word| {
            let rest = name.strip_prefix(word).and_then(|rest| rest.strip_suffix(".info"));
            rest.is_some_and(|connection| connection.is_empty() || connection.starts_with('-'))
        });
        if is_source && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let path = entry.path();
            fs::remove_file(&path).map_err(|error| unreadable(&path, &error))?;
            forgot = true;
        }
    }
    Ok(forgot)
}

/// What the tool keeps for itself is none of the server's.
fn remove_tool_files(base: &Path) -> Result<(), StepError> {
    for entry in fs::read_dir(base).map_err(|error| unreadable(base, &error))? {
        let entry = entry.map_err(|error| unreadable(base, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_tools = ["xtrabackup_", "mariadb_backup_"].iter().any(|prefix| name.starts_with(prefix))
            || name == "backup-my.cnf";
        if is_tools && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let path = entry.path();
            fs::remove_file(&path).map_err(|error| unreadable(&path, &error))?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), StepError> {
    fs::remove_dir_all(folder)
        .map_err(|error| StepError::permanent(format!("failed to remove {}: {error}", folder.display())))
}

fn unreadable(path: &Path, error: &std::io::Error) -> StepError {
    StepError::permanent(format!("failed to look at {}: {error}", path.display()))
}
