//! `rekindle backups [list|show ID|verify ID|mark ID|prune] -e ENV`

mod mark;
mod prune;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;
use rekindle_backup::catalogue::{self, CatalogueError, Listed};
use rekindle_backup::covers::Covers;
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{BackupKind, Manifest};
use rekindle_engine::environment::Settings;
use rekindle_engine::host::ObjectStore;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::open_store;
use serde_json::{Value, json};

use super::drive::Options;
use super::plan::What;
use super::run::{self, Consent};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::project::{self, EnvironmentArg, ValueArgs};
use crate::terminal::words;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: Place,
}

/// As [`EnvironmentArg`], but also after the subcommand.
#[derive(Debug, Clone, clap::Args)]
struct Place {
    /// The environment: NAME for environments/NAME.yaml, or a path
    #[arg(short, long, value_name = "ENV", env = "REKINDLE_ENVIRONMENT", global = true)]
    environment: Option<String>,
    /// The store, as the environment names it
    #[arg(long, default_value = "primary", global = true)]
    store: String,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the backups of the environment's cluster, oldest first
    List,
    /// Show what a backup holds
    Show {
        /// The backup's id, or `latest`
        id: String,
    },
    /// Read a backup back and prove that it is whole
    Verify {
        /// The backup's id, or `latest`
        id: String,
    },
    /// Keep a backup from being pruned, or give it free again, and label it
    Mark(mark::Mark),
    /// Show which backups no rule keeps, with the reason for each; remove them with --yes
    Prune(prune::Prune),
}

pub(crate) async fn backups(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    let Some(environment) = args.place.environment.clone() else {
        return Err(Failure::input("which environment?").help("name it with -e ENV"));
    };
    let environment = EnvironmentArg { environment };
    let store: StoreName = args.place.store.as_str().into();
    match &args.command {
        None | Some(Command::List) => {
            let settings = project::load_environment(&environment)?.settings;
            let opened = open(&settings, &store).await?;
            let listed = list(opened.as_ref(), &settings, &store).await?;
            print_list(&listed, args.place.json, &settings, &store)
        }
        Some(Command::Show { id }) => {
            let settings = project::load_environment(&environment)?.settings;
            show(&settings, &store, id, args.place.json).await
        }
        Some(Command::Verify { id }) => {
            let set = vec![format!("backup={id}"), format!("store={store}")];
            run_shipped("verify", environment, set, state_dir).await
        }
        Some(Command::Mark(mark)) => run_shipped("mark", environment, mark.values(&store)?, state_dir).await,
        Some(Command::Prune(prune)) => {
            let values = prune.values(store.as_str());
            let what = What { runbook: "prune".to_owned(), environment, values };
            prune.go(&what, state_dir, args.place.json).await
        }
    }
}

async fn run_shipped(
    runbook: &str,
    environment: EnvironmentArg,
    set: Vec<String>,
    state_dir: &Path,
) -> Result<Exit, Failure> {
    let runbook = runbook.to_owned();
    let what = What { runbook, environment, values: ValueArgs { set, values: Vec::new() } };
    run::begin(&what, state_dir, Consent::Given, &Options::default()).await
}

async fn list(
    store: &dyn ObjectStore,
    settings: &Settings,
    name: &StoreName,
) -> Result<Vec<Listed>, Failure> {
    catalogue::list_backups(store, name, Some(settings.cluster()))
        .await
        .map_err(|error| Failure::failed(error.to_string()))
}

async fn open(settings: &Settings, name: &StoreName) -> Result<Arc<dyn ObjectStore>, Failure> {
    open_store(&world::world()?, settings, name).await.map_err(|error| {
        let failure = Failure::input(error.message);
        match error.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })
}

fn as_json(uri: &BackupUri, listed: &Listed) -> Value {
    match &listed.summary {
        Ok(summary) => json!({
            "uri": uri,
            "id": uri.id,
            "kind": summary.kind,
            "covers": summary.covers,
            "base": summary.base,
            "recovery_point": summary.recovery_point,
            "size_bytes": summary.size_bytes,
            "server": format!("{:?} {}", summary.flavour, summary.version).to_lowercase(),
            "databases": summary.databases,
            "tables": summary.tables,
            "rows": summary.rows,
            "proven": listed.proven(),
            "failed": listed.has_failed(),
            "kept": listed.kept(),
            "labels": listed.labels(),
        }),
        Err(error) => {
            let what = unread(error).0;
            json!({ "uri": uri, "id": uri.id, what: error.to_string(), "kept": listed.kept() })
        }
    }
}

