//! One restore: claim, fence, load, compare, unfence.

use std::sync::Arc;

use rekindle_backup::catalogue;
use rekindle_backup::inventory::Inventory;
use rekindle_backup::layout::index_name;
use rekindle_backup::manifest::{DumpIndex, Manifest, ObjectEntry, ObjectRole};
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::{StepContext, StepError};

use super::fence::{self, Before, Marker, Stage};
use super::{BinlogUse, Outputs, Params, load};
use crate::connection::{Login, Server, quote_identifier};
use crate::dump::without_grant_option;
use crate::error::ServerError;
use crate::flavour::flavour_name;
use crate::inventory;
use crate::replication::statements::Dialect;

/// How long an earlier session of a killed runner may take to end its last statement.
const LOCK_WAIT_SECONDS: u32 = 60;
const SHOWN_DIFFERENCES: usize = 10;
const SHOWN_NAMES: usize = 5;
/// An index has some 200 bytes for each 4 MiB of text.
const INDEX_LIMIT_BYTES: usize = 1 << 30;

/// What is restored.
pub(super) struct Source {
    store: Arc<dyn ObjectStore>,
    pub(super) manifest: Manifest,
    pub(super) object: ObjectEntry,
    /// What a dump of less than everything holds; the manifest says it of the whole.
    partial: Option<Inventory>,
}

impl Source {
    pub(super) async fn find(params: &Params, cx: &StepContext) -> Result<Self, StepError> {
        let store = cx.store(&params.backup.store).await?;
        let manifest = catalogue::load_manifest(store.as_ref(), &params.backup).await?;
        let dumps = |object: &&ObjectEntry| {
            matches!(object.role, ObjectRole::Full | ObjectRole::Databases | ObjectRole::Schema)
        };
        let named = manifest.objects.iter().filter(dumps).find(|object| object.name == params.object);
        let Some(object) = named.cloned() else {
            let all: Vec<_> = manifest.objects.iter().filter(dumps).map(|o| o.name.as_str()).collect();
            return Err(StepError::permanent(format!("{} has no dump `{}`", params.backup, params.object))
                .help(format!("it has {}", all.join(", "))));
        };
        let partial = match object.role {
            ObjectRole::Full => None,
            ObjectRole::Databases
            | ObjectRole::Schema
            | ObjectRole::Files
            | ObjectRole::Index
            | ObjectRole::Facts
            | ObjectRole::Instructions => Some(index(store.as_ref(), params).await?.inventory),
        };
        Ok(Self { store, manifest, object, partial })
    }

    /// Gives what the server must hold in the end.
    pub(super) fn inventory(&self) -> &Inventory {
        self.partial.as_ref().unwrap_or(&self.manifest.inventory)
    }

    /// Tells whether this database is replaced by the restore.
    fn replaces(&self, database: &str) -> bool {
        self.partial.as_ref().is_none_or(|partial| partial.databases.contains_key(database))
    }

    /// Refuses an account that would fail at the accounts of the backup, after everything else is loaded.
    pub(super) async fn check_grant_option(&self, server: &mut Server) -> Result<(), StepError> {
        if self.object.role != ObjectRole::Full || self.manifest.server.users.is_empty() {
            return Ok(());
        }
        let Some(account) = without_grant_option(server).await? else { return Ok(()) };
        let target = server.session.target();
        Err(StepError::permanent(format!(
            "the account {account} of `{target}` has no WITH GRANT OPTION on *.*"
        ))
        .help(format!(
            "the backup has accounts, which it can't give their privileges; run `GRANT ALL PRIVILEGES ON *.* \
                 TO {account} WITH GRANT OPTION`"
        )))
    }

    pub(super) fn check_flavour(&self, server: &Server) -> Result<(), StepError> {
        let from = &self.manifest.server;
        if server.version.flavour == from.flavour {
            return Ok(());
        }
        let target = server.session.target();
        let is_of = format!("{} {}", flavour_name(from.flavour), from.version);
        Err(StepError::permanent(format!("`{target}` is {}, and the backup is of {is_of}", server.version))
            .help("restore to a server of the same flavour: dumps of one are not sound for the other"))
    }
}

/// The code of an account that can't make the accounts of a backup.
pub(super) const MISSING_PRIVILEGE: &str = "rekindle::restore::missing_privilege";

