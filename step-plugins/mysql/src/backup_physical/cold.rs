//! A copy of a stopped server: stop, archive, start; and it is started whatever happens in between.
//!
//! Four things see to that: the step itself, a guard that starts it when the step is dropped, the reaper when this
//! program is killed, and a checkpoint that makes the next attempt begin with it.

use std::path::{Component, Path, PathBuf};

use rekindle_backup::inventory::Inventory;
use rekindle_backup::manifest::{ConsistentPoint, Flavour, Tool};
use rekindle_backup::physical::{Method, Physical, StreamFormat, WrittenStream};
use rekindle_engine::host::{CommandSpec, ObjectStore};
use rekindle_engine::step::{StepContext, StepError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Params;
use super::run::Made;
use super::stream::{Wanted, store_stream};
use super::survey::{Survey, coordinates};
use crate::backup_part::BackupPart;
use crate::connection::{Login, Server};
use crate::physical_tool::check_unpack;
use crate::read_only::run_within;
use crate::restore_physical::MARKER;
use crate::server_files::{ServerFiles, StartAgain};
use crate::stall::Patience;

/// The event that ends a binary log at an orderly shutdown: 19 bytes of header and 4 of checksum where there are any
/// (MySQL internals, "`Stop_event`"); an encrypted log of MySQL has 512 bytes before everything else.
const ENDINGS_BYTES: [u64; 4] = [19, 23, 512 + 19, 512 + 23];
/// InnoDB's temporary tablespace, which an orderly shutdown removes (MySQL manual, "Temporary Tablespaces").
const LEFT_BY_A_CRASH: &str = "ibtmp1";
/// How long the lock that keeps writers away is waited for; while it is, what writes waits behind it.
const LOCK_WAIT_SECONDS: u32 = 10;

/// Starts the server when an earlier attempt was killed while it was stopped.
pub(super) async fn start_what_was_left(params: &Params, cx: &StepContext) -> Result<(), StepError> {
    let stopped =
        cx.last_checkpoint().and_then(|value| value.get("stopped")).and_then(serde_json::Value::as_bool);
    if stopped != Some(true) {
        return Ok(());
    }
    let files = ServerFiles::of(cx, &params.target)?;
    let login = Login::of(cx, &params.target).await?;
    cx.log("an earlier attempt had stopped the server: starting it");
    files.start(cx, &login, cx.cancel()).await?.session.close().await;
    cx.checkpoint(json!({ "stopped": false })).await
}

pub(super) async fn run(
    params: &Params,
    cx: &StepContext,
    store: &dyn ObjectStore,
    part: &BackupPart,
) -> Result<Made, StepError> {
    let files = ServerFiles::of(cx, &params.target)?;
    let login = Login::of(cx, &params.target).await?;
    // Everything that could be missing is looked at while the server still runs.
    check_unpack(cx.world().processes.as_ref(), StreamFormat::Tar)?;
    store.check_writable().await?;
    let mut server = login.connect().await?;
    ServerFiles::check_is_here(&mut server, files.data_dir()).await?;
    let survey = Survey::of(&mut server).await?.at(files.data_dir())?;
    check_folders(&mut server, &survey.data_dir).await?;
    check_tablespaces(&mut server, &survey.data_dir).await?;
    let log_folder = log_folder(&mut server, &survey.data_dir, files.data_dir()).await?;

    let command = archive(files.data_dir());
    let shown = command.display();
    let key = part.object(&params.object_name(StreamFormat::Tar))?;
    // Known to the journal before it is true: after a crash the server may run, which a start does not harm.
    cx.checkpoint(json!({ "stopped": true })).await?;
    let start_again = StartAgain::begin(&cx.world().processes, &files);
    let copied = async {
        let (point, inventory) = stop(cx, &files, server).await?;
        check_stopped_well(files.data_dir(), log_folder.as_deref(), &point)?;
        cx.log(&shown);
        let wanted = Wanted {
            spec: command,
            patience: Patience::of("tar", params.stall_timeout(), None),
            format: StreamFormat::Tar,
            level: params.compression_level,
            store,
            key: &key,
            proof: Box::new(|_, _| Ok(())),
        };
        Ok::<_, StepError>((store_stream(cx, wanted).await?, point, inventory))
    };
    let copied = copied.await;
    // Also when the copy failed or was cancelled.
    let started = files.start(cx, &login, &CancellationToken::new()).await;
    if let Ok(server) = started {
        server.session.close().await;
        start_again.done();
        cx.checkpoint(json!({ "stopped": false })).await?;
    } else if let Err(error) = started {
        let copy = match &copied {
            Ok(_) => "the files are copied",
            Err(error) => &error.message,
        };
        return Err(StepError::permanent(format!(
            "`{}` was stopped for the backup and does not start again: {error} ({copy})",
            params.target
        ))
        .help("start it by hand now, and look at its log; then resume the run"));
    }
    let (written, point, inventory) = copied?;
    Ok(made(written, point, inventory, survey, shown))
}

fn made(
    written: WrittenStream,
    point: ConsistentPoint,
    inventory: Inventory,
    survey: Survey,
    shown: String,
) -> Made {
    Made {
        format: StreamFormat::Tar,
        point,
        inventory,
        tool: Tool { name: "tar".to_owned(), version: String::new(), command: shown },
        physical: Physical {
            method: Method::Cold,
            format: StreamFormat::Tar,
            files: written.contents.files,
            stream_bytes: written.object.text_bytes,
            from_lsn: None,
            to_lsn: None,
            last_lsn: None,
            base: None,
            lineage: survey.lineage,
            inventory_is_whole: true,
        },
        object: written.object,
    }
}

/// Gives the command that archives a data directory. What belongs to one server alone stays behind: MySQL makes a new
/// `auto.cnf`, with an identity that no other server has.
pub(super) fn archive(data_dir: &Path) -> CommandSpec {
    CommandSpec::new("tar")
        .args([
            "--create",
            "--file=-",
            "--format=gnu",
            "--sort=name",
            "--warning=no-file-ignored",
            "--anchored",
        ])
        .args(["--exclude=./auto.cnf", "--exclude=./lost+found", "--exclude=./*.pid", "--exclude=./*.sock"])
        .args(["--exclude=./*.sock.lock".to_owned(), format!("--exclude=./{MARKER}")])
        .arg(format!("--directory={}", data_dir.display()))
        .arg(".")
}

/// Refuses a server that keeps files elsewhere: a copy without them would not start.
async fn check_folders(server: &mut Server, data_dir: &Path) -> Result<(), StepError> {
    let names =
        "'innodb_data_home_dir', 'innodb_undo_directory', 'innodb_log_group_home_dir', 'aria_log_dir_path'";
    let query = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})");
    let folders: Vec<(String, Option<String>)> =
        server.session.rows("tell where its files lie", &query).await?;
    for (name, folder) in folders {
        let folder = folder.unwrap_or_default();
        if Path::new(&folder).is_absolute() && !Path::new(&folder).starts_with(data_dir) {
            return Err(StepError::permanent(format!(
                "`{name}` is {folder}, outside the data directory {}",
                data_dir.display()
            ))
            .help(
                "a cold backup is of the data directory alone: take a hot one, or move these files into it",
            ));
        }
    }
    Ok(())
}

