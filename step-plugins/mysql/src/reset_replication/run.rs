//! The step kind: checks the pair, points the replica, waits until it has caught up.

use std::time::Duration;

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Progress, Step, StepContext,
    StepError,
};

use super::params::{ResetReplicationOutputs, ResetReplicationParams};
use super::shown;
use crate::connection::Server;
use crate::preflight::{Look, check_secret, look_at_target};
use crate::read_only::become_read_only;
use crate::replication::position::{self, Role};
use crate::replication::statements::{Dialect, HEARTBEAT, SourceLogin};
use crate::replication::status::{FollowsBy, ReplicaStatus, ThreadError};

const DEFAULT_CATCH_UP_TIMEOUT: Duration = Duration::from_mins(5);
/// How long one question "are you there yet" waits on the server; errors are looked for in between.
const WAIT_SECONDS: u32 = 1;
const POLL: Duration = Duration::from_millis(200);

/// The step kind.
pub(crate) struct ResetReplication;

/// Source and replica, both entered.
struct Pair {
    source: Server,
    replica: Server,
    login: SourceLogin,
}

impl Pair {
    async fn open(params: &ResetReplicationParams, cx: &StepContext) -> Result<Self, StepError> {
        let target = cx.target(&params.source)?;
        let (host, port) = match &params.source_address {
            Some(address) => (address.host.clone(), address.port),
            None => (target.host.clone(), target.port),
        };
        let password = cx.secret(&params.account.password).await?;
        let (user, tls) = (params.account.user.clone(), params.tls.clone());
        let login = SourceLogin { host, port, user, password, tls };
        let source = Server::open(cx, &params.source).await?;
        let replica = Server::open(cx, &params.replica).await?;
        Ok(Self { source, replica, login })
    }

    /// Gives both names, for messages.
    fn names(&self) -> (String, String) {
        (self.replica.session.target().to_owned(), self.source.session.target().to_owned())
    }

    /// Refuses a replica whose data are of another history than the source's.
    async fn check_history(&mut self, gtid: &str) -> Result<(), StepError> {
        if position::has(&mut self.source, Role::Source, gtid).await? {
            return Ok(());
        }
        let at = position::read(&mut self.source, Role::Source).await?;
        let (replica, source) = self.names();
        Err(StepError::permanent(format!(
            "`{replica}` is at {gtid}, which `{source}` (at {}) does not have: their data are of different \
             histories",
            if at.is_empty() { "no position" } else { &at }
        ))
        .help(format!(
            "load `{replica}` from the backup that `{source}` was loaded from, then run this step again; or, if \
             `{replica}` has the newer data, make it the source"
        )))
    }
}

/// What of a server matters for its part in replication.
async fn check_pair(source: &mut Server, replica: &mut Server) -> Result<(), StepError> {
    let (source_name, replica_name) =
        (source.session.target().to_owned(), replica.session.target().to_owned());
    if source.version.flavour != replica.version.flavour {
        return Err(StepError::permanent(format!(
            "`{replica_name}` is {} and can't follow `{source_name}`, which is {}, by GTID",
            replica.version, source.version
        )));
    }
    let what = "tell its server id";
    let query = "SELECT CAST(@@global.server_id AS UNSIGNED), CAST(@@global.log_bin AS UNSIGNED)";
    let (source_id, source_logs): (u64, u64) = source.session.row(what, query).await?;
    let (replica_id, _): (u64, u64) = replica.session.row(what, query).await?;
    if source_id == replica_id {
        return Err(StepError::permanent(format!(
            "`{source_name}` and `{replica_name}` have the same server id {source_id}"
        ))
        .help("give every server its own `server_id`; or the two targets are one and the same server"));
    }
    if source_logs == 0 {
        return Err(StepError::permanent(format!("`{source_name}` writes no binary log"))
            .help("start it with `log_bin` on"));
    }
    Ok(())
}

