//! Looks at servers and stores; what can't be reached is a finding.

use futures_util::future::join_all;
use rekindle_backup::catalogue::{self, Listed};
use rekindle_backup::inventory::Difference;
use rekindle_backup::manifest::{BackupKind, Flavour};
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::step::{StepContext, StepError};

use super::judge::Seen;
use super::logs::{self, Logs};
use super::{NewestBackup, Params, ReplicationState, Role, ServerState};
use crate::check_tables::{Look, damaged};
use crate::connection::Server;
use crate::error::ServerError;
use crate::replay_binlogs::Unfinished;
use crate::replication::status::ReplicaStatus;
use crate::{inventory, restore};

/// Looks at everything. Servers side by side: each that is gone takes as long as its time limit.
pub(super) async fn look(params: &Params, cx: &StepContext) -> Result<(Seen, Vec<String>), StepError> {
    let primary = at_server(&params.primary, Role::Primary, cx);
    let replicas = join_all(params.replicas.iter().map(|name| at_server(name, Role::Replica, cx)));
    let stores = join_all(params.stores.iter().map(|name| newest_verified(name, cx)));
    let ((primary, open), replicas, stores) = tokio::join!(primary, replicas, stores);
    let mut servers = vec![primary];
    for (state, open) in replicas {
        servers.push(state);
        if let Some(open) = open {
            open.session.close().await;
        }
    }
    let (mut verified, mut unknown, mut replayable) = (Vec::new(), Vec::new(), Vec::new());
    for (name, found) in params.stores.iter().zip(stores) {
        match found {
            Ok((found, logs)) => {
                verified.extend(found);
                replayable.extend(logs.replayable);
                unknown.extend(logs.warning);
            }
            Err(error) => {
                unknown.push(format!("the store `{name}` could not be looked into: {}", error.message));
            }
        }
    }
    let verified = newest_of_each_kind(verified);
    let mut lost = Vec::new();
    if let Some(mut server) = open {
        lost = lost_of(params, &mut server, verified.first(), cx).await.unwrap_or_else(|error| {
            unknown.push(format!("what `{}` has lost is not known: {}", params.primary, error.message));
            Vec::new()
        });
        server.session.close().await;
    }
    let environment = cx.settings().name.clone();
    // The first of several that reach as far.
    let replayable = replayable.into_iter().rev().max_by_key(|one| one.until);
    Ok((Seen { servers, lost, verified, replayable, environment }, unknown))
}

async fn at_server(target: &TargetName, role: Role, cx: &StepContext) -> (ServerState, Option<Server>) {
    let mut state = ServerState {
        target: target.clone(),
        role,
        up: false,
        problem: None,
        version: None,
        read_only: None,
        restoring: None,
        gtid: None,
        replication: None,
    };
    let mut server = match Server::open(cx, target).await {
        Ok(server) => server,
        Err(error) => {
            state.problem = Some(error.message);
            return (state, None);
        }
    };
    state.up = true;
    match ask(&mut server, &mut state).await {
        Ok(()) => (state, Some(server)),
        Err(error) => {
            state.problem = Some(error.to_string());
            (state, None)
        }
    }
}

async fn ask(server: &mut Server, state: &mut ServerState) -> Result<(), ServerError> {
    state.version = Some(server.version.text.clone());
    let query = "SELECT CAST(@@global.read_only AS CHAR)";
    let setting: String = server.session.row("tell whether it is writable", query).await?;
    state.read_only = Some(!matches!(setting.as_str(), "0" | "OFF"));
    let position = match server.version.flavour {
        Flavour::Mariadb => "SELECT @@GLOBAL.gtid_current_pos",
        Flavour::Mysql => "SELECT @@GLOBAL.gtid_executed",
    };
    let position: String = server.session.row("tell its position", position).await?;
    state.gtid = Some(position.split_whitespace().collect::<String>()).filter(|text| !text.is_empty());
    state.restoring = match restore::under_way(server).await? {
        Some(restore) => Some(restore),
        None => Unfinished::on(server).await?.map(|replay| replay.name),
    };
    state.replication = ReplicaStatus::read(server).await?.map(|status| ReplicationState {
        source: format!("{}:{}", status.host, status.port),
        seconds_behind: status.seconds_behind,
        problem: status.not_caught_up(),
    });
    Ok(())
}

/// Gives the newest verified backups of a whole server in one store, at most one of each kind, and how far its logs bring them.
async fn newest_verified(name: &StoreName, cx: &StepContext) -> Result<(Vec<NewestBackup>, Logs), StepError> {
    let store = cx.store(name).await?;
    let listed = catalogue::list_backups(&*store, name, Some(cx.settings().cluster())).await?;
    // A server is brought back by a backup of everything only.
    let is_whole = |one: &&Listed| one.summary.as_ref().is_ok_and(|summary| summary.covers.is_whole());
    let proven = listed.iter().filter(is_whole).filter(|one| !one.proven().is_empty()).filter_map(|one| {
        let recovery_point = one.recovery_point();
        let age = cx.world().clock.now().duration_since(recovery_point).as_secs();
        let age_seconds = u64::try_from(age).unwrap_or(0);
        let kind = one.summary.as_ref().ok()?.kind;
        Some(NewestBackup { uri: one.uri.clone(), kind, recovery_point, age_seconds })
    });
    let newest = newest_of_each_kind(proven.collect());
    let logs = logs::look(&*store, &newest, cx).await;
    Ok((newest, logs))
}

/// Keeps the newest of each kind, the newest first; of equally new ones the first.
pub(super) fn newest_of_each_kind(mut backups: Vec<NewestBackup>) -> Vec<NewestBackup> {
    backups.sort_by_key(|one| std::cmp::Reverse(one.recovery_point));
    let first = |kind: BackupKind| backups.iter().position(|one| one.kind == kind);
    let mut kept: Vec<usize> =
        [BackupKind::Logical, BackupKind::Physical].into_iter().filter_map(first).collect();
    kept.sort_unstable();
    kept.into_iter().map(|at| backups[at].clone()).collect()
}

/// Names what the backup has and the server has not, and tables that the server itself finds damaged.
async fn lost_of(
    params: &Params,
    server: &mut Server,
    newest: Option<&NewestBackup>,
    cx: &StepContext,
) -> Result<Vec<String>, StepError> {
    let found = inventory::read_names(&mut server.session).await?;
    let mut lost = Vec::new();
    if let Some(newest) = newest {
        let store = cx.store(&newest.uri.store).await?;
        let expected = catalogue::load_manifest(&*store, &newest.uri).await?.inventory;
        let missing = expected.compare(&found).into_iter().filter_map(|difference| match difference {
            Difference::Missing(what) => {
                Some(format!("{what} is in the backup of {} and not on it", newest.recovery_point))
            }
            Difference::Extra(_) | Difference::Changed { .. } => None,
        });
        lost.extend(missing);
    }
    if params.check_tables {
        lost.extend(damaged(server, &found, Look::Quick, cx).await?);
    }
    Ok(lost)
}
