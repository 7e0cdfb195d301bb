//! One restore: claim, fence, load, compare, unfence.

use rekindle_backup::dump::Outline;
use rekindle_backup::inventory::Difference;
use rekindle_backup::manifest::DumpIndex;
use rekindle_engine::step::{ErrorClass, StepContext, StepError};

use super::marker::{self, Before, Marker, Stage};
use super::parallel::{self, Extract, Parts, Sessions};
use super::part::Part;
use super::source::Source;
use super::{
    BinlogUse, MAX_SESSIONS, Outputs, Params, foreign_keys, load, loaded, partial, replication, rights,
};
use crate::archive_binlogs::{self, ArchiveBinlogsParams};
use crate::binlogs::server::logs_at_all;
use crate::connection::{Login, Server, quote_identifier};
use crate::error::ServerError;
use crate::fence;
use crate::inventory;
use crate::marker::{LOCK_WAIT_SECONDS, Slot, forget, prepare};
use crate::replication::statements::Dialect;
use crate::verify_restore::store_bad_end;

const SHOWN_DIFFERENCES: usize = 10;
const SHOWN_NAMES: usize = 5;

pub(super) async fn run(params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
    params.check()?;
    let source = Source::find(params, cx).await?;
    let params = source.named(params).into_owned();
    let params = &params;
    if let Some(part) = Part::of(params, source.inventory())? {
        return partial::run(params, cx, &source, part).await;
    }
    let login = Login::of(cx, &params.target).await?;
    // Two sessions: the dump sets what it likes in one, the marker and the fence are kept by the other.
    let mut control = login.connect().await?;
    source.check_flavour(&control)?;
    source.is_of_newer(&control).iter().for_each(|note| cx.warn(note));
    source.check_grant_option(&mut control).await?;
    if params.drill {
        rights::trust(&mut control).await?;
    }
    rights::check(&source, None, &mut control).await?;
    prepare_control(params, &mut control).await?;
    // The session that loads also holds the lock: both end together, after its last statement.
    let mut loading = login.connect().await?;
    lock(&mut loading).await?;
    let mut marker = claim(params, cx, &mut control).await?;
    fence::let_us_in(&mut control, &marker.before.fence).await?;
    let outputs = match marker.outputs.take() {
        Some(outputs) if marker.stage == Stage::Loaded => {
            fence::raise(&mut control, &marker.before.fence).await?;
            outputs
        }
        Some(_) | None => {
            let begun = Begun { params, cx, login: &login, source: &source };
            let loaded = match begun.load_and_prove(&mut control, &mut loading, &mut marker).await {
                Err(error) if params.drill => return Err(begun.keep_verdict(error).await),
                loaded => loaded?,
            };
            let outputs = outputs(params, &source, loaded);
            marker.stage = Stage::Loaded;
            marker.outputs = Some(outputs.clone());
            marker.write(&mut control).await?;
            outputs
        }
    };
    set_position(&mut control, &outputs.gtid).await?;
    marker.fenced = params.stay_fenced;
    if !marker.fenced {
        fence::lower(&mut control, &marker.before.fence).await?;
    }
    // Last of all: a crash before this is a crash of the restore.
    marker.stage = Stage::Complete;
    marker.outputs = Some(outputs.clone());
    marker.write(&mut control).await?;
    fence::let_nobody_in(&mut control, &marker.before.fence).await?;
    loading.session.close().await;
    control.session.close().await;
    Ok(outputs)
}

pub(super) async fn prepare_control(params: &Params, control: &mut Server) -> Result<(), StepError> {
    match (prepare(control).await, params.binlog()) {
        (Ok(()), _) => Ok(()),
        // Only the marker goes into the log then, as everything else does on purpose.
        (Err(error), BinlogUse::On) if error.server_code().is_some() => Ok(()),
        (Err(error), BinlogUse::Off) if error.server_code().is_some() => Err(StepError::from(error)
            .help("grant the privilege, or set `binlog: on` to send the restore to the server's replicas")),
        (Err(error), _) => Err(error.into()),
    }
}