/// Points the replica at its source and starts it.
async fn point(pair: &mut Pair, gtid: Option<&str>) -> Result<(), StepError> {
    let dialect = Dialect::of(&pair.replica.version);
    let new_position = match gtid {
        Some(gtid) if !position::has(&mut pair.replica, Role::Replica, gtid).await? => Some(gtid),
        Some(_) | None => None,
    };
    let position = match new_position {
        Some(gtid) => gtid.to_owned(),
        None => position::read(&mut pair.replica, Role::Replica).await?,
    };
    pair.check_history(&position).await?;
    let session = &mut pair.replica.session;
    session.run("stop replication", &dialect.stop()).await?;
    session.run("forget its source", &dialect.forget_source()).await?;
    if let Some(gtid) = new_position {
        let query = "SELECT CAST(@@GLOBAL.log_bin AS UNSIGNED)";
        let log_bin: u8 = session.row("tell whether it logs", query).await?;
        for statement in dialect.stand_at(log_bin == 1, gtid) {
            session.run("set its GTID position", &statement).await?;
        }
    }
    become_read_only(&mut pair.replica).await?;
    let session = &mut pair.replica.session;
    // The password is quoted for a session that reads backslashes as escapes.
    session.run("read escapes", "SET SESSION sql_mode = ''").await?;
    session.run("follow its source", dialect.change_source(&pair.login).expose()).await?;
    session.run("start replication", &dialect.start()).await?;
    Ok(())
}

/// Makes the source write a transaction without data and gives its position after that.
async fn beat(source: &mut Server) -> Result<String, StepError> {
    source.session.run("write a transaction without data", HEARTBEAT).await?;
    let gtid = position::read(source, Role::Source).await?;
    if gtid.is_empty() {
        return Err(StepError::permanent(format!(
            "`{}` writes transactions without GTIDs",
            source.session.target()
        ))
        .help("start it with `gtid_mode=ON` and `enforce_gtid_consistency=ON`"));
    }
    Ok(gtid)
}

/// Gives the error of a replica that waiting can't mend.
fn hopeless(pair: &Pair, status: &ReplicaStatus) -> Option<StepError> {
    let (replica, source) = pair.names();
    if let Some(ThreadError { code, message }) = &status.apply_error {
        let text = format!("`{replica}` can't apply what `{source}` wrote: error {code}: {message}");
        return Some(StepError::permanent(text).help(format!(
            "the data of `{replica}` differ from the source's: load it from the same backup, then run this step \
             again"
        )));
    }
    let ThreadError { code, message } = status.receive_error.as_ref()?;
    let (text, help) = match code {
        1045 | 1698 | 1130 | 1227 => (
            format!(
                "`{source}` refuses the account `{}` of its replica: error {code}: {message}",
                pair.login.user
            ),
            "check `account`, and that it has REPLICATION SLAVE at the source and may connect from the replica",
        ),
        // MySQL from 8.0 on has numbers of its own for what its log says (error messages, `MY-013114`, `MY-013117`).
        1236 | 13114 => (
            format!("`{source}` does not have the transactions that `{replica}` needs next: {message}"),
            "load the replica from the backup that the source was loaded from, then run this step again",
        ),
        // `CR_SSL_CONNECTION_ERROR`. The source has just been spoken to, so it is there; of a certificate that is not
        // proven MariaDB says nothing more than this number.
        2026 => (
            format!("`{replica}` can't follow `{source}` over TLS: error {code}: {message}"),
            "check `tls` (`replication_tls` of the runbooks): `ca` is a file on the replica's machine, of whoever signed the \
             source's certificate, which has to name the host when `verify` is on; `enabled: false` follows without TLS",
        ),
        1593 | 13117 => (
            format!("`{replica}` can't follow `{source}`: {message}"),
            "give every server its own `server_id`",
        ),
        _ => return None,
    };
    Some(StepError::permanent(text).help(help))
}

/// Waits until the replica is at `gtid`, receives and applies.
async fn catch_up(pair: &mut Pair, gtid: &str, timeout: Duration, cx: &StepContext) -> Result<(), StepError> {
    let clock = &cx.world().clock;
    let begun = clock.now();
    let wait = Dialect::of(&pair.replica.version).wait_for(gtid, WAIT_SECONDS);
    loop {
        // 0 once it is there; -1 or 1 when the second is over; NULL when the applier does not run.
        let answer: Option<i64> = tokio::select! {
            answer = pair.replica.session.row("wait for a GTID position", &wait) => answer?,
            () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
        };
        let status = ReplicaStatus::read(&mut pair.replica).await?;
        let why = match &status {
            None => "it has forgotten its source".to_owned(),
            Some(status) => {
                if let Some(error) = hopeless(pair, status) {
                    return Err(error);
                }
                if answer == Some(0) && status.receives && status.applies {
                    return Ok(());
                }
                status.not_caught_up().unwrap_or_else(|| "it has not received everything yet".to_owned())
            }
        };
        let (replica, _) = pair.names();
        if clock.now().duration_since(begun).unsigned_abs() >= timeout {
            return Err(StepError::transient(format!(
                "`{replica}` did not catch up to {gtid} within {} s: {why}",
                timeout.as_secs()
            )));
        }
        cx.progress(Progress { note: format!("{replica} follows: {why}"), ..Progress::default() });
        clock.sleep(POLL).await;
    }
}

