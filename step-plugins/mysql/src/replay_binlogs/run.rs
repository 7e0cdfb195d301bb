//! One replay: read everything, look at the server, fence, send, prove, unfence.

use std::collections::BTreeSet;
use std::sync::Arc;

use rekindle_backup::binlog::{Gtid, GtidSet, archive};
use rekindle_backup::catalogue;
use rekindle_backup::inventory::MARKER_DATABASE;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::{ObjectStore, TerminateReason};
use rekindle_engine::step::{StepContext, StepError};
use tokio::sync::mpsc;

use super::base::Base;
use super::feed::{self, Feed, FeedError};
use super::goal::{Goal, read_gtid};
use super::marker::{Marker, Stage, look_before};
use super::select::{Selection, select};
use super::send::{WAITING_STATEMENTS, send_all, split};
use super::survey::{Depth, Rules, Survey, survey};
use super::{ReplayBinlogsOutputs, ReplayBinlogsParams};
use crate::binlogs::program::LogProgram;
use crate::binlogs::server;
use crate::connection::{Login, Server, quote_identifier};
use crate::fence;
use crate::flavour::flavour_name;
use crate::guard::{GRACE, TerminateOnDrop, blocking};
use crate::marker;
use crate::replication::position::{self, Role};
use crate::restore;
use crate::xa;

/// A replay as it was thought through, before any server is touched.
pub(super) struct Replay {
    pub(super) base: Base,
    pub(super) goal: Goal,
    pub(super) skip: BTreeSet<Gtid>,
    pub(super) selection: Selection,
    pub(super) survey: Survey,
    pub(super) gaps: Vec<String>,
    store: Arc<dyn ObjectStore>,
}

impl Replay {
    /// Finds the base, the logs, the gaps, and where the goal lies in them.
    pub(super) async fn find(
        params: &ReplayBinlogsParams,
        cx: &StepContext,
        depth: Depth,
    ) -> Result<Self, StepError> {
        let goal = Goal::read(&params.until)?;
        let skip: BTreeSet<Gtid> =
            params.skip.iter().map(|text| read_skip(text)).collect::<Result<_, _>>()?;
        let backups = cx.store(&params.backup.store).await?;
        let manifest = catalogue::load_manifest(backups.as_ref(), &params.backup).await?;
        let base = Base::of(&manifest);
        let store = match &params.store {
            Some(name) => cx.store(name).await?,
            None => backups,
        };
        let timelines = archive::load(store.as_ref(), &params.backup.cluster).await?;
        let server = params.server.as_deref().filter(|server| !server.is_empty());
        let selection = select(&timelines, &base, server, &goal)?;
        let rules = Rules { base: &base, goal: &goal, skip: &skip };
        let survey = survey(cx, &store, &selection, &rules, depth).await?;
        let gaps = selection.gaps(survey.segments);
        Ok(Self { base, goal, skip, selection, survey, gaps, store })
    }

    /// Refuses to replay over a gap, unless that was given up.
    pub(super) fn check_gaps(&self, params: &ReplayBinlogsParams) -> Result<(), StepError> {
        if self.gaps.is_empty() || params.allow_gaps {
            return Ok(());
        }
        Err(StepError::permanent(self.gaps.join("; ")).help(
            "the target server was not touched; restore a backup that is newer than what is missing, or set \
             `allow_gaps: true` to lose what was in it",
        ))
    }

    /// Names the replay, for its marker.
    fn name(&self) -> String {
        let skipped: Vec<String> = self.skip.iter().map(ToString::to_string).collect();
        if skipped.is_empty() {
            self.goal.to_string()
        } else {
            format!("{} without {}", self.goal, skipped.join(", "))
        }
    }

    pub(super) fn outputs(&self) -> ReplayBinlogsOutputs {
        ReplayBinlogsOutputs {
            transactions: self.survey.transactions,
            gtid: self.survey.gtids.as_ref().map(ToString::to_string).unwrap_or_default(),
            last_kept: self.survey.last_kept.clone(),
            first_lost: self.survey.first_lost.clone(),
        }
    }
}

/// Reads a transaction that is to be left out.
fn read_skip(text: &str) -> Result<Gtid, StepError> {
    if text.trim().is_empty() {
        return Err(StepError::permanent("`skip` has a transaction without a GTID, which can't be left out")
            .help("recover to before it instead: its server keeps no GTIDs"));
    }
    read_gtid(text)
}