/// Makes sure that no other session restores.
pub(super) async fn lock(server: &mut Server) -> Result<(), StepError> {
    crate::marker::lock(server, "restore", "restores into").await
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

pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

pub(super) async fn user_databases(server: &mut Server) -> Result<Vec<String>, ServerError> {
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
    // What a restore left half-way holds nothing but what its backup has, once it has emptied the server.
    let given_up = |marker: &Marker| {
        (marker.stage != Stage::Complete && marker.emptied) || marker.is_of(params, cx.run())
    };
    if marker::read(server).await?.is_some_and(|marker| given_up(&marker)) {
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
        emptied: false,
        fenced: false,
        part: None,
        outputs: None,
    };
    Ok(match marker::read(server).await? {
        Some(marker) if marker.stage == Stage::Complete && !marker.fenced => {
            fresh(Before::look(server).await?)
        }
        Some(marker) if marker.is_of(params, cx.run()) => marker,
        // The fence of a restore that was given up: what the server was like before it stands in its marker.
        Some(marker) => fresh(marker.before),
        None => fresh(Before::look(server).await?),
    })
}

/// A restore whose server is claimed.
struct Begun<'a> {
    params: &'a Params,
    cx: &'a StepContext,
    login: &'a Login,
    source: &'a Source,
}

impl Begun<'_> {
    async fn load_and_prove(
        &self,
        control: &mut Server,
        loading: &mut Server,
        marker: &mut Marker,
    ) -> Result<load::Loaded, StepError> {
        let Self { params, cx, source, .. } = *self;
        let loaded = self.load(control, loading, marker).await?;
        if marker.before.replica && params.binlog() == BinlogUse::Off {
            replication::leave_events_to_source(control).await?;
        }
        compare(params, control, source).await?;
        foreign_keys::check(cx, control, |database| source.replaces(database)).await?;
        Ok(loaded)
    }

    /// Stores that the backup did not load, unless trying again may help.
    async fn keep_verdict(&self, error: StepError) -> StepError {
        if error.class != ErrorClass::Permanent {
            return error;
        }
        let why = format!("it does not load: {}", error.message);
        store_bad_end(self.cx, self.source.store.as_ref(), &self.params.backup, why).await;
        error
    }

    /// Raises the fence and loads what is not loaded yet.
    async fn load(
        &self,
        control: &mut Server,
        loading: &mut Server,
        marker: &mut Marker,
    ) -> Result<load::Loaded, StepError> {
        let parts = self.source.parts(self.params, self.cx).await;
        let parts = parts.filter(|_| self.params.sessions() > 1);
        marker.stage = Stage::Loading;
        // Only what was loaded table by table can be gone on with.
        marker.emptied &= parts.is_some();
        marker.write(control).await?;
        fence::raise(control, &marker.before.fence).await?;
        if !marker.emptied {
            self.archive_logs(control, marker).await?;
        }
        replication::leave_source(control).await?;
        // Sessions keep the largest packet of when they began, which the fence has raised.
        let earlier = std::mem::replace(loading, self.login.connect().await?);
        earlier.session.close().await;
        lock(loading).await?;
        load::prepare(loading, self.params.binlog()).await?;
        if !marker.emptied {
            loaded::forget(control).await?;
            forget(control, Slot::PART).await?;
            forget(control, Slot::REPLAY).await?;
            self.empty(loading).await?;
            marker.emptied = true;
            marker.write(control).await?;
        }
        match parts {
            Some((index, outline)) => self.side_by_side(control, loading, &index, &outline).await,
            None => self.in_order(loading).await,
        }
    }

    /// Archives what the server has logged, all of it: nobody writes any more. When that fails, the server gets back
    /// what it was like.
    async fn archive_logs(&self, control: &mut Server, marker: &Marker) -> Result<(), StepError> {
        let Some(store) = &self.params.archive_to else { return Ok(()) };
        if held(control).await?.is_none() || !logs_at_all(control).await? {
            return Ok(());
        }
        let all = ArchiveBinlogsParams::once(self.params.target.clone(), store.clone());
        let Err(error) = archive_binlogs::run(&all, self.cx).await else { return Ok(()) };
        fence::lower(control, &marker.before.fence).await?;
        forget(control, Slot::WHOLE).await?;
        fence::let_nobody_in(control, &marker.before.fence).await?;
        let StepError { message, .. } = &error;
        let message = format!("the binary logs of `{}` were not archived: {message}", self.params.target);
        Err(StepError { message, help: None, ..error }
            .help("nothing was replaced; leave `archive_to` out (`--set archive=false`) to lose what only they have"))
    }

    /// Drops what the backup replaces.
    async fn empty(&self, loading: &mut Server) -> Result<(), StepError> {
        for database in user_databases(loading).await? {
            if self.source.replaces(&database) {
                let statement = format!("DROP DATABASE {}", quote_identifier(&database));
                loading.session.run(&format!("drop the database {database}"), &statement).await?;
            }
        }
        Ok(())
    }

    async fn in_order(&self, loading: &mut Server) -> Result<load::Loaded, StepError> {
        let body = self.source.store.get(&self.source.key(self.params)?, None).await?;
        load::load(self.cx, loading, &self.source.object, body).await
    }

    async fn side_by_side(
        &self,
        control: &mut Server,
        loading: &mut Server,
        index: &DumpIndex,
        outline: &Outline,
    ) -> Result<load::Loaded, StepError> {
        let loaded = loaded::read(control).await?;
        if !loaded.is_empty() {
            self.cx.log(&format!("{} tables are loaded already", loaded.len()));
        }
        let others = open_sessions(self.params, self.login, loading).await?;
        let store = self.source.store.as_ref();
        let extract = Extract::Whole;
        let parts = Parts { store, key: self.source.key(self.params)?, index, outline, loaded, extract };
        parallel::load(self.cx, &parts, Sessions { control, main: loading, others }).await
    }
}

