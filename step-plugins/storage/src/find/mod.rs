//! `backup.find`: chooses one backup: the latest, one by its id, or one by its uri.

mod choose;
#[cfg(test)]
mod covers_tests;
mod point;
#[cfg(test)]
mod point_tests;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use rekindle_backup::catalogue::{self, CatalogueError, Listed, Summary, Trust};
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{BackupKind, Flavour, Manifest};
use rekindle_backup::verdict::Level;
use rekindle_engine::host::ObjectStore;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::choose::Asked;
pub use self::point::LogPosition;
use self::point::Point;
pub use self::wanted::Wanted;
use crate::looking;

/// The kind `backup.find`.
#[derive(Debug, Clone, Copy)]
pub struct FindStep;

/// `with:` of `backup.find`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindParams {
    /// Where to look.
    pub store: StoreName,
    /// Of which cluster; the environment's own when absent.
    #[serde(default)]
    pub cluster: Option<String>,
    /// `latest`, an id, or `backup://STORE/CLUSTER/ID`.
    #[serde(default = "default_backup")]
    pub backup: String,
    /// Only a backup of this kind: `logical` for `mysql.restore`, `physical` for `mysql.restore-physical`.
    #[serde(default)]
    pub kind: Option<BackupKind>,
    /// What it has to hold: `server`, `{ database: shop }`, `{ table: shop.orders }` or `anything`. The latest is one of the
    /// whole server when absent, and one that is named may hold less.
    #[serde(default)]
    pub covers: Option<Wanted>,
    /// Only a backup that a verification has proven good, and none has found bad since.
    #[serde(default)]
    pub verified: bool,
    /// Only a backup whose data are not later than this: `2026-11-22T15:35:00Z`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub before: Option<Timestamp>,
    /// The latest without this transaction, so that a replay can lead to it: `0-1-4711`. When empty it counts as absent.
    #[serde(default)]
    pub before_gtid: Option<String>,
    /// The latest that a replay can lead from to this position of a binary log.
    #[serde(default)]
    pub before_position: Option<LogPosition>,
    /// Only a backup with all these labels, be they of its manifest or of its mark: `{ grade: gold }`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn default_backup() -> String {
    LATEST.to_owned()
}

/// The word for the newest backup.
pub(crate) const LATEST: &str = "latest";

/// Outputs of `backup.find`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindOutputs {
    /// The backup: `backup://STORE/CLUSTER/ID`.
    pub uri: BackupUri,
    /// Its id.
    pub id: String,
    /// The store it lies in.
    pub store: StoreName,
    /// The cluster it is of.
    pub cluster: String,
    /// When its snapshot was open (UTC), where that is known.
    #[schemars(with = "Option<String>")]
    pub consistent_at: Option<Timestamp>,
    /// The point in time that restoring it leads to (UTC).
    #[schemars(with = "String")]
    pub recovery_point: Timestamp,
    /// Whether its server keeps GTIDs.
    #[serde(default)]
    pub keeps_gtids: bool,
    /// How long ago that was when it was looked for.
    #[schemars(extend("x-volatile" = true))]
    pub age_seconds: u64,
    /// Size of its objects.
    pub size_bytes: u64,
    /// How it was made.
    pub kind: BackupKind,
    /// What it covers: `everything`, or in words what part.
    pub covers: String,
    /// The object that what was asked for is restored from: `full.sql.gz`.
    pub object: String,
    /// The family of the server it is of.
    pub flavour: Flavour,
    /// The version of that server.
    pub version: String,
    /// The levels at which it is proven good, mildest first; empty when it is not.
    pub verified: Vec<Level>,
    /// Databases in it.
    pub databases: u64,
    /// Base tables in it.
    pub tables: u64,
    /// Rows in it.
    pub rows: u64,
}

impl FindParams {
    /// Reads the points in the binary logs that the backup has to lie before.
    fn points(&self) -> Result<Vec<Point>, StepError> {
        Point::read(self.before_gtid.as_deref(), self.before_position.as_ref())
    }
}

impl FindOutputs {
    fn of(listed: &Listed, summary: &Summary, manifest: &Manifest, object: String, now: Timestamp) -> Self {
        let recovery_point = summary.recovery_point;
        Self {
            uri: listed.uri.clone(),
            id: listed.uri.id.clone(),
            store: listed.uri.store.clone(),
            cluster: listed.uri.cluster.clone(),
            consistent_at: manifest.consistent_point.at,
            recovery_point,
            keeps_gtids: summary.log_point.gtids(summary.flavour).is_some(),
            age_seconds: u64::try_from(now.duration_since(recovery_point).as_secs()).unwrap_or(0),
            size_bytes: summary.size_bytes,
            kind: summary.kind,
            covers: summary.covers.to_string(),
            object,
            flavour: summary.flavour,
            version: summary.version.clone(),
            verified: listed.proven(),
            databases: summary.databases,
            tables: summary.tables,
            rows: summary.rows,
        }
    }
}

#[async_trait]
impl Step for FindStep {
    const KIND: &'static str = "backup.find";
    const SUMMARY: &'static str =
        "Chooses a backup: the latest, the latest verified, or one by its id, time or labels";
    const EFFECT: Effect = Effect::Read;
    type Params = FindParams;
    type Outputs = FindOutputs;