/// Refuses a server that would refuse the logs: MySQL takes transactions without GTIDs in other modes than those with
/// them (MySQL manual, "`gtid_mode`").
///
/// # Errors
/// When it is in such a mode, or can't tell.
pub(super) async fn check_mode(replay: &Replay, server: &mut Server) -> Result<(), StepError> {
    if server.version.flavour != Flavour::Mysql {
        return Ok(());
    }
    let used = replay.selection.segments.get(..replay.survey.segments).unwrap_or_default();
    let mut used = used.iter().filter(|segment| segment.transactions > 0);
    let mode: String = server.session.row("tell its GTID mode", "SELECT @@GLOBAL.gtid_mode").await?;
    let (takes, have, fitting) = match mode.as_str() {
        "ON" if used.any(|segment| segment.last_gtid.is_none()) => {
            ("only transactions with GTIDs", "have none", "OFF")
        }
        "OFF" if used.any(|segment| segment.last_gtid.is_some()) => {
            ("no transaction with a GTID", "have them", "ON")
        }
        _ => return Ok(()),
    };
    let target = server.session.target();
    Err(StepError::permanent(format!("`{target}` takes {takes} (gtid_mode={mode}), and those of the logs {have}")).help(
        format!(
            "start it with `gtid_mode={fitting}` and `enforce_gtid_consistency={fitting}`, as the server of the logs was"
        ),
    ))
}

/// Where a server stands.
pub(super) enum Standing {
    /// At the replay's end: there is nothing to do.
    Done,
    /// At its beginning, or part of the way by an earlier attempt.
    Ready {
        /// What it has; none without GTIDs.
        have: Option<GtidSet>,
    },
}

/// Looks whether a server may be replayed onto.
///
/// # Errors
/// When its data are not the backup's, brought forward by nothing but this archive.
pub(super) async fn stand(
    params: &ReplayBinlogsParams,
    replay: &Replay,
    server: &mut Server,
) -> Result<Standing, StepError> {
    let target = server.session.target().to_owned();
    if server.version.flavour != replay.base.flavour {
        let (its, other) = (flavour_name(server.version.flavour), flavour_name(replay.base.flavour));
        return Err(StepError::permanent(format!("`{target}` is {its}, and the logs are of {other}")));
    }
    if server.version.flavour == Flavour::Mariadb && !server::logs_at_all(server).await? {
        return Err(StepError::permanent(format!(
            "`{target}` writes no binary log, so it can't tell how far a replay has come"
        ))
        .help("start it with `log_bin` on"));
    }
    let marker = Marker::read(server).await?;
    let is_ours = |marker: &Marker| marker.backup == params.backup && marker.goal == replay.name();
    let ours = marker.clone().filter(is_ours);
    let (Some(wanted), Some(base)) = (&replay.survey.gtids, &replay.base.gtids) else {
        return match ours {
            Some(marker) if marker.stage == Stage::Complete => Ok(Standing::Done),
            Some(_) => Err(StepError::permanent(format!(
                "`{target}` holds part of an interrupted replay, and without GTIDs nobody can tell which part"
            ))
            .help("restore the backup again, then replay")),
            None => match marker.filter(|marker| marker.stage != Stage::Awaited) {
                Some(earlier) => Err(StepError::permanent(format!(
                    "`{target}` was brought forward to {} already, and without GTIDs nobody can tell what it has since",
                    earlier.goal
                ))
                .help("nothing was changed; restore the backup again, then replay")),
                None => Ok(Standing::Ready { have: None }),
            },
        };
    };
    let text = position::read(server, Role::Source).await?;
    let have = GtidSet::read(replay.base.flavour, &text).ok_or_else(|| {
        StepError::permanent(format!("`{target}` says that it is at `{text}`, which is no GTID position"))
    })?;
    let is_at = |set: &GtidSet| have.covers(set) && set.covers(&have);
    if ours.as_ref().is_some_and(|marker| marker.stage == Stage::Complete) && is_at(wanted) {
        return Ok(Standing::Done);
    }
    let is_begun = ours.as_ref().is_some_and(|marker| marker.stage == Stage::Replaying);
    let is_on_the_way = is_begun && have.covers(base) && wanted.covers(&have);
    if is_at(base) || is_on_the_way {
        return Ok(Standing::Ready { have: Some(have) });
    }
    // A replay that went less far, from the same backup.
    if let Some(earlier) =
        marker.filter(|marker| marker.backup == params.backup && marker.stage == Stage::Complete)
    {
        let end =
            earlier.outputs.as_ref().and_then(|outputs| GtidSet::read(replay.base.flavour, &outputs.gtid));
        if end.is_some_and(|end| is_at(&end)) && wanted.covers(&have) && !earlier.goal.contains(" without ") {
            return Ok(Standing::Ready { have: Some(have) });
        }
    }
    Err(not_at_the_backup(&target, &have, base, wanted))
}

