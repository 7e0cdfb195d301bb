//! The choice among listed backups. Pure.

use rekindle_backup::catalogue::{Listed, Summary};
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::BackupKind;
use rekindle_engine::diagnostic::nearest;
use rekindle_engine::step::StepError;

use super::{FindParams, LATEST};

/// How many ids an error names.
const MAX_NAMED: usize = 3;

/// Chooses; `listed` has the oldest first. Why newer ones were not taken goes into `passed_over`.
pub(super) fn choose<'a>(
    listed: &'a [Listed],
    params: &FindParams,
    wanted: Option<&BackupUri>,
    cluster: &str,
    passed_over: &mut Vec<String>,
) -> Result<(&'a Listed, &'a Summary), StepError> {
    if listed.is_empty() {
        let store = &params.store;
        return Err(StepError::permanent(format!(
            "there is no backup of cluster `{cluster}` in store `{store}`"
        ))
        .help("`rekindle backups list` shows what is there; `cluster:` names another cluster"));
    }
    if wanted.is_none() && params.backup == LATEST {
        return latest(listed, params, cluster, passed_over);
    }
    let id = wanted.map_or(params.backup.as_str(), |uri| uri.id.as_str());
    let Some(found) = listed.iter().find(|one| one.uri.id == id) else {
        return Err(unknown_id(listed, params, cluster, id));
    };
    let summary = found.summary.as_ref().map_err(|error| StepError::from(error.clone()))?;
    if let Some(why) = unfit(found, summary, params) {
        return Err(StepError::permanent(format!("the backup `{id}` {why}"))
            .help("choose another one: `rekindle backups list` shows them with what is known of each"));
    }
    if found.has_failed() {
        passed_over.push(format!("the backup `{id}` is taken as asked, though its verification failed"));
    }
    Ok((found, summary))
}

fn latest<'a>(
    listed: &'a [Listed],
    params: &FindParams,
    cluster: &str,
    passed_over: &mut Vec<String>,
) -> Result<(&'a Listed, &'a Summary), StepError> {
    for one in listed.iter().rev() {
        let id = &one.uri.id;
        let why = match &one.summary {
            Err(error) => format!("can't be read: {error}"),
            Ok(summary) => match unfit(one, summary, params) {
                Some(why) => why,
                None if one.has_failed() => "was found bad by a verification".to_owned(),
                None => return Ok((one, summary)),
            },
        };
        passed_over.push(format!("passed over the backup `{id}`: it {why}"));
    }
    let mut reasons: Vec<&str> = passed_over.iter().map(String::as_str).take(MAX_NAMED).collect();
    let more = format!("and {} more", passed_over.len().saturating_sub(MAX_NAMED));
    if passed_over.len() > MAX_NAMED {
        reasons.push(&more);
    }
    let kind = if params.verified { "verified backup" } else { "usable backup" };
    let error = StepError::permanent(format!(
        "there is no {kind} of cluster `{cluster}` in store `{}`: {}",
        params.store,
        reasons.join("; ")
    ));
    Err(if params.verified {
        error.help(
            "`rekindle backups verify ID` proves one; `verified: false` takes the latest as it is, unproven",
        )
    } else {
        error.help("`rekindle backups list` shows what is there")
    })
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
    if let Some(why) = other_kind(summary, params) {
        return Some(why);
    }
    if params.verified && listed.proven().is_empty() {
        let failed = listed.has_failed();
        return Some(if failed { "was found bad by a verification" } else { "is not verified" }.to_owned());
    }
    None
}

fn other_kind(summary: &Summary, params: &FindParams) -> Option<String> {
    let wanted = params.kind.filter(|kind| *kind != summary.kind)?;
    Some(format!("is {}, not {}", kind_name(summary.kind), kind_name(wanted)))
}

fn kind_name(kind: BackupKind) -> &'static str {
    match kind {
        BackupKind::Logical => "logical",
        BackupKind::Physical => "physical",
    }
}

fn unknown_id(listed: &[Listed], params: &FindParams, cluster: &str, id: &str) -> StepError {
    let message = format!("there is no backup `{id}` of cluster `{cluster}` in store `{}`", params.store);
    let ids = || listed.iter().rev().map(|one| one.uri.id.as_str());
    let newest: Vec<String> = ids().take(MAX_NAMED).map(|id| format!("`{id}`")).collect();
    let newest = newest.join(", ");
    StepError::permanent(message).help(match nearest(id, ids()) {
        Some(near) => format!("did you mean `{near}`? the newest are {newest}"),
        None => format!("the newest are {newest}; `rekindle backups list` shows all"),
    })
}