#[async_trait]
impl Step for ResetReplication {
    const KIND: &'static str = "mysql.reset-replication";
    const SUMMARY: &'static str = "Points a replica at its source by GTID and proves that it catches up.";
    const EFFECT: Effect = Effect::Destroy;
    const PROBES: bool = true;
    type Params = ResetReplicationParams;
    type Outputs = ResetReplicationOutputs;

    fn plan(&self, params: &Planned<ResetReplicationParams>) -> Result<Intent, StepError> {
        let (replica, source) = (params.show("/replica"), params.show("/source"));
        if !source.is_empty() && params.value("/source") == params.value("/replica") {
            return Err(StepError::permanent(format!("`{source}` can't follow itself"))
                .help("name two different targets as `replica` and `source`"));
        }
        Ok(Intent {
            summary: format!("make {replica} follow {source}, read-only, and wait until it has caught up"),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<ResetReplicationParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Some(known) = params.get()
            && let Err(problem) = check_secret(&cx.step, &known.account.password, "/account/password").await
        {
            found.problems.push(problem);
        }
        let source = look_at_target(params, "/source", cx, &mut found).await;
        let replica = look_at_target(params, "/replica", cx, &mut found).await;
        found.commands = match &replica {
            Look::Reached(replica) => shown::statements(params, cx, Dialect::of(&replica.version)),
            Look::Later | Look::Failed => shown::statements_of_flavours(params, cx),
        };
        if let (Look::Reached(mut source), Look::Reached(mut replica)) = (source, replica)
            && let Err(error) = check_pair(&mut source, &mut replica).await
        {
            let code = "rekindle::replication::impossible";
            let pointer = Some("/replica");
            found.problems.push(Problem { code, message: error.message, help: error.help, pointer });
        }
        found
    }

    async fn probe(
        &self,
        params: &ResetReplicationParams,
        cx: &StepContext,
    ) -> Result<Probe<ResetReplicationOutputs>, StepError> {
        let mut pair = Pair::open(params, cx).await?;
        let Some(status) = ReplicaStatus::read(&mut pair.replica).await? else { return Ok(Probe::Absent) };
        let is_pointed = status.host == pair.login.host
            && status.port == pair.login.port
            && status.follows_by == FollowsBy::Gtid
            && status.runs();
        if !is_pointed {
            return Ok(Probe::Absent);
        }
        let source_gtid = position::read(&mut pair.source, Role::Source).await?;
        let replica_gtid = position::read(&mut pair.replica, Role::Replica).await?;
        // Each has all of the other: the same history. Without any transaction there is no proof.
        let is_proven = !source_gtid.is_empty()
            && position::has(&mut pair.replica, Role::Replica, &source_gtid).await?
            && position::has(&mut pair.source, Role::Source, &replica_gtid).await?;
        Ok(if is_proven {
            Probe::Complete(ResetReplicationOutputs { source_gtid, replica_gtid, caught_up_seconds: 0.0 })
        } else {
            // Pointing it again is safe from wherever it stopped.
            Probe::Absent
        })
    }

    async fn run(
        &self,
        params: &ResetReplicationParams,
        cx: &StepContext,
    ) -> Result<ResetReplicationOutputs, StepError> {
        let mut pair = Pair::open(params, cx).await?;
        check_pair(&mut pair.source, &mut pair.replica).await?;
        // A backup of a server without GTIDs gives an empty text.
        let gtid = params.gtid.as_deref().filter(|gtid| !gtid.is_empty());
        point(&mut pair, gtid).await?;
        let clock = &cx.world().clock;
        let begun = clock.now();
        let source_gtid = beat(&mut pair.source).await?;
        let timeout = params.catch_up_timeout.map_or(DEFAULT_CATCH_UP_TIMEOUT, |timeout| timeout.0);
        catch_up(&mut pair, &source_gtid, timeout, cx).await?;
        let caught_up_seconds = clock.now().duration_since(begun).as_secs_f64();
        let replica_gtid = position::read(&mut pair.replica, Role::Replica).await?;
        pair.source.session.close().await;
        pair.replica.session.close().await;
        Ok(ResetReplicationOutputs { source_gtid, replica_gtid, caught_up_seconds })
    }
}