/// Says how a server's data differ from the backup's: a server skips in silence what it has already (MySQL), or
/// refuses it in the middle (MariaDB).
fn not_at_the_backup(target: &str, have: &GtidSet, base: &GtidSet, wanted: &GtidSet) -> StepError {
    let nothing = |set: &GtidSet| if set.is_empty() { "nothing".to_owned() } else { set.to_string() };
    let why = if !have.covers(base) {
        "it lacks what the backup has"
    } else if have.covers(wanted) {
        "it has the transactions that are to be replayed already"
    } else {
        "it has transactions that the backup has not"
    };
    StepError::permanent(format!(
        "`{target}` is at {}, and the backup at {}: {why}",
        nothing(have),
        nothing(base)
    ))
    .help(format!(
        "nothing was changed; restore the backup into `{target}` first, and let nothing write to it before the replay"
    ))
}

pub(super) async fn run(
    params: &ReplayBinlogsParams,
    cx: &StepContext,
) -> Result<ReplayBinlogsOutputs, StepError> {
    // All of it is read before the server is touched.
    let replay = Replay::find(params, cx, Depth::All).await?;
    replay.check_gaps(params)?;
    replay.gaps.iter().for_each(|gap| cx.warn(&format!("replayed over a gap: {gap}")));
    let login = Login::of(cx, &params.target).await?;
    let mut control = login.connect().await?;
    let have = match stand(params, &replay, &mut control).await? {
        Standing::Done => {
            control.session.close().await;
            return Ok(replay.outputs());
        }
        Standing::Ready { have } => have,
    };
    check_mode(&replay, &mut control).await?;
    let program = LogProgram::find(&cx.world().processes, control.version.flavour, cx.cancel()).await?;
    marker::prepare(&mut control).await?;
    let before = look_before(&mut control).await?;
    let mut marker = Marker {
        backup: params.backup.clone(),
        goal: replay.name(),
        stage: Stage::Replaying,
        before,
        outputs: None,
    };
    fence::let_us_in(&mut control, &marker.before).await?;
    marker.write(&mut control).await?;
    restore::hand_fence_over(&mut control).await?;
    fence::raise(&mut control, &marker.before).await?;
    // Opened now: sessions keep the largest packet of when they began.
    let mut loading = login.connect().await?;
    marker::lock(&mut loading, "replay", "replays binary logs into").await?;
    replay_all(cx, &replay, &program, have, &mut loading).await?;
    catch_up(&replay, &mut control, &mut loading).await?;
    prove(&replay, &mut control).await?;
    xa::warn_of_left(cx, &mut control.session).await?;
    fence::lower(&mut control, &marker.before).await?;
    marker.stage = Stage::Complete;
    marker.outputs = Some(replay.outputs());
    marker.write(&mut control).await?;
    fence::let_nobody_in(&mut control, &marker.before).await?;
    loading.session.close().await;
    control.session.close().await;
    Ok(replay.outputs())
}