    fn plan(&self, params: &Planned<FindParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            uri(params)?;
            check(params)?;
            params.points()?;
        }
        let backup = match params.show("/backup") {
            text if text.is_empty() => LATEST.to_owned(),
            text => text,
        };
        let verified = if params.show("/verified") == "true" { "verified " } else { "" };
        let labels = match params.value("/labels").and_then(|labels| labels.as_object()) {
            Some(labels) if !labels.is_empty() => {
                let texts = labels.iter().map(|(name, value)| {
                    format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                });
                format!(" with the labels {}", texts.collect::<Vec<_>>().join(", "))
            }
            Some(_) | None => String::new(),
        };
        let held = |what: &str| {
            let name = params.value(&format!("/covers/{what}"))?;
            Some(format!(" that holds the {what} {}", name.as_str()?))
        };
        let held = held("database").or_else(|| held("table")).unwrap_or_default();
        Ok(Intent {
            summary: format!(
                "find the {verified}backup `{backup}`{held}{labels} in {}",
                params.show("/store")
            ),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<FindParams>, cx: &PreflightContext) -> Preflight {
        let Some(params) = params.get() else { return Preflight::default() };
        let cluster = params.cluster.as_deref().unwrap_or(cx.step.settings().cluster());
        looking::store_readable(&params.store, &BackupUri::cluster_prefix(cluster), "/store", cx).await
    }

    async fn run(&self, params: &FindParams, cx: &StepContext) -> Result<FindOutputs, StepError> {
        let store = cx.store(&params.store).await?;
        let wanted = uri(params)?;
        check(params)?;
        let points = params.points()?;
        let cluster = wanted.as_ref().map(|uri| uri.cluster.as_str()).or(params.cluster.as_deref());
        let cluster = cluster.unwrap_or(cx.settings().cluster());
        let scan = async |trust| {
            Ok::<_, StepError>(catalogue::scan(&*store, &params.store, Some(cluster), trust).await?.backups)
        };
        let mut trust = Trust::Index;
        let mut listed = scan(trust).await?;
        let mut lacking = BTreeSet::new();
        let (choice, manifest) = loop {
            if cx.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            let asked = Asked { params, uri: wanted.as_ref(), cluster, points: &points, lacking: &lacking };
            let choice = Choice::among(&listed, asked);
            // An index is only a memory: what is chosen by it is read, and counts if it still says the same.
            match choice.read(&*store, trust).await? {
                Some(manifest) if params.covers.as_ref().is_none_or(|wanted| wanted.is_in(&manifest)) => {
                    break (choice, Some(manifest));
                }
                // It is of everything, and this was not there then.
                Some(manifest) => _ = lacking.insert(manifest.id),
                None if trust == Trust::Nothing => break (choice, None),
                None => {
                    trust = Trust::Nothing;
                    listed = scan(trust).await?;
                }
            }
        };
        for reason in &choice.passed_over {
            cx.warn(reason);
        }
        let (listed, summary) = choice.chosen?;
        let Some(manifest) = manifest else { return Err(CatalogueError::NotFound(listed.uri).into()) };
        let wanted = params.covers.as_ref().unwrap_or(&Wanted::Server);
        let object = wanted::object(&*store, &listed.uri, &manifest, wanted).await?;
        Ok(FindOutputs::of(&listed, &summary, &manifest, object, cx.world().clock.now()))
    }
}

/// What was chosen, and why newer ones were not.
struct Choice {
    chosen: Result<(Listed, Summary), StepError>,
    passed_over: Vec<String>,
}

impl Choice {
    fn among(listed: &[Listed], asked: Asked<'_>) -> Self {
        let mut passed_over = Vec::new();
        let chosen = choose::choose(listed, asked, &mut passed_over);
        let chosen = chosen.map(|(listed, summary)| (listed.clone(), summary.clone()));
        Self { chosen, passed_over }
    }

    /// Gives the manifest of what was chosen, if the backup still says what it was chosen by.
    async fn read(&self, store: &dyn ObjectStore, trust: Trust) -> Result<Option<Manifest>, StepError> {
        let Ok((chosen, _)) = &self.chosen else { return Ok(None) };
        if trust == Trust::Nothing {
            return Ok(Some(catalogue::load_manifest(store, &chosen.uri).await?));
        }
        match catalogue::show(store, &chosen.uri).await {
            Ok(shown) if shown.listed.says_the_same(chosen) => Ok(shown.manifest.ok()),
            Ok(_) | Err(CatalogueError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Refuses what names no table.
fn check(params: &FindParams) -> Result<(), StepError> {
    match &params.covers {
        Some(Wanted::Table(name)) if !name.contains('.') => {
            Err(StepError::permanent(format!("`{name}` names no table of a database"))
                .help("write `database.table`, as in `shop.orders`"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Reads `backup:` as a uri when it is one.
fn uri(params: &FindParams) -> Result<Option<BackupUri>, StepError> {
    if !params.backup.starts_with("backup:") {
        return Ok(None);
    }
    let uri: BackupUri = params
        .backup
        .parse()
        .map_err(|error: rekindle_backup::layout::BackupUriError| StepError::permanent(error.to_string()))?;
    if uri.store != params.store {
        let (there, here) = (&uri.store, &params.store);
        return Err(StepError::permanent(format!("{uri} lies in `{there}`, but `store` says `{here}`")));
    }
    if params.cluster.as_ref().is_some_and(|cluster| *cluster != uri.cluster) {
        let (its, other) = (&uri.cluster, params.cluster.as_deref().unwrap_or_default());
        return Err(StepError::permanent(format!("{uri} is of `{its}`, but `cluster` says `{other}`")));
    }
    Ok(Some(uri))
}
