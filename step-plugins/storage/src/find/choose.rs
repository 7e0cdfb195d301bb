//! The choice among listed backups. Pure.

use std::collections::BTreeSet;

use rekindle_backup::catalogue::{Listed, Summary};
use rekindle_backup::layout::BackupUri;
use rekindle_engine::diagnostic::nearest;
use rekindle_engine::step::StepError;

use super::point::Point;
use super::{FindParams, LATEST, Wanted};

/// How many ids an error names.
const MAX_NAMED: usize = 3;

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) params: &'a FindParams,
    /// The backup that `backup` names by its uri.
    pub(super) uri: Option<&'a BackupUri>,
    pub(super) cluster: &'a str,
    /// What the latest has to lie before in the binary logs. Of one that is named the archive itself tells.
    pub(super) points: &'a [Point],
    /// Those that turned out not to hold what is wanted, when their manifests were read.
    pub(super) lacking: &'a BTreeSet<String>,
}

/// Chooses; `listed` has the oldest first. Why newer ones were not taken goes into `passed_over`.
pub(super) fn choose<'a>(
    listed: &'a [Listed],
    asked: Asked<'_>,
    passed_over: &mut Vec<String>,
) -> Result<(&'a Listed, &'a Summary), StepError> {
    let Asked { params, uri, cluster, .. } = asked;
    if listed.is_empty() {
        let store = &params.store;
        return Err(StepError::permanent(format!(
            "there is no backup of cluster `{cluster}` in store `{store}`"
        ))
        .help("`rekindle backups list` shows what is there; `cluster:` names another cluster"));
    }
    if uri.is_none() && params.backup == LATEST {
        return latest(listed, asked, passed_over);
    }
    let id = uri.map_or(params.backup.as_str(), |uri| uri.id.as_str());
    let Some(found) = listed.iter().find(|one| one.uri.id == id) else {
        return Err(unknown_id(listed, asked, id));
    };
    let summary = found.summary.as_ref().map_err(|error| StepError::from(error.clone()))?;
    let too_little = params.covers.as_ref().and_then(|wanted| too_little(found, summary, wanted, asked));
    if let Some(why) = too_little.or_else(|| unfit(found, summary, params)) {
        return Err(StepError::permanent(format!("the backup `{id}` {why}"))
            .help("choose another one: `rekindle backups list` shows them with what is known of each"));
    }
    if found.has_failed() {
        passed_over.push(format!("the backup `{id}` is taken as asked, though its verification failed"));
    }
    if params.covers.is_none() && !summary.covers.is_whole() {
        passed_over.push(format!("the backup `{id}` is taken as asked, though it holds {}", summary.covers));
    }
    Ok((found, summary))
}

fn latest<'a>(
    listed: &'a [Listed],
    asked: Asked<'_>,
    passed_over: &mut Vec<String>,
) -> Result<(&'a Listed, &'a Summary), StepError> {
    let Asked { params, cluster, .. } = asked;
    let wanted = params.covers.as_ref().unwrap_or(&Wanted::Server);
    let newest = listed.iter().rev().find_map(|one| one.summary.as_ref().ok());
    let newest = newest.map_or("", |summary| summary.log_point.server.as_str());
    // Those of something else are no news, unless there is nothing but them.
    let mut of_others = Vec::new();
    for one in listed.iter().rev() {
        let told = |why: String| format!("passed over the backup `{}`: it {why}", one.uri.id);
        match &one.summary {
            Err(error) => passed_over.push(told(format!("can't be read: {error}"))),
            Ok(summary) if !wanted.may_be_in(summary) => {
                of_others.push(told(format!("holds {}", summary.covers)));
            }
            Ok(summary) => {
                let why = too_little(one, summary, wanted, asked)
                    .or_else(|| asked.points.iter().find_map(|point| point.refuses(summary, newest)))
                    .or_else(|| unfit(one, summary, params));
                match why {
                    Some(why) => passed_over.push(told(why)),
                    None if one.has_failed() => {
                        passed_over.push(told("was found bad by a verification".to_owned()));
                    }
                    None => return Ok((one, summary)),
                }
            }
        }
    }
    let all = passed_over.len() + of_others.len();
    let mut reasons: Vec<&str> =
        passed_over.iter().chain(&of_others).map(String::as_str).take(MAX_NAMED).collect();
    let more = format!("and {} more", all.saturating_sub(MAX_NAMED));
    if all > MAX_NAMED {
        reasons.push(&more);
    }
    let kind = if params.verified { "verified backup" } else { "usable backup" };
    let of_what = match wanted {
        Wanted::Server | Wanted::Anything => String::new(),
        Wanted::Database(_) | Wanted::Table(_) => format!(" that holds {wanted}"),
    };
    let error = StepError::permanent(format!(
        "there is no {kind} of cluster `{cluster}` in store `{}`{of_what}: {}",
        params.store,
        reasons.join("; ")
    ));
    Err(if passed_over.is_empty() && *wanted == Wanted::Server {
        error.help(
            "make one of everything: `rekindle run backup`; `restore-database` and `restore-table` bring back what the \
             others hold, and one of them is taken by its id",
        )
    } else if params.verified {
        error.help(
            "`rekindle backups verify ID` proves one; `verified: false` takes the latest as it is, unproven",
        )
    } else {
        error.help("`rekindle backups list` shows what is there")
    })
}

/// Says that a backup does not hold what is wanted.
fn too_little(listed: &Listed, summary: &Summary, wanted: &Wanted, asked: Asked<'_>) -> Option<String> {
    if !wanted.may_be_in(summary) {
        return Some(format!("holds {}", summary.covers));
    }
    asked.lacking.contains(&listed.uri.id).then(|| format!("does not hold {wanted}"))
}

/// Says why a backup is not what was asked for.
fn unfit(listed: &Listed, summary: &Summary, params: &FindParams) -> Option<String> {
    let point = summary.recovery_point;
    if params.before.is_some_and(|before| point > before) {
        return Some(format!("is of {point}, which is too late"));
    }
    let has = listed.labels();
    if let Some((name, value)) = params.labels.iter().find(|(name, value)| has.get(*name) != Some(*value)) {
        return Some(match has.get(name) {
            Some(other) => format!("has the label {name}={other}, not {name}={value}"),
            None => format!("has no label {name}={value}"),
        });
    }
    if let Some(wanted) = params.kind.filter(|kind| *kind != summary.kind) {
        return Some(format!("is {}, not {wanted}", summary.kind));
    }
    if params.verified && listed.proven().is_empty() {
        let failed = listed.has_failed();
        return Some(if failed { "was found bad by a verification" } else { "is not verified" }.to_owned());
    }
    None
}

fn unknown_id(listed: &[Listed], asked: Asked<'_>, id: &str) -> StepError {
    let (cluster, store) = (asked.cluster, &asked.params.store);
    let message = format!("there is no backup `{id}` of cluster `{cluster}` in store `{store}`");
    let ids = || listed.iter().rev().map(|one| one.uri.id.as_str());
    let newest: Vec<String> = ids().take(MAX_NAMED).map(|id| format!("`{id}`")).collect();
    let newest = newest.join(", ");
    StepError::permanent(message).help(match nearest(id, ids()) {
        Some(near) => format!("did you mean `{near}`? the newest are {newest}"),
        None => format!("the newest are {newest}; `rekindle backups list` shows all"),
    })
}
