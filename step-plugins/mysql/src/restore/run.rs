//! The step: fence, load, compare, position, unfence.

use async_trait::async_trait;
use rekindle_backup::catalogue;
use rekindle_backup::manifest::{Manifest, ObjectEntry};
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};

use super::fence::{self, Marker, Stage};
use super::{Outputs, Params, load, position};
use crate::connection::{Server, quote_identifier};
use crate::flavour::flavour_name;
use crate::inventory;

/// `mysql.restore`
pub struct Restore;

#[async_trait]
impl Step for Restore {
    const KIND: &'static str = "mysql.restore";
    const SUMMARY: &'static str =
        "Loads a logical backup into a server, fenced, and proves that everything is there.";
    const EFFECT: Effect = Effect::Destroy;
    const PROBES: bool = true;
    type Params = Params;
    type Outputs = Outputs;

    fn plan(&self, params: &Planned<Params>) -> Result<Intent, StepError> {
        let target = params.show("/target");
        let replaces = params.value("/overwrite").is_some_and(|value| value == true);
        let backup = params.show("/backup");
        let summary = if replaces {
            format!("replace what {target} holds by {backup}")
        } else {
            format!("load {target} from {backup}")
        };
        Ok(Intent {
            summary,
            commands: vec![
                "SET SESSION sql_log_bin = 0; SET GLOBAL read_only = ON; SET GLOBAL event_scheduler = OFF"
                    .to_owned(),
                "DROP DATABASE … -- every database of users that is there".to_owned(),
                format!("-- every statement of {}", shown_object(params)),
                "-- inventory compared with the manifest, GTID position set, read_only as before".to_owned(),
            ],
            provides: Vec::new(),
        })
    }

    async fn preflight(&self, params: &Planned<Params>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        let mut found = Preflight::default();
        match backup(params, &cx.step).await {
            Ok((manifest, object)) => found.notes.push(format!(
                "{} tables, {} rows, {} bytes compressed, from {} {}",
                manifest.inventory.table_count(),
                manifest.inventory.row_count(),
                object.size_bytes,
                flavour_name(manifest.server.flavour),
                manifest.server.version
            )),
            Err(error) => found.problems.push(Problem { pointer: Some("/backup"), ..error.into() }),
        }
        if !cx.provided.contains(&params.target) {
            found.problems.extend(target_problem(params, &cx.step).await);
        }
        found
    }

    async fn probe(&self, params: &Params, cx: &StepContext) -> Result<Probe<Outputs>, StepError> {
        let mut server = match Server::open(cx, &params.target).await {
            Ok(server) => server,
            Err(error) => return Ok(Probe::Unknown { why: error.to_string() }),
        };
        let marker = fence::read_marker(&mut server).await?;
        server.session.close().await;
        // Whatever else is there, `run` begins from the start or goes on from the marker: both are safe.
        Ok(match marker.filter(|marker| marker.is_of(&params.backup, cx.run())) {
            Some(Marker { stage: Stage::Complete, outputs: Some(outputs), .. }) => Probe::Complete(outputs),
            Some(_) | None => Probe::Absent,
        })
    }

    async fn run(&self, params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
        let (manifest, object) = backup(params, cx).await?;
        let mut server = Server::open(cx, &params.target).await?;
        check_flavour(&server, &manifest, params)?;
        let mut marker = claim(params, cx, &mut server).await?;
        fence::raise(&mut server, &marker.before).await?;
        let outputs = match marker.outputs.take() {
            Some(outputs) if marker.stage == Stage::Loaded => outputs,
            Some(_) | None => load_fenced(params, cx, &mut server, &manifest, &object, &mut marker).await?,
        };
        set_position(&mut server, &outputs.gtid).await?;
        fence::lower(&mut server, &marker.before).await?;
        // Last of all: a crash before this is a crash of the restore.
        marker.stage = Stage::Complete;
        marker.outputs = Some(outputs.clone());
        fence::write_marker(&mut server, &marker).await?;
        server.session.close().await;
        Ok(outputs)
    }
}

fn shown_object(params: &Planned<Params>) -> String {
    match params.show("/object").as_str() {
        "" => "full.sql.gz".to_owned(),
        object => object.to_owned(),
    }
}

async fn backup(params: &Params, cx: &StepContext) -> Result<(Manifest, ObjectEntry), StepError> {
    let store = cx.store(&params.backup.store).await?;
    let manifest = catalogue::load_manifest(store.as_ref(), &params.backup).await?;
    let object =
        manifest.objects.iter().find(|object| object.name == params.object).cloned().ok_or_else(|| {
            let names: Vec<_> = manifest.objects.iter().map(|object| object.name.as_str()).collect();
            StepError::permanent(format!("{} has no object `{}`", params.backup, params.object))
                .help(format!("it has {}", names.join(", ")))
        })?;
    Ok((manifest, object))
}