fn print_list(
    listed: &[Listed],
    json: bool,
    settings: &Settings,
    store: &StoreName,
) -> Result<Exit, Failure> {
    if json {
        output::json(&listed.iter().map(|one| as_json(&one.uri, one)).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if listed.is_empty() {
        output::line(&format!("no backups of cluster `{}` in store `{store}`", settings.cluster()));
        return Ok(Exit::Done);
    }
    let now = Timestamp::now();
    output::line(&format!(
        "{:22}  {:>8}  {:>12}  {:>7}  {:>12}  {}",
        "backup", "age", "size", "tables", "rows", "state"
    ));
    for one in listed {
        output::line(&row(one, now));
    }
    Ok(Exit::Done)
}

/// Says in JSON and in words why nothing is told of a backup.
fn unread(error: &CatalogueError) -> (&'static str, &'static str) {
    match error {
        CatalogueError::Store(_) => ("unreadable", "can't be read now"),
        CatalogueError::NotFound(_)
        | CatalogueError::Damaged { .. }
        | CatalogueError::Newer { .. }
        | CatalogueError::Key(_) => ("damaged", "damaged"),
    }
}

fn row(listed: &Listed, now: Timestamp) -> String {
    let summary = match &listed.summary {
        Ok(summary) => summary,
        Err(error) => return format!("{:22}  {}: {error}", listed.uri.id, unread(error).1),
    };
    let age = now.duration_since(summary.recovery_point).unsigned_abs();
    format!(
        "{:22}  {:>8}  {:>12}  {:>7}  {:>12}  {}",
        listed.uri.id,
        words::duration(age),
        words::bytes(summary.size_bytes),
        summary.tables,
        summary.rows,
        state(listed)
    )
}

/// Says what is known of it, and what was said of it.
fn state(listed: &Listed) -> String {
    let mut state: Vec<String> =
        made(listed).into_iter().chain(part(listed)).chain([health(listed)]).collect();
    state.extend(listed.kept().map(|why| format!("kept: {why}")));
    let labels: Vec<_> = listed.labels().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !labels.is_empty() {
        state.push(format!("[{}]", labels.join(", ")));
    }
    state.join("; ")
}

/// Says how it was made, unless it is SQL text.
fn made(listed: &Listed) -> Option<String> {
    let summary = listed.summary.as_ref().ok()?;
    match (summary.kind, &summary.base) {
        (BackupKind::Logical, _) => None,
        (BackupKind::Physical, None) => Some("physical".to_owned()),
        (BackupKind::Physical, Some(base)) => Some(format!("physical, increment to {base}")),
    }
}

/// Says what it covers, unless it is everything.
fn part(listed: &Listed) -> Option<String> {
    let summary = listed.summary.as_ref().ok()?;
    (!summary.covers.is_whole()).then(|| summary.covers.to_string())
}

fn health(listed: &Listed) -> String {
    let proven: Vec<String> = listed.proven().iter().map(ToString::to_string).collect();
    match (listed.has_failed(), proven.is_empty()) {
        (true, _) => "FAILED its verification".to_owned(),
        (false, true) => "not verified".to_owned(),
        (false, false) => format!("verified: {}", proven.join(", ")),
    }
}

async fn show(settings: &Settings, name: &StoreName, id: &str, json: bool) -> Result<Exit, Failure> {
    let store = open(settings, name).await?;
    let listed = list(store.as_ref(), settings, name).await?;
    // As `backup.find` means it: what less than everything is in is named by its id.
    let is_part = |one: &&Listed| one.summary.as_ref().is_ok_and(|summary| !summary.covers.is_whole());
    let found = if id == "latest" {
        listed.iter().rfind(|one| !is_part(one))
    } else {
        listed.iter().find(|one| one.uri.id == id)
    };
    let Some(found) = found else {
        return Err(
            Failure::input(format!("there is no backup `{id}`")).help("`rekindle backups list` shows all")
        );
    };
    let shown = catalogue::show(store.as_ref(), &found.uri).await;
    let shown = shown.map_err(|error| Failure::failed(error.to_string()))?;
    let manifest = shown.manifest.as_ref().map_err(|error| Failure::failed(error.to_string()))?;
    print_one(&shown.listed, manifest, json)
}

fn print_one(found: &Listed, manifest: &Manifest, json: bool) -> Result<Exit, Failure> {
    if json {
        let mut shown = serde_json::to_value(manifest).map_err(|error| Failure::failed(error.to_string()))?;
        // As it was written, and beside it what was said since.
        if let Some(Ok(said)) = &found.mark {
            shown["mark"] = json!(said);
        }
        output::json(&shown)?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "{}\n  of        {} {} ({})\n  state     {}\n  recovers  {} up to {}\n",
        found.uri,
        format!("{:?}", manifest.server.flavour).to_lowercase(),
        manifest.server.version,
        manifest.cluster,
        state(found),
        Covers::of(manifest),
        manifest.recovery_point()
    );
    if let Some(gtid) = &manifest.consistent_point.gtid {
        let _ = writeln!(text, "  GTID      {gtid}");
    }
    if let Some(encryption) = &manifest.encryption {
        let _ = writeln!(text, "  encrypted {} to {}", encryption.format, encryption.recipients.join(", "));
    }
    text.push_str("\nobjects:\n");
    for object in &manifest.objects {
        let _ = writeln!(
            text,
            "  {:20} {:>12}  sha256 {}",
            object.name,
            words::bytes(object.size_bytes),
            object.sha256
        );
    }
    for (name, database) in &manifest.inventory.databases {
        let _ = writeln!(text, "\ndatabase {name}:");
        for (table, facts) in &database.tables {
            let rows = facts.rows.map_or("not counted".to_owned(), |rows| rows.to_string());
            let _ = writeln!(text, "  table {table}  {rows} rows");
        }
        let others = [
            ("view", database.views.iter().cloned().collect::<Vec<_>>()),
            ("trigger", database.triggers.keys().cloned().collect()),
            ("routine", database.routines.iter().cloned().collect()),
            ("event", database.events.iter().cloned().collect()),
            ("sequence", database.sequences.iter().cloned().collect()),
        ];
        for (what, names) in others {
            for name in names {
                let _ = writeln!(text, "  {what} {name}");
            }
        }
    }
    output::print(&text);
    Ok(Exit::Done)
}