async fn index(store: &dyn ObjectStore, params: &Params) -> Result<DumpIndex, StepError> {
    let name = index_name(params.object.strip_suffix(".sql.gz").unwrap_or(&params.object));
    let key = params.backup.key(&name).map_err(|error| StepError::permanent(error.to_string()))?;
    let text = store.get(&key, None).await?.collect(INDEX_LIMIT_BYTES).await;
    let text = text.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => StepError::permanent(format!("`{key}` is damaged: {error}")).help(
            "`rekindle run verify` tells which objects are damaged; restore another backup or its copy",
        ),
        _ => StepError::transient(format!("failed to read `{key}`: {error}")),
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| StepError::permanent(format!("`{key}` can't be read: {error}")))
}

pub(super) async fn run(params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
    let source = Source::find(params, cx).await?;
    let login = Login::of(cx, &params.target).await?;
    // Two sessions: the dump sets what it likes in one, the marker and the fence are kept by the other.
    let mut control = login.connect().await?;
    source.check_flavour(&control)?;
    source.check_grant_option(&mut control).await?;
    prepare_control(params, &mut control).await?;
    // The session that loads also holds the lock: both end together, after its last statement.
    let mut loading = login.connect().await?;
    lock(&mut loading).await?;
    let mut marker = claim(params, cx, &mut control).await?;
    fence::let_us_in(&mut control, &marker.before).await?;
    let outputs = match marker.outputs.take() {
        Some(outputs) if marker.stage == Stage::Loaded => {
            fence::raise(&mut control, &marker.before).await?;
            outputs
        }
        Some(_) | None => {
            marker.stage = Stage::Loading;
            fence::write_marker(&mut control, &marker).await?;
            fence::raise(&mut control, &marker.before).await?;
            let loaded = load_fenced(params, cx, &mut loading, &source).await?;
            if marker.before.replica && params.binlog == BinlogUse::Off {
                fence::leave_events_to_source(&mut control).await?;
            }
            compare(params, &mut control, &source).await?;
            let outputs = outputs(params, &source, loaded);
            marker.stage = Stage::Loaded;
            marker.outputs = Some(outputs.clone());
            fence::write_marker(&mut control, &marker).await?;
            outputs
        }
    };
    set_position(&mut control, &outputs.gtid).await?;
    fence::lower(&mut control, &marker.before).await?;
    // Last of all: a crash before this is a crash of the restore.
    marker.stage = Stage::Complete;
    marker.outputs = Some(outputs.clone());
    fence::write_marker(&mut control, &marker).await?;
    fence::let_nobody_in(&mut control, &marker.before).await?;
    loading.session.close().await;
    control.session.close().await;
    Ok(outputs)
}

async fn prepare_control(params: &Params, control: &mut Server) -> Result<(), StepError> {
    match (fence::prepare(control).await, params.binlog) {
        (Ok(()), _) => Ok(()),
        // Only the marker goes into the log then, as everything else does on purpose.
        (Err(error), BinlogUse::On) if error.server_code().is_some() => Ok(()),
        (Err(error), BinlogUse::Off) if error.server_code().is_some() => Err(StepError::from(error)
            .help("grant the privilege, or set `binlog: on` to send the restore to the server's replicas")),
        (Err(error), _) => Err(error.into()),
    }
}

/// Makes sure that no other session is at it: a runner that was killed leaves one that ends its last statement.
async fn lock(control: &mut Server) -> Result<(), StepError> {
    let query = format!("SELECT GET_LOCK('rekindle.restore', {LOCK_WAIT_SECONDS})");
    let got: Option<i64> = control.session.row("lock it for the restore", &query).await?;
    if got == Some(1) {
        return Ok(());
    }
    let target = control.session.target();
    Err(StepError::transient(format!("another session restores into `{target}`"))
        .help("wait for it, or end it: `SHOW PROCESSLIST` on the server shows it"))
}