/// Looks whether the server can be restored to; it need not be reachable when an earlier step provides it.
async fn target_problem(params: &Params, cx: &StepContext) -> Option<Problem> {
    let login = match crate::connection::Login::of(cx, &params.target).await {
        Ok(login) => login,
        Err(error) => return Some(Problem { pointer: Some("/target"), ..error.into() }),
    };
    let mut server = match login.connect().await {
        Ok(server) => server,
        Err(error) => return Some(error.problem("/target")),
    };
    let found = refusal(params, cx, &mut server).await;
    server.session.close().await;
    match found {
        Ok(None) => None,
        Ok(Some(error)) => Some(Problem {
            code: "rekindle::restore::not_empty",
            message: error.message,
            help: error.help,
            pointer: Some("/target"),
        }),
        Err(error) => Some(error.problem("/target")),
    }
}

fn check_flavour(server: &Server, manifest: &Manifest, params: &Params) -> Result<(), StepError> {
    if server.version.flavour == manifest.server.flavour {
        return Ok(());
    }
    Err(StepError::permanent(format!(
        "`{}` is {}, and the backup is of {} {}",
        params.target,
        server.version,
        flavour_name(manifest.server.flavour),
        manifest.server.version
    ))
    .help("restore to a server of the same flavour: dumps of one are not sound for the other"))
}

/// Says why the server must not be written to, if it holds what nobody has given up.
async fn refusal(
    params: &Params,
    cx: &StepContext,
    server: &mut Server,
) -> Result<Option<StepError>, crate::error::ServerError> {
    let databases = fence::user_databases(server).await?;
    if params.overwrite || databases.is_empty() {
        return Ok(None);
    }
    let unfinished =
        |marker: &Marker| marker.stage != Stage::Complete || marker.is_of(&params.backup, cx.run());
    if fence::read_marker(server).await?.is_some_and(|marker| unfinished(&marker)) {
        // What a restore left half-way holds nothing but what its backup has.
        return Ok(None);
    }
    let mut names = databases.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if databases.len() > 5 {
        names.push_str(", …");
    }
    Ok(Some(
        StepError::permanent(format!("`{}` holds {} databases ({names})", params.target, databases.len())).help(
            "nothing was changed. If they may be lost, set `overwrite: true` (`--set reseed_replicas=true` for the \
             replicas of disaster-recovery)",
        ),
    ))
}

/// Makes sure that the server may be written to, and marks it as this restore's.
async fn claim(params: &Params, cx: &StepContext, server: &mut Server) -> Result<Marker, StepError> {
    if let Some(refusal) = refusal(params, cx, server).await? {
        return Err(refusal);
    }
    let found = fence::read_marker(server).await?;
    if let Some(marker) = found {
        if marker.is_of(&params.backup, cx.run()) && marker.stage != Stage::Complete {
            return Ok(marker);
        }
        if marker.stage != Stage::Complete {
            // The fence of a restore that was given up: what the server was like before stands in its marker.
            return Ok(Marker {
                backup: params.backup.clone(),
                run: cx.run().clone(),
                stage: Stage::Loading,
                ..marker
            });
        }
    }
    Ok(Marker {
        backup: params.backup.clone(),
        run: cx.run().clone(),
        stage: Stage::Loading,
        before: fence::look_before(server).await?,
        outputs: None,
    })
}

async fn load_fenced(
    params: &Params,
    cx: &StepContext,
    server: &mut Server,
    manifest: &Manifest,
    object: &ObjectEntry,
    marker: &mut Marker,
) -> Result<Outputs, StepError> {
    marker.stage = Stage::Loading;
    marker.outputs = None;
    fence::write_marker(server, marker).await?;
    for database in fence::user_databases(server).await? {
        let statement = format!("DROP DATABASE {}", quote_identifier(&database));
        server.session.run("drop a database", "SET SESSION foreign_key_checks = 0").await?;
        server.session.run("drop a database", &statement).await?;
    }
    let store = cx.store(&params.backup.store).await?;
    let key = params.backup.key(&object.name).map_err(|error| StepError::permanent(error.to_string()))?;
    let loaded = load::load(cx, server, object, store.get(&key, None).await?).await?;
    let found = inventory::read(&mut server.session).await?;
    let differences = manifest.inventory.compare(&found);
    if !differences.is_empty() {
        let shown: Vec<_> = differences.iter().take(10).map(ToString::to_string).collect();
        return Err(StepError::permanent(format!(
            "`{}` is not what the manifest says, {} differences: {}",
            params.target,
            differences.len(),
            shown.join("; ")
        ))
        .help("the server stays fenced (read-only); restore another backup"));
    }
    let outputs = Outputs {
        backup: params.backup.clone(),
        tables: found.table_count(),
        rows: found.row_count(),
        statements: loaded.statements,
        text_bytes: loaded.text_bytes,
        gtid: manifest.consistent_point.gtid.clone().unwrap_or_default(),
        recovery_point: manifest.recovery_point(),
    };
    marker.stage = Stage::Loaded;
    marker.outputs = Some(outputs.clone());
    fence::write_marker(server, marker).await?;
    Ok(outputs)
}

async fn set_position(server: &mut Server, gtid: &str) -> Result<(), StepError> {
    if gtid.is_empty() {
        return Ok(());
    }
    let log_bin: u8 = server.session.row("tell whether it logs", "SELECT @@GLOBAL.log_bin").await?;
    for statement in position::statements(&server.version, log_bin == 1, gtid) {
        server.session.run("set its GTID position", &statement).await?;
    }
    Ok(())
}
