//! From what was seen to what it means: pure.

use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::BackupKind;

use super::{NewestBackup, Replayable, Role, ServerState, Strategy};

/// What was seen.
pub(super) struct Seen {
    pub(super) servers: Vec<ServerState>,
    pub(super) lost: Vec<String>,
    /// The newest verified backup of each kind, the newest first.
    pub(super) verified: Vec<NewestBackup>,
    /// The backup that archived binary logs bring furthest.
    pub(super) replayable: Option<Replayable>,
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
        return format!("bring `{target}` up again; if its data are gone, {}", reseed(seen, replica));
    }
    let lags = replica.replication.as_ref().is_some_and(|state| {
        state.seconds_behind.is_some_and(|seconds| seconds > 0) && state.problem.is_some()
    });
    if lags {
        return format!(
            "wait until `{target}` has caught up, then `rekindle run assess -e {environment}` again"
        );
    }
    format!("load `{target}` anew and let it follow: {}", reseed(seen, replica))
}

/// Says how a replica is loaded anew: from a dump, so there has to be one.
fn reseed(seen: &Seen, replica: &ServerState) -> String {
    let environment = &seen.environment;
    let reseed = format!("`rekindle run reseed-replica -e {environment} --set replica={}`", replica.target);
    if seen.verified.iter().any(|one| one.kind == BackupKind::Logical) {
        return reseed;
    }
    format!("`rekindle run backup -e {environment}`, as no logical backup is verified, then {reseed}")
}

fn lost(seen: &Seen, primary: &ServerState) -> Judgement {
    let more = seen.lost.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named = seen.lost.iter().take(NAMED).cloned().chain(more).collect::<Vec<_>>().join("; ");
    Judgement {
        strategy: Strategy::DataCorruption,
        why: format!("`{}` is up, but {named}", primary.target),
        next: vec![
            "make sure that it is not meant to be so: what was dropped on purpose is no loss".to_owned(),
            one_table(seen),
            format!("all of it: {}", bring_back(seen, Held::Replaced)),
        ],
    }
}

/// Says how one table comes back beside what the server has now.
fn one_table(seen: &Seen) -> String {
    // That begins at a logical backup.
    let logical = |one: &&Replayable| one.kind == BackupKind::Logical;
    let Some(replayable) = seen.replayable.as_ref().filter(logical) else {
        return one_table_of_backup(seen);
    };
    let (environment, store) = (&seen.environment, in_store(&replayable.uri));
    format!(
        "one table, as it was before its loss: archive what was logged since ({ARCHIVE} -e {environment}`), then \
         `rekindle run undo-drop -e {environment}{store} --set database=DATABASE --set table=TABLE --set \
         sandbox=TARGET`, with a target on this machine for a throw-away server"
    )
}

/// Says how one table comes back as it is in the newest backup that one can be taken out of.
fn one_table_of_backup(seen: &Seen) -> String {
    let environment = &seen.environment;
    let Some(newest) = seen.verified.iter().find(|one| one.kind == BackupKind::Logical) else {
        return "one table: there is no verified logical backup to take it out of; restore the physical one beside this server, \
                and copy the table from there"
            .to_owned();
    };
    let (point, store) = (newest.recovery_point, in_store(&newest.uri));
    format!(
        "one table, as it was at {point}: `rekindle run restore-table -e {environment}{store} --set table=DATABASE.TABLE`, \
         with `--set as=DATABASE.OTHER` beside one that is still there"
    )
}

const ARCHIVE: &str = "`rekindle run archive-binlogs";

fn without_primary(seen: &Seen) -> Judgement {
    let alive: Vec<&ServerState> =
        replicas(seen).filter(|replica| replica.up && replica.restoring.is_none()).collect();
    let backup = bring_back(seen, Held::Nothing);
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

/// What the server that is to be restored holds.
#[derive(Clone, Copy)]
enum Held {
    /// Nothing: it is to be a new one.
    Nothing,
    /// Data that the backup is to take the place of.
    Replaced,
}

/// Names the store, unless it is the one that runbooks look into by themselves.
fn in_store(uri: &BackupUri) -> String {
    match uri.store.as_str() {
        "primary" => String::new(),
        other => format!(" --set store={other}"),
    }
}

/// Says that the replicas of a server that is replaced are replaced with it: its logs begin anew, and they could follow
/// it no longer.
fn with_replicas(seen: &Seen, kind: BackupKind) -> String {
    let names: Vec<&str> = replicas(seen).map(|replica| replica.target.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    let overwrite = match kind {
        BackupKind::Logical => "reseed_replicas",
        BackupKind::Physical => "overwrite_replicas",
    };
    format!(" --set 'replicas=[{}]' --set {overwrite}=true", names.join(", "))
}

/// Where a physical backup is restored.
const ON_ITS_MACHINE: &str = " on the server's own machine";

/// Says how the archived logs bring back more than any backup alone.
fn replay(seen: &Seen, held: Held) -> Option<String> {
    let replayable = seen.replayable.as_ref()?;
    let (environment, store, until) = (&seen.environment, in_store(&replayable.uri), replayable.until);
    let (base, note) = match replayable.kind {
        BackupKind::Logical => ("", ""),
        BackupKind::Physical => (" --set base=physical", ON_ITS_MACHINE),
    };
    let command = format!("`rekindle run point-in-time-recovery -e {environment}{store}{base}");
    Some(match held {
        Held::Nothing => format!("{command} --set end=true`{note} brings back what was there at {until}"),
        // What was lost is lost at the end of the logs too.
        Held::Replaced => format!(
            "{command} --set overwrite=true --set time=TIME`{note} brings back what was there at that time, {until} at the \
             latest ({ARCHIVE} -e {environment}` first: the server's own logs are replaced too)"
        ),
    })
}

/// Says what brings the newest verified backup of each kind back: only its own runbook restores a kind.
fn bring_back(seen: &Seen, held: Held) -> String {
    let environment = &seen.environment;
    let ways = seen.verified.iter().map(|newest| {
        let (runbook, overwrite, note) = match newest.kind {
            BackupKind::Logical => ("disaster-recovery", "overwrite_primary", ""),
            BackupKind::Physical => ("restore-physical", "overwrite", ON_ITS_MACHINE),
        };
        let overwrite = match held {
            Held::Nothing => String::new(),
            Held::Replaced => format!(" --set {overwrite}=true{}", with_replicas(seen, newest.kind)),
        };
        let (point, store) = (newest.recovery_point, in_store(&newest.uri));
        format!(
            "`rekindle run {runbook} -e {environment}{store}{overwrite}`{note} brings back what was there at {point}"
        )
    });
    let ways = replay(seen, held).into_iter().chain(ways).collect::<Vec<_>>();
    if ways.is_empty() {
        return "there is no verified backup: look for copies in other stores, and verify what there is with \
                `rekindle backups verify`"
            .to_owned();
    }
    ways.join("; ")
}

fn without_backup(seen: &Seen) -> Option<String> {
    seen.verified.is_empty().then(|| {
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
    let by_backup = seen.verified.first().map(|newest| (newest.age_seconds, newest.uri.to_string()));
    let by_logs = seen
        .replayable
        .as_ref()
        .map(|one| (one.age_seconds, format!("{} and archived binary logs", one.uri)));
    by_replica.into_iter().chain(by_backup).chain(by_logs).min_by_key(|(seconds, _)| *seconds)
}