/// Says in a few words which databases of users a server holds; nothing when there are none.
pub(super) async fn held(server: &mut Server) -> Result<Option<String>, ServerError> {
    let databases = user_databases(server).await?;
    if databases.is_empty() {
        return Ok(None);
    }
    let query = "SELECT table_schema FROM information_schema.tables WHERE table_type <> 'VIEW'";
    let owners: Vec<String> = server.session.rows("count its tables", query).await?;
    let tables = owners.iter().filter(|name| inventory::is_user_database(name)).count();
    let mut names = databases.iter().take(SHOWN_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    if databases.len() > SHOWN_NAMES {
        names.push_str(", …");
    }
    let databases = counted(databases.len(), "database");
    Ok(Some(format!("{databases} ({names}) with {}", counted(tables, "table"))))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

async fn user_databases(server: &mut Server) -> Result<Vec<String>, ServerError> {
    let query = "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name";
    let all: Vec<String> = server.session.rows("list its databases", query).await?;
    Ok(all.into_iter().filter(|name| inventory::is_user_database(name)).collect())
}

/// Says why the server must not be written to, if it holds what nobody has given up.
pub(super) async fn refusal(
    params: &Params,
    cx: &StepContext,
    server: &mut Server,
) -> Result<Option<StepError>, ServerError> {
    let Some(held) = held(server).await? else { return Ok(None) };
    if params.overwrite {
        return Ok(None);
    }
    // What a restore left half-way holds nothing but what its backup has.
    let given_up = |marker: &Marker| marker.stage != Stage::Complete || marker.is_of(params, cx.run());
    if fence::read_marker(server).await?.is_some_and(|marker| given_up(&marker)) {
        return Ok(None);
    }
    Ok(Some(StepError::permanent(format!("`{}` holds {held}", params.target)).help(
        "nothing was changed. If that may be lost, set `overwrite: true` (for disaster-recovery \
         `--set overwrite_primary=true`, and `--set reseed_replicas=true` for its replicas)",
    )))
}

/// Makes sure that the server may be written to, and gives the marker to go on with.
async fn claim(params: &Params, cx: &StepContext, server: &mut Server) -> Result<Marker, StepError> {
    if let Some(refusal) = refusal(params, cx, server).await? {
        return Err(refusal);
    }
    let fresh = |before: Before| Marker {
        backup: params.backup.clone(),
        run: cx.run().clone(),
        object: params.object.clone(),
        stage: Stage::Loading,
        before,
        outputs: None,
    };
    Ok(match fence::read_marker(server).await? {
        Some(marker) if marker.stage == Stage::Complete => fresh(fence::look_before(server).await?),
        Some(marker) if marker.is_of(params, cx.run()) => marker,
        // The fence of a restore that was given up: what the server was like before it stands in its marker.
        Some(marker) => fresh(marker.before),
        None => fresh(fence::look_before(server).await?),
    })
}

async fn load_fenced(
    params: &Params,
    cx: &StepContext,
    loading: &mut Server,
    source: &Source,
) -> Result<load::Loaded, StepError> {
    load::prepare(loading, params.binlog).await?;
    for database in user_databases(loading).await? {
        if source.replaces(&database) {
            let statement = format!("DROP DATABASE {}", quote_identifier(&database));
            loading.session.run(&format!("drop the database {database}"), &statement).await?;
        }
    }
    let key = params.backup.key(&source.object.name);
    let key = key.map_err(|error| StepError::permanent(error.to_string()))?;
    let body = source.store.get(&key, None).await?;
    load::load(cx, loading, &source.object, body).await
}

fn outputs(params: &Params, source: &Source, loaded: load::Loaded) -> Outputs {
    let whole = source.partial.is_none() && params.binlog == BinlogUse::Off;
    let gtid = source.manifest.consistent_point.gtid.clone().filter(|_| whole);
    Outputs {
        backup: params.backup.clone(),
        tables: source.inventory().table_count(),
        rows: source.inventory().row_count(),
        statements: loaded.statements,
        text_bytes: loaded.text_bytes,
        gtid: gtid.unwrap_or_default(),
        recovery_point: source.manifest.recovery_point(),
    }
}

/// Proves that the server holds what the backup says.
async fn compare(params: &Params, control: &mut Server, source: &Source) -> Result<(), StepError> {
    let mut found = inventory::read(&mut control.session).await?;
    found.databases.retain(|name, _| source.replaces(name));
    let differences = source.inventory().compare(&found);
    if differences.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = differences.iter().take(SHOWN_DIFFERENCES).map(ToString::to_string).collect();
    let (target, count) = (&params.target, differences.len());
    Err(StepError::permanent(format!(
        "`{target}` is not what the backup says, {count} differences: {}",
        shown.join("; ")
    ))
    .help("the server stays fenced (read-only); restore another backup"))
}

async fn set_position(control: &mut Server, gtid: &str) -> Result<(), StepError> {
    if gtid.is_empty() {
        return Ok(());
    }
    let log_bin: u8 = control.session.row("tell whether it logs", "SELECT @@GLOBAL.log_bin").await?;
    fence::send_replicas_away(control).await?;
    for statement in Dialect::of(&control.version).stand_at(log_bin == 1, gtid) {
        control.session.run("set its GTID position", &statement).await?;
    }
    Ok(())
}