/// Sends all logs through one program over one connection.
async fn replay_all(
    cx: &StepContext,
    replay: &Replay,
    program: &LogProgram,
    have: Option<GtidSet>,
    loading: &mut Server,
) -> Result<(), StepError> {
    let used = replay.selection.segments.get(..replay.survey.segments).unwrap_or_default();
    let feed = Feed {
        store: Arc::clone(&replay.store),
        prefix: replay.selection.prefix.clone(),
        segments: used.to_vec(),
        stop: replay.survey.stop,
        base: replay.base.clone(),
        skip: replay.skip.clone(),
        have,
    };
    if feed.segments.is_empty() {
        return Ok(());
    }
    let mut spec = program.statements();
    spec.stdin = rekindle_engine::host::Stdin::Piped;
    cx.log(&spec.display());
    let processes = Arc::clone(&cx.world().processes);
    let mut process = blocking(move || processes.start(&spec)).await??;
    let terminate = process.terminator();
    let (Some(stdin), Some(stdout)) = (process.take_stdin(), process.take_stdout()) else {
        return Err(StepError::permanent(format!("{} has no pipes", program.name)));
    };
    let guard = TerminateOnDrop::of(process.as_ref());
    let runtime = tokio::runtime::Handle::current();
    let feeding =
        tokio::task::spawn_blocking(move || feed::send(&feed, &runtime, std::io::BufWriter::new(stdin)));
    let (sender, mut statements) = mpsc::channel(WAITING_STATEMENTS);
    let splitting = tokio::task::spawn_blocking(move || split(stdout, &sender));
    let sent = send_all(cx, loading, &mut statements).await;
    drop(statements);
    if sent.is_err() {
        let reason =
            if cx.cancel().is_cancelled() { TerminateReason::Cancelled } else { TerminateReason::Abandoned };
        blocking(move || terminate(reason, GRACE)).await?;
    }
    let gone = |error: tokio::task::JoinError| StepError::permanent(error.to_string());
    let split = splitting.await.map_err(gone)?;
    let logs_sent = feeding.await.map_err(gone)?;
    let end = blocking(move || process.wait()).await??;
    guard.disarm();
    sent?;
    // What can't be read comes first: that the program then failed only follows from it.
    let is_all_fed = match logs_sent {
        Err(FeedError::Unreadable(error)) => return Err(error),
        Err(FeedError::Gone) => false,
        Ok(_) => true,
    };
    if !end.success() {
        let said = end.stderr.trim().replace('\n', "; ");
        return Err(StepError::permanent(format!("{} failed with {}: {said}", program.name, end.describe()))
            .help("the server is still fenced (read-only); what was replayed before is there"));
    }
    split.map_err(|error| {
        StepError::permanent(format!("what {} writes can't be split into statements: {error}", program.name))
    })?;
    if is_all_fed {
        return Ok(());
    }
    Err(StepError::permanent(format!("{} stopped reading before the end of the logs", program.name)))
}

/// Brings the position of a MariaDB to the end of the logs: a server that is read-only does not log statements about
/// temporary tables, which others that were not did.
async fn catch_up(replay: &Replay, control: &mut Server, loading: &mut Server) -> Result<(), StepError> {
    let Some(GtidSet::Mariadb(wanted)) = &replay.survey.gtids else { return Ok(()) };
    let text = position::read(control, Role::Source).await?;
    let Some(GtidSet::Mariadb(have)) = GtidSet::read(replay.base.flavour, &text) else { return Ok(()) };
    for (domain, (server_id, number)) in wanted {
        if have.get(domain).is_some_and(|(_, last)| last >= number) {
            continue;
        }
        let name = format!(
            "SET SESSION gtid_domain_id = {domain}, server_id = {server_id}, gtid_seq_no = {number}, sql_log_bin = 1"
        );
        loading.session.run("name the last transaction", &name).await?;
        let nothing = format!("DROP TABLE IF EXISTS {}.nothing", quote_identifier(MARKER_DATABASE));
        loading.session.run("log the last transaction", &nothing).await?;
    }
    Ok(())
}

/// Proves that the server is where the replay was to bring it.
async fn prove(replay: &Replay, server: &mut Server) -> Result<(), StepError> {
    let Some(wanted) = &replay.survey.gtids else { return Ok(()) };
    let text = position::read(server, Role::Source).await?;
    let have = GtidSet::read(replay.base.flavour, &text);
    if have.is_some_and(|have| have.covers(wanted) && wanted.covers(&have)) {
        return Ok(());
    }
    Err(StepError::permanent(format!(
        "`{}` is at {text} after the replay, and should be at {wanted}",
        server.session.target()
    ))
    .help("the server stays fenced (read-only): something else has written to it; restore the backup again"))
}
