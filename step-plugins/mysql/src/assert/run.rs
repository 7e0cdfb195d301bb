//! The step kind: compares, and names every difference.

use async_trait::async_trait;
use rekindle_backup::catalogue::load_manifest;
use rekindle_backup::inventory::Inventory;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Step, StepContext, StepError,
};

use super::compare::compare;
use super::params::{AssertOutputs, AssertParams};
use crate::answers::ExpectedAnswer;
use crate::connection::{Server, Session};
use crate::inventory;
use crate::preflight::{Look, look_at_target, problem};

/// How many differences are named; the rest are counted.
const NAMED_DIFFERENCES: usize = 20;

/// The step kind.
pub(crate) struct Assert;

/// Loads what the backup says that it holds.
async fn expected_inventory(
    uri: &rekindle_backup::layout::BackupUri,
    cx: &StepContext,
) -> Result<Inventory, StepError> {
    let store = cx.store(&uri.store).await?;
    Ok(load_manifest(store.as_ref(), uri).await?.inventory)
}

async fn ask_all(session: &mut Session, queries: &[ExpectedAnswer]) -> Result<Vec<String>, StepError> {
    let mut differences = Vec::new();
    for query in queries {
        differences.extend(query.difference(session).await?);
    }
    Ok(differences)
}

fn failure(target: &str, differences: &[String]) -> StepError {
    if let [only] = differences {
        return StepError::permanent(format!("`{target}` is not as expected: {only}"));
    }
    let mut lines = vec![format!("`{target}` is not as expected, {} differences:", differences.len())];
    lines.extend(differences.iter().take(NAMED_DIFFERENCES).cloned());
    if let Some(rest @ 1..) = differences.len().checked_sub(NAMED_DIFFERENCES) {
        lines.push(format!("and {rest} more"));
    }
    StepError::permanent(lines.join("\n  "))
}

#[async_trait]
impl Step for Assert {
    const KIND: &'static str = "mysql.assert";
    const SUMMARY: &'static str = "Proves that a server holds what a backup, another server or queries say.";
    const EFFECT: Effect = Effect::Read;
    type Params = AssertParams;
    type Outputs = AssertOutputs;

    fn plan(&self, params: &Planned<AssertParams>) -> Result<Intent, StepError> {
        let mut wants = Vec::new();
        let mut commands = Vec::new();
        if !params.show("/inventory").is_empty() {
            wants.push(format!("every object and row count of {}", params.show("/inventory")));
            commands.push("SELECT COUNT(*) FROM every table".to_owned());
        }
        if !params.show("/against").is_empty() {
            wants.push(format!("every object and row of {}", params.show("/against")));
            commands.push("CHECKSUM TABLE every table".to_owned());
        }
        if let Some(queries) = params.rendered().pointer("/queries").and_then(|list| list.as_array())
            && !queries.is_empty()
        {
            wants.push(format!("the answers of {} queries", queries.len()));
            let sql = |query: &serde_json::Value| query.pointer("/sql")?.as_str().map(str::to_owned);
            commands.extend(queries.iter().filter_map(sql));
        }
        if wants.is_empty() {
            return Err(StepError::permanent("nothing is asserted")
                .help("give at least one of `inventory`, `against` and `queries`"));
        }
        let summary = format!("check that {} has {}", params.show("/target"), wants.join(", and "));
        Ok(Intent { summary, commands, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<AssertParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        for pointer in ["/target", "/against"] {
            if let Look::Reached(server) = look_at_target(params, pointer, cx, &mut found).await {
                server.session.close().await;
            }
        }
        let uri = params.value("/inventory").and_then(|uri| uri.as_str()?.parse().ok());
        if let Some(uri) = uri
            && let Err(error) = expected_inventory(&uri, &cx.step).await
        {
            found.problems.push(problem("rekindle::backup::unusable", error, "/inventory"));
        }
        found
    }

    async fn run(&self, params: &AssertParams, cx: &StepContext) -> Result<AssertOutputs, StepError> {
        let mut outputs = AssertOutputs::default();
        let mut differences = Vec::new();
        let mut server = Server::open(cx, &params.target).await?;
        if params.inventory.is_some() || params.against.is_some() {
            let found = inventory::read(&mut server.session).await?;
            let tables = || found.databases.values().flat_map(|database| database.tables.values());
            outputs.databases = found.databases.len();
            outputs.tables = tables().count();
            outputs.rows = tables().filter_map(|table| table.rows).sum();
            if let Some(uri) = &params.inventory {
                let expected = expected_inventory(uri, cx).await?;
                differences.extend(expected.compare(&found).iter().map(ToString::to_string));
            }
            if let Some(name) = &params.against {
                let mut other = Server::open(cx, name).await?;
                let (more, compared) = compare(&mut server, &found, &mut other, cx).await?;
                differences.extend(more);
                outputs.checksums = compared;
                other.session.close().await;
            }
        }
        differences.extend(ask_all(&mut server.session, &params.queries).await?);
        outputs.queries = params.queries.len();
        server.session.close().await;
        if differences.is_empty() { Ok(outputs) } else { Err(failure(params.target.as_str(), &differences)) }
    }
}
