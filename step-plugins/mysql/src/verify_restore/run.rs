//! Compares, measures, and stores the verdict: a good one and a bad one.

use rekindle_backup::catalogue;
use rekindle_backup::manifest::Manifest;
use rekindle_backup::verdict::{Drill, Level, Verdict};
use rekindle_engine::step::{StepContext, StepError};

use super::prediction::{Statistics, data_bytes, words};
use super::{Outputs, Params};
use crate::check_tables::{Look, damaged};
use crate::checksum::{add_checksums, leave_unknown_history_out};
use crate::connection::Server;
use crate::flavour::{ServerVersion, flavour_name};
use crate::inventory;

pub(super) async fn run(params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
    let store = cx.store(&params.backup.store).await?;
    let manifest = catalogue::load_manifest(store.as_ref(), &params.backup).await?;
    let restore_ms = took_ms(params, cx)?;
    let mut server = Server::open(cx, &params.target).await?;
    check_flavour(&server, &manifest, params)?;
    let mut found = inventory::read(&mut server.session).await?;
    // Every table is read for it: not where there is nothing to compare with.
    if are_comparable(&server.version, &manifest, cx) && manifest.inventory.checksum_count() > 0 {
        add_checksums(&mut server.session, &mut found, |_, _| {}).await?;
        leave_unknown_history_out(&mut found, &manifest.inventory);
    }
    let differences = inventory::differences(&manifest, &found);
    let mut problems: Vec<String> = differences.iter().map(ToString::to_string).collect();
    if manifest.physical.is_some() {
        // It knows no rows and no checksums: the server looks at its own files.
        problems.extend(damaged(&mut server, &found, Look::Whole, cx).await?);
    }
    let checksums = manifest.inventory.shared_checksum_count(&found);
    let data_bytes = data_bytes(&mut server, Statistics::Renew).await?;
    let drill = Drill { restore_ms, data_bytes, checksums, server: server.version.text.clone() };
    server.session.close().await;
    if manifest.physical.is_some() {
        cx.log(
            "a backup of files has no rows to compare with: the server has checked every table (CHECK TABLE)",
        );
    } else if problems.is_empty() && checksums < found.table_count() {
        let (without, all) = (found.table_count() - checksums, found.table_count());
        cx.warn(&format!(
            "{without} of {all} tables have no checksum to compare with: only their rows were counted"
        ));
    }
    let verdict = Verdict {
        level: Level::Restore,
        ok: problems.is_empty(),
        at: cx.world().clock.now(),
        by_run: cx.run().clone(),
        problems,
        drill: Some(drill.clone()),
    };
    let recorded = if params.record {
        catalogue::store_verdict(store.as_ref(), &params.backup, &verdict).await
    } else {
        Ok(())
    };
    if !verdict.ok {
        if let Err(error) = recorded {
            cx.warn(&format!("the verdict could not be stored: {error}"));
        }
        return Err(failure(params, &verdict.problems));
    }
    recorded?;
    let production_bytes = production_bytes(params, cx).await?.unwrap_or(data_bytes);
    let (told, broken) = words(&drill, production_bytes, cx.settings());
    cx.log(&told);
    if let Some(broken) = broken {
        cx.warn(&broken);
    }
    Ok(Outputs {
        backup: params.backup.clone(),
        tables: found.table_count(),
        rows: found.row_count(),
        checksums,
        restore_ms,
        data_bytes,
        bytes_per_second: drill.bytes_per_second(),
        production_bytes,
        predicted_restore_ms: drill.predict_ms(production_bytes),
    })
}

/// Gives how long the restore took: what was worked at it, without the time that nobody did.
fn took_ms(params: &Params, cx: &StepContext) -> Result<u64, StepError> {
    let report = cx.report();
    let step = report.iter().flat_map(|report| &report.steps).find(|step| step.id == params.restored_by);
    let worked = step.map(|step| {
        let attempts = step.attempts.iter().filter_map(|one| Some((one.started_at, one.ended_at?)));
        attempts.map(|(start, end)| u64::try_from(end.duration_since(start).as_millis()).unwrap_or(0)).sum()
    });
    worked.ok_or_else(|| {
        StepError::permanent(format!("this run has no step `{}`", params.restored_by))
            .help("`restored_by` names the step that restored the backup")
    })
}

fn check_flavour(server: &Server, manifest: &Manifest, params: &Params) -> Result<(), StepError> {
    let from = &manifest.server;
    if server.version.flavour == from.flavour {
        return Ok(());
    }
    let (found, wanted) = (&server.version, flavour_name(from.flavour));
    Err(StepError::permanent(format!("`{}` is {found}, and the backup is of {wanted}", params.target))
        .help("drill with a server of the backup's family"))
}

/// Checksums of one release series can be compared; another may store values of a type in another way.
fn are_comparable(version: &ServerVersion, manifest: &Manifest, cx: &StepContext) -> bool {
    let from = ServerVersion::read(&manifest.server.version, &manifest.server.version_comment);
    let series = |version: &ServerVersion| (version.number.0, version.number.1);
    let same = from.as_ref().is_some_and(|from| series(from) == series(version));
    if !same {
        cx.warn(&format!(
            "the backup is of {} and this server is {version}: their checksums can't be compared, only rows are",
            manifest.server.version
        ));
    }
    same
}

/// Asks the production server for its size; a drill does not fail because production can't be asked.
async fn production_bytes(params: &Params, cx: &StepContext) -> Result<Option<u64>, StepError> {
    let Some(name) = &params.production else { return Ok(None) };
    let asked = async {
        let mut server = Server::open(cx, name).await?;
        let bytes = data_bytes(&mut server, Statistics::AsTheyAre).await?;
        server.session.close().await;
        Ok::<_, StepError>(bytes)
    };
    match asked.await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => {
            cx.warn(&format!("the prediction is for the backup's size: {}", error.message));
            Ok(None)
        }
    }
}

fn failure(params: &Params, problems: &[String]) -> StepError {
    const NAMED: usize = 20;
    let more = problems.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named = problems.iter().take(NAMED).cloned().chain(more).collect::<Vec<_>>().join("; ");
    StepError::permanent(format!("{} does not restore to what it says: {named}", params.backup))
        .help("make a new backup now; the verdict keeps `backup.find` from choosing this one where `verified` is set")
}
