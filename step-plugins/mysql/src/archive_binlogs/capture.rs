//! One look at the server: everything that it has logged and the archive has not, in the order of the logs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rekindle_backup::binlog::archive;
use rekindle_backup::binlog::{
    Covered, GtidSet, LastEvent, SEGMENT_FORMAT, Segment, ServerIdentity, TimelineKey, chain,
};
use rekindle_backup::manifest::Tool;
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::{Progress, StepContext, StepError};

use super::cut::{self, Cut, CutError, Known};
use super::lag::Lag;
use super::preview::not_logging;
use super::resume::{Asking, Tip, find_tip, go_on, is_next, timeline_name};
use super::write::{self, Copied};
use super::{ArchiveBinlogsOutputs, ArchiveBinlogsParams};
use crate::binlogs::program::{Fetcher, LogProgram};
use crate::binlogs::scratch::Scratch;
use crate::binlogs::server::{self, ROTATE, ServerLog};
use crate::connection::{Login, Server};

/// How long to wait between two looks when following.
pub(super) const DEFAULT_EVERY: Duration = Duration::from_secs(10);
/// How many names of segments the outputs of a long run keep.
const KEPT_NAMES: usize = 1000;

/// What happens to the log that the server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Active {
    /// It is ended, so that it can be archived as a whole.
    Rotate,
    /// What is in it so far is archived.
    Stream,
}

/// An archiver at work.
struct Capture<'a> {
    cx: &'a StepContext,
    store: Arc<dyn ObjectStore>,
    cluster: String,
    identity: ServerIdentity,
    fetcher: Fetcher,
    scratch: Scratch,
    outputs: ArchiveBinlogsOutputs,
    timeline: Option<TimelineKey>,
    last: Option<Segment>,
    /// What the server has and none of its logs: what was purged, and what it was restored with.
    in_no_log: Option<GtidSet>,
    /// Whether it was told that a timeline begins which has no segment yet.
    is_told_new: bool,
}

pub(crate) async fn run(
    params: &ArchiveBinlogsParams,
    cx: &StepContext,
) -> Result<ArchiveBinlogsOutputs, StepError> {
    let store = cx.store(&params.store).await?;
    let login = Login::of(cx, &params.target).await?;
    let mut server = login.connect().await?;
    if !server::logs_at_all(&mut server).await? {
        return Err(not_logging(server.session.target()));
    }
    let program = LogProgram::find(&cx.world().processes, server.version.flavour, cx.cancel()).await?;
    let mut capture = Capture {
        cx,
        store,
        cluster: params.cluster.clone().unwrap_or_else(|| cx.settings().cluster().to_owned()),
        identity: server::identity(&mut server).await?,
        fetcher: Fetcher::new(program, login.clone(), &cx.world().processes),
        scratch: Scratch::new(cx.run().as_str(), cx.step().as_str())?,
        outputs: ArchiveBinlogsOutputs::default(),
        timeline: None,
        last: None,
        in_no_log: None,
        is_told_new: false,
    };
    if params.follow {
        capture.follow(params, &login, server).await?;
    } else {
        capture.look(&mut server, Active::Rotate).await?;
        capture.measure(&mut server).await?;
        server.session.close().await;
    }
    Ok(capture.outputs)
}

