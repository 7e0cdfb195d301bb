//! From what was seen to what it means: pure.

use super::{NewestBackup, Role, ServerState, Strategy};

/// What was seen.
pub(super) struct Seen {
    pub(super) servers: Vec<ServerState>,
    pub(super) lost: Vec<String>,
    pub(super) newest_verified: Option<NewestBackup>,
    /// The environment's name, for command lines.
    pub(super) environment: String,
}

/// What it means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) strategy: Strategy,
    pub(super) why: String,
    pub(super) next: Vec<String>,
}

/// How many lost things a sentence names.
const NAMED: usize = 3;

/// Tells the case, as the guide's evaluation step does.
pub(super) fn judge(seen: &Seen) -> Judgement {
    let primary = seen.servers.iter().find(|server| server.role == Role::Primary);
    let Some(primary) = primary.filter(|primary| primary.up) else { return without_primary(seen) };
    if let Some(restore) = &primary.restoring {
        return Judgement {
            strategy: Strategy::Component,
            why: format!("`{}` is in the middle of a restore: {restore}", primary.target),
            next: vec![format!("go on with it: `rekindle resume latest -e {}`", seen.environment)],
        };
    }
    if !seen.lost.is_empty() {
        return lost(seen, primary);
    }
    let broken: Vec<&ServerState> = replicas(seen).filter(|replica| trouble(replica).is_some()).collect();
    if broken.is_empty() {
        return Judgement {
            strategy: Strategy::Nothing,
            why: "every server is up, and every replica has caught up".to_owned(),
            next: without_backup(seen).into_iter().collect(),
        };
    }
    let why = broken
        .iter()
        .filter_map(|replica| Some(format!("`{}`: {}", replica.target, trouble(replica)?)))
        .collect::<Vec<_>>()
        .join("; ");
    let next = broken.iter().map(|replica| mend(seen, replica)).collect();
    Judgement { strategy: Strategy::Component, why: format!("the primary is up, but {why}"), next }
}

fn replicas(seen: &Seen) -> impl Iterator<Item = &ServerState> {
    seen.servers.iter().filter(|server| server.role == Role::Replica)
}

/// Says what is wrong with a replica.
fn trouble(replica: &ServerState) -> Option<String> {
    if let Some(problem) = &replica.problem {
        return Some(problem.clone());
    }
    if let Some(restore) = &replica.restoring {
        return Some(format!("it is in the middle of a restore: {restore}"));
    }
    match &replica.replication {
        None => Some("it follows nobody".to_owned()),
        Some(state) => state.problem.clone(),
    }
}

fn mend(seen: &Seen, replica: &ServerState) -> String {
    let (target, environment) = (&replica.target, &seen.environment);
    if !replica.up {
        return format!("bring `{target}` up again; if its data are gone, `{}`", reseed(seen, replica));
    }
    let lags = replica.replication.as_ref().is_some_and(|state| {
        state.seconds_behind.is_some_and(|seconds| seconds > 0) && state.problem.is_some()
    });
    if lags {
        return format!(
            "wait until `{target}` has caught up, then `rekindle run assess -e {environment}` again"
        );
    }
    format!("load `{target}` anew and let it follow: `{}`", reseed(seen, replica))
}

fn reseed(seen: &Seen, replica: &ServerState) -> String {
    format!("rekindle run reseed-replica -e {} --set replica={}", seen.environment, replica.target)
}

fn lost(seen: &Seen, primary: &ServerState) -> Judgement {
    let more = seen.lost.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named = seen.lost.iter().take(NAMED).cloned().chain(more).collect::<Vec<_>>().join("; ");
    let environment = &seen.environment;
    Judgement {
        strategy: Strategy::DataCorruption,
        why: format!("`{}` is up, but {named}", primary.target),
        next: vec![
            "make sure that it is not meant to be so: what was dropped on purpose is no loss".to_owned(),
            format!("one table: `rekindle run restore-table -e {environment}`"),
            format!(
                "all of it, as of the moment before: `rekindle run point-in-time-recovery -e {environment}`; \
                 without archived binary logs `rekindle run disaster-recovery -e {environment} --set \
                 overwrite_primary=true` brings back the newest verified backup"
            ),
        ],
    }
}

fn without_primary(seen: &Seen) -> Judgement {
    let alive: Vec<&ServerState> =
        replicas(seen).filter(|replica| replica.up && replica.restoring.is_none()).collect();
    let recover = format!("rekindle run disaster-recovery -e {}", seen.environment);
    let backup = match &seen.newest_verified {
        Some(newest) => format!("`{recover}` brings back what was there at {}", newest.recovery_point),
        None => {
            "there is no verified backup: look for copies in other stores, and verify what there is with \
                 `rekindle backups verify`"
                .to_owned()
        }
    };
    if alive.is_empty() {
        return Judgement {
            strategy: Strategy::WholeCluster,
            why: "no server is up".to_owned(),
            next: vec![
                "make sure that the servers are really gone, and not only out of reach from here".to_owned(),
                backup,
            ],
        };
    }
    let names = alive.iter().map(|replica| format!("`{}`", replica.target)).collect::<Vec<_>>().join(", ");
    let positions = alive
        .iter()
        .filter_map(|replica| Some(format!("`{}` is at {}", replica.target, replica.gtid.as_ref()?)))
        .collect::<Vec<_>>()
        .join(", ");
    Judgement {
        strategy: Strategy::Component,
        why: format!("the primary is down; alive: {names}"),
        next: vec![
            format!(
                "a replica has what no backup has: promote the one that is furthest ({positions}) before anything \
                 is loaded over it"
            ),
            format!("only if none may be promoted: {backup}"),
        ],
    }
}

fn without_backup(seen: &Seen) -> Option<String> {
    seen.newest_verified.is_none().then(|| {
        format!("there is no verified backup: make one with `rekindle run backup -e {}`", seen.environment)
    })
}

/// Says how much time's writes would be lost if the primary's data were gone now, and by what the rest is kept.
pub(super) fn achievable_rpo(seen: &Seen) -> Option<(u64, String)> {
    let behind = |replica: &ServerState| {
        let state = replica.replication.as_ref()?;
        // A replica that is not connected does not know what it has missed.
        state.seconds_behind.filter(|_| replica.up && replica.restoring.is_none())
    };
    let by_replica = replicas(seen)
        .filter_map(|replica| Some((behind(replica)?, format!("replica {}", replica.target))))
        .min();
    let by_backup = seen.newest_verified.as_ref().map(|newest| (newest.age_seconds, newest.uri.to_string()));
    by_replica.into_iter().chain(by_backup).min_by_key(|(seconds, _)| *seconds)
}
