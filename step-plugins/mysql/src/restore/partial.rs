//! A part of a backup into a server that is in use: nothing else on it is touched, and nothing half-made is seen.
//!
//! Tables are loaded aside, in databases beside the marker, compared with the backup, and then put in their place, one
//! rename each. Whole databases are loaded where they will be: nobody uses them yet, or they were given up. The server
//! stays writable, its position and its replication as they are, and its replicas get what was restored as ordinary
//! changes.

use std::collections::BTreeSet;

use rekindle_engine::step::{Intent, Planned, Probe, StepContext, StepError};

use super::marker::{self, Before, Marker, Stage};
use super::parallel::{self, Extract, Parts, Sessions};
use super::part::{Part, shown};
use super::source::Source;
use super::{Outputs, Params, load, loaded, rights, run};
use crate::connection::{Login, Server, quote_identifier, quote_string};
use crate::error::ServerError;
use crate::inventory;
use crate::marker::{Slot, read};

/// Says what it will do; nothing when the whole backup is restored.
pub(super) fn intent(params: &Planned<Params>) -> Option<Intent> {
    let names: Vec<String> = ["/databases", "/tables"]
        .into_iter()
        .filter_map(|pointer| params.value(pointer)?.as_array().cloned())
        .flatten()
        .map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned))
        .collect();
    if names.is_empty() {
        return None;
    }
    let replaces = params.value("/overwrite").is_some_and(|value| value == true);
    let verb = if replaces { "replace" } else { "add" };
    let (target, backup) = (params.show("/target"), params.show("/backup"));
    let mut commands = vec!["CREATE DATABASE `rekindle_restore.…` -- tables are loaded aside".to_owned()];
    commands.push("-- every statement of what is restored, and of nothing else".to_owned());
    if replaces {
        commands.push("DROP … -- what has the same name, once the other is loaded".to_owned());
    }
    commands.push("RENAME TABLE … -- each table to its place".to_owned());
    commands.push("-- compare what was restored with the backup's inventory".to_owned());
    let summary = format!("{verb} {} of {target} from {backup}", names.join(", "));
    Some(Intent { summary, commands, ..Intent::default() })
}

/// Looks whether this part was restored by this run.
pub(super) async fn probe(
    params: &Params,
    cx: &StepContext,
    server: &mut Server,
) -> Result<Probe<Outputs>, StepError> {
    let source = Source::find(params, cx).await?;
    let part = Part::of(&source.named(params), source.inventory())?;
    let marker: Option<Marker> = read(server, Slot::PART).await?;
    let ours = marker.filter(|marker| is_ours(marker, params, cx, part.as_ref()));
    Ok(match ours {
        Some(Marker { stage: Stage::Complete, outputs: Some(outputs), .. }) => Probe::Complete(outputs),
        // It goes on, or `run` refuses without touching anything.
        Some(_) | None => Probe::Absent,
    })
}

fn is_ours(marker: &Marker, params: &Params, cx: &StepContext, part: Option<&Part>) -> bool {
    marker.backup == params.backup
        && marker.object == params.object
        && marker.run == *cx.run()
        && marker.part.as_ref() == part
}

/// Says why the part must not be restored.
pub(super) async fn refusal(
    params: &Params,
    cx: &StepContext,
    server: &mut Server,
    part: &Part,
) -> Result<Option<StepError>, ServerError> {
    if let Some(marker) = marker::read(server).await?.filter(|marker| marker.stage != Stage::Complete) {
        let found = marker.describe();
        return Ok(Some(
            StepError::permanent(format!("`{}` holds {found}", params.target))
                .help("resume that run, or restore the whole backup again, before parts of it"),
        ));
    }
    let marker: Option<Marker> = read(server, Slot::PART).await?;
    let goes_on = marker
        .is_some_and(|m| m.stage != Stage::Complete && m.emptied && is_ours(&m, params, cx, Some(part)));
    if params.overwrite || goes_on {
        return Ok(None);
    }
    let Some(held) = held(server, part).await? else { return Ok(None) };
    Ok(Some(StepError::permanent(format!("`{}` holds {held}", params.target)).help(
        "nothing was changed. Restore it under another name with `rename`, or set `overwrite: true` if it may be lost",
    )))
}

/// Says which of the names are taken.
async fn held(server: &mut Server, part: &Part) -> Result<Option<String>, ServerError> {
    let databases = run::user_databases(server).await?;
    if let Some(name) = part.databases.values().find(|name| databases.contains(name)) {
        return Ok(Some(format!("the database {name}")));
    }
    for table in &part.tables {
        let query = format!(
            "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            quote_string(&table.to.0),
            quote_string(&table.to.1)
        );
        if server.session.first::<u8>("look for a table", &query).await?.is_some() {
            return Ok(Some(format!("the table {}", shown(&table.to))));
        }
    }
    Ok(None)
}