impl Capture<'_> {
    /// Looks again and again. A server that goes away is waited for: a lost connection ends nothing.
    async fn follow(
        &mut self,
        params: &ArchiveBinlogsParams,
        login: &Login,
        server: Server,
    ) -> Result<(), StepError> {
        let every = params.every.map_or(DEFAULT_EVERY, |every| every.0);
        let clock = Arc::clone(&self.cx.world().clock);
        let begun = clock.now();
        let mut connected = Some(server);
        loop {
            match self.look_once(login, &mut connected).await {
                Ok(()) => {}
                Err(error) if error.class == rekindle_engine::step::ErrorClass::Transient => {
                    connected = None;
                    self.cx.log(&format!("trying again: {error}"));
                }
                Err(error) => return Err(error),
            }
            let gone = clock.now().duration_since(begun).unsigned_abs();
            let left = params.stop_after.map(|after| after.0.saturating_sub(gone));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            let pause = left.map_or(every, |left| left.min(every));
            tokio::select! {
                () = self.cx.cancel().cancelled() => return Err(StepError::cancelled()),
                () = clock.sleep(pause) => {}
            }
        }
    }

    async fn look_once(&mut self, login: &Login, connected: &mut Option<Server>) -> Result<(), StepError> {
        if connected.is_none() {
            let mut server = login.connect().await?;
            // Another server may answer at the same address after a failover.
            self.identity = server::identity(&mut server).await?;
            self.timeline = None;
            self.last = None;
            *connected = Some(server);
        }
        let Some(server) = connected.as_mut() else { return Ok(()) };
        self.look(server, Active::Stream).await?;
        self.measure(server).await?;
        let note = format!(
            "{} transactions archived, {} s behind",
            self.outputs.transactions, self.outputs.lag_seconds
        );
        self.cx.progress(Progress { bytes: self.outputs.size_bytes, total_bytes: None, note });
        Ok(())
    }

    /// Archives everything that there is now.
    async fn look(&mut self, server: &mut Server, active: Active) -> Result<(), StepError> {
        // Read before the logs are: what is logged later may be archived too, but need not.
        let until = server::now(server).await?;
        self.in_no_log = server::in_no_log(server).await?;
        let mut logs = server::logs(server).await?;
        if active == Active::Rotate
            && let Some(current) = logs.last()
        {
            if server::has_nothing(server, &current.name.clone()).await? {
                logs.pop();
            } else {
                server.session.run("begin a new binary log", ROTATE).await?;
                logs = server::logs(server).await?;
                logs.pop();
            }
        }
        let written = match active {
            Active::Rotate => None,
            Active::Stream => logs.last().map(|log| log.name.clone()),
        };
        let Tip { timeline, last, next, is_rest } = self.find_tip(&logs).await?;
        self.timeline = timeline;
        self.last = last;
        for (at, log) in logs.iter().enumerate().skip(next) {
            let is_written = written.as_ref() == Some(&log.name);
            self.archive(log, is_rest && at == next, is_written, until).await?;
        }
        self.cover(&logs, until).await
    }

    /// Where the archive stands. Within one run the last segment is known, and nothing is listed; but the server may
    /// have been given another life since: it is asked again each time.
    async fn find_tip(&mut self, logs: &[ServerLog]) -> Result<Tip, StepError> {
        let known = self.timeline.clone().zip(self.last.clone());
        let asking = Asking { cx: self.cx, fetcher: &self.fetcher, scratch: &self.scratch };
        if let Some((timeline, last)) = known
            && let Some(tip) = go_on(&asking, logs, timeline, last).await?
        {
            return Ok(tip);
        }
        let tip = find_tip(&asking, self.store.as_ref(), &self.cluster, &self.identity, logs).await?;
        if tip.timeline.is_none() {
            self.tell_new_timeline().await?;
        }
        Ok(tip)
    }

    /// Tells that what is archived from now on continues nothing of what is archived already: the server's logs were
    /// begun anew, or another server answers at its address.
    async fn tell_new_timeline(&mut self) -> Result<(), StepError> {
        if std::mem::replace(&mut self.is_told_new, true) {
            return Ok(());
        }
        let known = archive::places(self.store.as_ref(), &self.cluster).await?;
        let Some((newest, _)) = known.iter().max_by_key(|(key, _)| &key.timeline) else { return Ok(()) };
        self.cx.warn(&format!(
            "the logs of this server ({}) continue nothing in the archive, whose newest timeline is {}: they become \
             another timeline, and points in time in it can be reached only from a backup that is newer, or that the server was \
             restored from, or with `server` from one of the source that it followed before: make one now",
            self.identity.folder(),
            newest.prefix()
        ));
        Ok(())
    }

    /// Archives one log, or the rest of it.
    async fn archive(
        &mut self,
        log: &ServerLog,
        is_rest: bool,
        is_written: bool,
        until: Timestamp,
    ) -> Result<(), StepError> {
        if self.cx.cancel().is_cancelled() {
            return Err(StepError::cancelled());
        }
        self.cx.progress(Progress { note: format!("archiving {}", log.name), ..Progress::default() });
        let known = self.last.as_ref().filter(|_| is_rest).map(|last| (last.last_event.clone(), last.to));
        let from = known.as_ref().map_or(4, |(event, _)| event.position);
        let path = self.fetcher.fetch(self.scratch.path(), &log.name, from, self.cx.cancel()).await;
        let path = path.map_err(|error| error.step_error(self.fetcher.program.name, &log.name))?;
        let cut = {
            let (path, known) = (path.clone(), known.clone());
            tokio::task::spawn_blocking(move || {
                let known = known.as_ref().map(|(last_event, to)| Known { last_event, to: *to });
                cut::survey(&path, known)
            })
            .await
            .map_err(|error| StepError::permanent(error.to_string()))?
            .map_err(|error| not_whole(&log.name, &error))?
        };
        if !is_written && cut.to != log.size_bytes {
            return Err(StepError::transient(format!(
                "the copy of {} ends at {}, and the server's log at {}",
                log.name, cut.to, log.size_bytes
            )));
        }
        let Some(last_event) = cut.last_event.clone() else {
            // Nothing new.
            return remove(&path);
        };
        // The head of a log alone is archived with its first transaction.
        if is_written && cut.from == 4 && cut.transactions == 0 {
            return remove(&path);
        }
        let command = self.fetcher.program.shown_fetch(&log.name, from);
        let tool = self.fetcher.program.tool(command);
        let segment = self.describe(log, &cut, last_event, is_rest, is_written, until, tool);
        self.tell_gap(&segment);
        let key = TimelineKey {
            cluster: self.cluster.clone(),
            server: self.identity.folder(),
            timeline: segment.timeline.clone(),
        };
        let copied = Copied { path: path.clone(), known, cut };
        let segment = write::store(self.store.as_ref(), &key, segment, copied).await?;
        self.cx.log(&format!(
            "archived {} to {}: {} transactions, {} bytes",
            segment.name(),
            segment.to,
            segment.transactions,
            segment.size_bytes
        ));
        self.outputs.transactions += segment.transactions;
        self.outputs.size_bytes += segment.size_bytes;
        if self.outputs.segments.len() < KEPT_NAMES {
            self.outputs.segments.push(segment.name());
        }
        self.timeline = Some(key);
        self.last = Some(segment);
        self.is_told_new = false;
        remove(&path)
    }

    #[allow(clippy::too_many_arguments)]
    fn describe(
        &self,
        log: &ServerLog,
        cut: &Cut,
        last_event: LastEvent,
        is_rest: bool,
        is_written: bool,
        until: Timestamp,
        tool: Tool,
    ) -> Segment {
        let segment_before = match &self.last {
            Some(last) => last.after_it(),
            None => self.in_no_log.clone(),
        };
        let before = match (is_rest, segment_before) {
            // A part without names before it leaves none to count from.
            (true, None) => None,
            (true, before) => before,
            (false, before) => cut.before_it(self.identity.flavour, before),
        };
        let after = cut.after(before.as_ref());
        let before = before.filter(|_| after.is_some());
        let follows = self.last.as_ref().filter(|last| is_rest || is_next(last, log, before.as_ref()));
        let timeline = match &self.timeline {
            Some(key) => key.timeline.clone(),
            None => timeline_name(&log.name, cut.log_created_at, &last_event),
        };
        let text = |set: Option<&GtidSet>| set.map(ToString::to_string);
        Segment {
            format: SEGMENT_FORMAT,
            cluster: self.cluster.clone(),
            server: self.identity.clone(),
            timeline,
            log: log.name.clone(),
            number: log.number,
            from: cut.from,
            to: cut.to,
            ends_log: !is_written,
            log_created_at: cut.log_created_at,
            last_event,
            transactions: cut.transactions,
            hindered: Some(cut.is_hindered),
            first_at: cut.first_at,
            last_at: cut.last_at,
            covered_until: until,
            gtids_before: text(before.as_ref()),
            gtids_after: text(after.as_ref()),
            first_gtid: cut.gtids.first().map(ToString::to_string),
            last_gtid: cut.gtids.last().map(ToString::to_string),
            object: String::new(),
            size_bytes: 0,
            sha256: String::new(),
            log_bytes: 0,
            after: follows.map(Segment::name),
            archived_at: self.cx.world().clock.now(),
            tool,
            encryption: None,
        }
    }

    /// Tells what is lost for good.
    fn tell_gap(&mut self, next: &Segment) {
        let Some(gap) = self.last.as_ref().and_then(|last| chain::gap_between(last, next)) else { return };
        let text = gap.to_string();
        self.cx.warn(&format!(
            "{text}; points in time after it can be reached only from a backup that is newer: make one now"
        ));
        self.outputs.gaps.push(text);
    }

    /// Notes that nothing is missing until `until`.
    async fn cover(&mut self, logs: &[ServerLog], until: Timestamp) -> Result<(), StepError> {
        let (Some(timeline), Some(last), Some(log)) = (&self.timeline, &self.last, logs.last()) else {
            return Ok(());
        };
        let covered = Covered {
            format: SEGMENT_FORMAT,
            log: log.name.clone(),
            position: last.to,
            last: last.name(),
            at: until,
        };
        archive::store_covered(self.store.as_ref(), timeline, &covered).await?;
        self.outputs.prefix = timeline.prefix();
        self.outputs.last_gtid = match &last.gtids_after {
            Some(gtids) if last.last_gtid.is_none() => gtids.clone(),
            _ => last.last_gtid.clone().unwrap_or_default(),
        };
        self.outputs.last_at = last.last_at.or(self.outputs.last_at);
        self.outputs.covered_until = Some(until);
        Ok(())
    }

    /// Says how far the archive is behind the server.
    async fn measure(&mut self, server: &mut Server) -> Result<(), StepError> {
        let Some(covered) = self.outputs.covered_until else { return Ok(()) };
        let lag = Lag::measure(server, self.last.as_ref(), covered).await?;
        self.outputs.rpo_seconds = lag.rpo_seconds;
        self.outputs.lag_seconds = lag.lag_seconds;
        Ok(())
    }
}

fn remove(path: &std::path::Path) -> Result<(), StepError> {
    std::fs::remove_file(path)
        .map_err(|error| StepError::transient(format!("failed to remove {}: {error}", path.display())))
}

fn not_whole(log: &str, error: &CutError) -> StepError {
    StepError::transient(format!("the copy of {log} is not whole: {error}"))
}