/// Opens the sessions that load tables, once those of an earlier runner are gone.
pub(super) async fn open_sessions(
    params: &Params,
    login: &Login,
    loading: &mut Server,
) -> Result<Vec<Server>, StepError> {
    await_earlier_sessions(loading).await?;
    let mut others = Vec::new();
    for number in 0..params.sessions() {
        let mut session = login.connect().await?;
        let query = format!("SELECT GET_LOCK('{}', 0)", session_lock(number));
        let _: Option<i64> = session.session.row("lock it for the restore", &query).await?;
        load::prepare(&mut session, params.binlog()).await?;
        others.push(session);
    }
    Ok(others)
}

fn session_lock(number: usize) -> String {
    format!("rekindle.restore.{number}")
}

/// Waits for the sessions of a runner that was killed: each holds a lock until its last statement is over.
async fn await_earlier_sessions(server: &mut Server) -> Result<(), StepError> {
    for number in 0..MAX_SESSIONS {
        let name = session_lock(number);
        let query = format!("SELECT GET_LOCK('{name}', {LOCK_WAIT_SECONDS})");
        let got: Option<i64> = server.session.row("wait for earlier sessions", &query).await?;
        if got != Some(1) {
            let target = server.session.target();
            return Err(StepError::transient(format!("an earlier session still restores into `{target}`"))
                .help("wait for it, or end it: `SHOW PROCESSLIST` on the server shows it"));
        }
        let query = format!("SELECT RELEASE_LOCK('{name}')");
        let _: Option<i64> = server.session.row("wait for earlier sessions", &query).await?;
    }
    Ok(())
}

fn outputs(params: &Params, source: &Source, loaded: load::Loaded) -> Outputs {
    let whole = source.partial.is_none() && params.binlog() == BinlogUse::Off;
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
    Err(differs(params, &differences).help("the server stays fenced (read-only); restore another backup"))
}

/// Says in what a server is not what the backup says.
pub(super) fn differs(params: &Params, differences: &[Difference]) -> StepError {
    let shown: Vec<_> = differences.iter().take(SHOWN_DIFFERENCES).map(ToString::to_string).collect();
    let (target, count) = (&params.target, differences.len());
    StepError::permanent(format!(
        "`{target}` is not what the backup says, {count} differences: {}",
        shown.join("; ")
    ))
}

async fn set_position(control: &mut Server, gtid: &str) -> Result<(), StepError> {
    if gtid.is_empty() {
        return Ok(());
    }
    let log_bin: u8 = control.session.row("tell whether it logs", "SELECT @@GLOBAL.log_bin").await?;
    replication::send_replicas_away(control).await?;
    for statement in Dialect::of(&control.version).stand_at(log_bin == 1, gtid) {
        control.session.run("set its GTID position", &statement).await?;
    }
    Ok(())
}