/// Restores a part.
///
/// # Errors
/// When its names are taken, when the backup can't be read in parts, and as a whole restore.
pub(super) async fn run(
    params: &Params,
    cx: &StepContext,
    source: &Source,
    part: Part,
) -> Result<Outputs, StepError> {
    let Some((index, outline)) = source.parts(params, cx).await else {
        return Err(StepError::permanent(format!("`{}` can't be read in parts", source.object.name)).help(
            "its index has no checksum for each part: restore the whole backup into a sandbox and dump the part there",
        ));
    };
    let login = Login::of(cx, &params.target).await?;
    let mut control = login.connect().await?;
    source.check_flavour(&control)?;
    source.is_of_newer(&control).iter().for_each(|note| cx.warn(note));
    rights::check(source, Some(&part), &mut control).await?;
    run::prepare_control(params, &mut control).await?;
    let mut main = login.connect().await?;
    run::lock(&mut main).await?;
    load::prepare(&mut main, params.binlog()).await?;
    let mut marker = claim(params, cx, &mut control, &part).await?;
    let narrowed = part.narrow(&outline, &index);
    let mut parts = Parts {
        store: source.store.as_ref(),
        key: source.key(params)?,
        index: &index,
        outline: &narrowed,
        loaded: BTreeSet::new(),
        extract: Extract::Part(&part),
    };
    if !marker.emptied {
        // Databases are dropped before they are loaded: what takes their place is proven first.
        if !part.databases.is_empty() && held(&mut control, &part).await?.is_some() {
            parallel::prove(cx, &parts).await.map_err(nothing_replaced)?;
        }
        marker.write(&mut control).await?;
        loaded::forget(&mut control).await?;
        make_room(&mut main, &part).await?;
        marker.emptied = true;
        marker.write(&mut control).await?;
    }
    let others = run::open_sessions(params, &login, &mut main).await?;
    parts.loaded = loaded::read(&mut control).await?;
    let sessions = Sessions { control: &mut control, main: &mut main, others };
    let was_loaded = parallel::load(cx, &parts, sessions).await?;
    let expected = part.expected(source.inventory());
    let mut found = inventory::read_of(&mut control.session, |database, table| {
        let of_database = expected.databases.get(database);
        of_database.is_some_and(|of| table.is_none_or(|table| of.tables.contains_key(table)))
    })
    .await?;
    part.retain(&mut found);
    let differences = expected.compare(&found);
    if !differences.is_empty() {
        return Err(run::differs(params, &differences).help("compare it with the backup before it is used"));
    }
    drop_scratches(&mut main, &part).await?;
    let outputs = Outputs {
        backup: params.backup.clone(),
        tables: expected.table_count(),
        rows: expected.row_count(),
        statements: was_loaded.statements,
        text_bytes: parts.outline.tables.iter().map(|table| table.text_bytes).sum(),
        gtid: String::new(),
        recovery_point: source.manifest.recovery_point(),
    };
    marker.stage = Stage::Complete;
    marker.outputs = Some(outputs.clone());
    marker.write(&mut control).await?;
    main.session.close().await;
    control.session.close().await;
    Ok(outputs)
}

fn nothing_replaced(error: StepError) -> StepError {
    let help = error.help.clone().map_or_else(String::new, |help| format!("; {help}"));
    StepError { help: None, ..error }.help(format!("nothing was replaced{help}"))
}

async fn claim(
    params: &Params,
    cx: &StepContext,
    control: &mut Server,
    part: &Part,
) -> Result<Marker, StepError> {
    if let Some(refusal) = refusal(params, cx, control, part).await? {
        return Err(refusal);
    }
    let marker: Option<Marker> = read(control, Slot::PART).await?;
    let goes_on =
        |marker: &Marker| marker.stage != Stage::Complete && is_ours(marker, params, cx, Some(part));
    Ok(marker.filter(goes_on).unwrap_or_else(|| Marker {
        backup: params.backup.clone(),
        run: cx.run().clone(),
        object: params.object.clone(),
        stage: Stage::Loading,
        // Nothing of the server is changed that would have to be put back.
        before: Before::default(),
        emptied: false,
        fenced: false,
        part: Some(part.clone()),
        outputs: None,
    }))
}

/// Drops the databases that are replaced, and makes those that tables are loaded into.
async fn make_room(main: &mut Server, part: &Part) -> Result<(), StepError> {
    for database in part.databases.values() {
        let drop = format!("DROP DATABASE IF EXISTS {}", quote_identifier(database));
        main.session.run(&format!("drop the database {database}"), &drop).await?;
    }
    drop_scratches(main, part).await?;
    let into: BTreeSet<&String> = part.tables.iter().map(|table| &table.to.0).collect();
    for database in part.scratches().iter().chain(into) {
        let create = format!("CREATE DATABASE IF NOT EXISTS {}", quote_identifier(database));
        main.session.run(&format!("create the database {database}"), &create).await?;
    }
    Ok(())
}

async fn drop_scratches(main: &mut Server, part: &Part) -> Result<(), StepError> {
    for database in part.scratches() {
        let drop = format!("DROP DATABASE IF EXISTS {}", quote_identifier(&database));
        main.session.run("remove what tables were loaded into", &drop).await?;
    }
    Ok(())
}