/// Refuses tables and tablespaces whose files lie elsewhere (`DATA DIRECTORY`, `ADD DATAFILE`). Until 5.7 a file `.isl` in
/// the data directory says so; from 8.0 on only the server's dictionary does, and the server comes up without them.
async fn check_tablespaces(server: &mut Server, data_dir: &Path) -> Result<(), StepError> {
    if !server.version.is_at_least(Flavour::Mysql, (8, 0, 0)) {
        return Ok(());
    }
    let query = "SELECT path FROM information_schema.innodb_datafiles ORDER BY path";
    let files: Vec<String> = server.session.rows("tell where its tables lie", query).await?;
    let Some(file) = files.iter().find(|file| !lies_in(data_dir, file)) else { return Ok(()) };
    Err(StepError::permanent(format!("{file} lies outside the data directory {}", data_dir.display())).help(
        "a cold backup is of the data directory alone: move the table or tablespace into it, or take a logical backup",
    ))
}

/// Tells whether a file, as the server names it, lies below a folder. It need not be there.
fn lies_in(folder: &Path, file: &str) -> bool {
    let mut path = PathBuf::new();
    for part in folder.join(file).components() {
        match part {
            Component::ParentDir => _ = path.pop(),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path.starts_with(folder)
}

/// Gives the folder of the binary logs as it is here; nothing when there are none, or when it can't be seen from here.
async fn log_folder(server: &mut Server, theirs: &Path, ours: &Path) -> Result<Option<PathBuf>, StepError> {
    let base: Option<String> =
        server.session.row("tell where its logs are", "SELECT @@GLOBAL.log_bin_basename").await?;
    let Some(folder) = base.as_deref().map(Path::new).and_then(Path::parent) else { return Ok(None) };
    // A server in a container names folders as it sees them.
    Ok(Some(match folder.strip_prefix(theirs) {
        Ok(below) => ours.join(below),
        Err(_) => folder.to_owned(),
    }))
}

/// Keeps everybody from writing, notes where the server stands, and stops it.
async fn stop(
    cx: &StepContext,
    files: &ServerFiles,
    mut server: Server,
) -> Result<(ConsistentPoint, Inventory), StepError> {
    run_within(&mut server, LOCK_WAIT_SECONDS, "keep writers away", "FLUSH TABLES WITH READ LOCK").await?;
    // 2 stops like a crash: changes would be in the log only, and the files would need recovery.
    let fast: u8 =
        server.session.row("tell how it shuts down", "SELECT @@GLOBAL.innodb_fast_shutdown").await?;
    if fast > 1 {
        cx.log(&format!("innodb_fast_shutdown is {fast}: setting it to 1 until the server is started again"));
        server.session.run("shut down in order", "SET GLOBAL innodb_fast_shutdown = 1").await?;
    }
    let inventory = crate::inventory::read_names(&mut server.session).await?;
    let point = coordinates(&mut server).await?;
    let point = ConsistentPoint { at: Some(cx.world().clock.now()), ..point };
    // The session holds the lock until the server ends it.
    files.stop(cx).await?;
    server.session.close().await;
    Ok((point, inventory))
}

/// Proves that the server has shut down in order, and that nobody has written since the lock.
fn check_stopped_well(
    data_dir: &Path,
    log_folder: Option<&Path>,
    point: &ConsistentPoint,
) -> Result<(), StepError> {
    if data_dir.join(LEFT_BY_A_CRASH).exists() {
        return Err(StepError::permanent(format!(
            "the server was not shut down in order: it left {LEFT_BY_A_CRASH} in {}",
            data_dir.display()
        ))
        .help("`stop` of the target's `local:` must let it end by itself, however long that takes"));
    }
    let (Some(folder), Some(file), Some(position)) = (log_folder, &point.binlog_file, point.binlog_position)
    else {
        return Ok(());
    };
    let path = folder.join(file);
    let size = std::fs::metadata(&path).map_err(|error| {
        StepError::permanent(format!("the binary log {} can't be looked at: {error}", path.display()))
    })?;
    if size.len().checked_sub(position).is_some_and(|more| ENDINGS_BYTES.contains(&more)) {
        return Ok(());
    }
    Err(StepError::transient(format!(
        "the binary log {file} was at {position} when writers were locked out, and has {} bytes after the shutdown: \
         something was written meanwhile, or it did not shut down in order",
        size.len()
    ))
    .help("try again; if it stays so, stop the clients before the backup"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(position: u64) -> ConsistentPoint {
        ConsistentPoint {
            binlog_file: Some("bin.1".into()),
            binlog_position: Some(position),
            ..ConsistentPoint::default()
        }
    }

    #[test]
    fn what_was_written_after_the_lock_is_seen_in_the_logs_size() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bin.1"), vec![0; 123]).unwrap();
        let check = |position| check_stopped_well(folder.path(), Some(folder.path()), &point(position));
        check(100).unwrap();
        check(104).unwrap();
        insta::assert_snapshot!(check(90).unwrap_err(), @"the binary log bin.1 was at 90 when writers were locked out, and has 123 bytes after the shutdown: something was written meanwhile, or it did not shut down in order");
        assert!(check(123).is_err() && check(200).is_err());
    }

    #[test]
    fn a_server_that_was_killed_is_no_stopped_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ibtmp1"), b"").unwrap();
        let error = check_stopped_well(folder.path(), None, &ConsistentPoint::default()).unwrap_err();
        assert!(
            error.message.starts_with("the server was not shut down in order: it left ibtmp1"),
            "{error}"
        );
    }

    #[test]
    fn where_a_table_lies_is_known_however_the_server_names_it() {
        let inside = |file: &str| lies_in(Path::new("/var/lib/mysql"), file);
        for file in ["ibdata1", "./shop/t.ibd", "./undo_001", "/var/lib/mysql/shop/t.ibd", "../mysql/t.ibd"] {
            assert!(inside(file), "{file}");
        }
        for file in ["../t.ibd", "./../../far/t.ibd", "/mnt/t.ibd", "/var/lib/mysql2/t.ibd"] {
            assert!(!inside(file), "{file}");
        }
    }

    #[test]
    fn what_belongs_to_one_server_alone_stays_behind() {
        insta::assert_snapshot!(archive(Path::new("/var/lib/mysql")).display(), @"tar --create --file=- --format=gnu --sort=name --warning=no-file-ignored --anchored --exclude=./auto.cnf --exclude=./lost+found '--exclude=./*.pid' '--exclude=./*.sock' '--exclude=./*.sock.lock' --exclude=./.rekindle-restore.json --directory=/var/lib/mysql .");
    }
}
