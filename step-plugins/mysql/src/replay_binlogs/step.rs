//! The step kind: what it says, what it looks at, what it does.

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};

use super::goal::Goal;
use super::run::{self, Replay, Standing, check_mode, stand};
use super::survey::Depth;
use super::{ReplayBinlogsOutputs, ReplayBinlogsParams};
use crate::binlogs::program::LogProgram;
use crate::connection::Server;
use crate::preflight::{Look, look_at_target, problem};

/// `mysql.replay-binlogs`
pub(crate) struct ReplayBinlogs;

/// How many names of logs a preview shows at each end.
const SHOWN_LOGS: usize = 3;

#[async_trait]
impl Step for ReplayBinlogs {
    const KIND: &'static str = "mysql.replay-binlogs";
    const SUMMARY: &'static str =
        "Brings a restored server forward to a time, a GTID or a position, by archived binary logs.";
    const EFFECT: Effect = Effect::Destroy;
    const PROBES: bool = true;
    type Params = ReplayBinlogsParams;
    type Outputs = ReplayBinlogsOutputs;

    fn plan(&self, params: &Planned<ReplayBinlogsParams>) -> Result<Intent, StepError> {
        let target = params.show("/target");
        let goal = match params.get() {
            Some(params) => Goal::read(&params.until)?.to_string(),
            None => "the goal".to_owned(),
        };
        Ok(Intent {
            summary: format!("bring {target} forward from {} to {goal}", params.show("/backup")),
            commands: vec![
                "SET GLOBAL read_only = ON; SET GLOBAL event_scheduler = OFF".to_owned(),
                "-- the statements of the archived logs, by one reader over one connection".to_owned(),
                "-- compare the GTID position; read_only and event_scheduler as before".to_owned(),
            ],
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<ReplayBinlogsParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        let replay = match params.get() {
            Some(known) => match Replay::find(known, &cx.step, Depth::Edges).await {
                Ok(replay) => {
                    found.notes.extend(preview(known, &replay));
                    if let Err(error) = replay.check_gaps(known) {
                        found.problems.push(problem("rekindle::binlog::gap", error, "/until"));
                    }
                    Some((known, replay))
                }
                Err(error) => {
                    found.problems.push(problem("rekindle::binlog::unreachable", error, "/until"));
                    None
                }
            },
            None => None,
        };
        if let Look::Reached(mut server) = look_at_target(params, "/target", cx, &mut found).await {
            let program =
                LogProgram::find(&cx.step.world().processes, server.version.flavour, cx.step.cancel()).await;
            match program {
                Ok(program) => found.commands.push(program.statements().display()),
                Err(error) => found.problems.push(problem("rekindle::tool::missing", error, "/target")),
            }
            if let Some((known, replay)) = &replay {
                if let Err(error) = check_mode(replay, &mut server).await {
                    found.problems.push(problem("rekindle::binlog::gtid_mode", error, "/target"));
                }
                found.notes.extend(server_note(known, replay, &mut server).await);
            }
            server.session.close().await;
        }
        found
    }

    async fn probe(
        &self,
        params: &ReplayBinlogsParams,
        cx: &StepContext,
    ) -> Result<Probe<ReplayBinlogsOutputs>, StepError> {
        let replay = Replay::find(params, cx, Depth::Edges).await?;
        let mut server = match Server::open(cx, &params.target).await {
            Ok(server) => server,
            Err(error) => return Ok(Probe::Unknown { why: error.to_string() }),
        };
        let standing = stand(params, &replay, &mut server).await;
        server.session.close().await;
        Ok(match standing {
            Ok(Standing::Done) => Probe::Complete(replay.outputs()),
            // From the beginning, or on from the last transaction that is there: both are safe.
            Ok(Standing::Ready { .. }) => Probe::Absent,
            Err(error) => Probe::Partial { found: error.message },
        })
    }

    async fn run(
        &self,
        params: &ReplayBinlogsParams,
        cx: &StepContext,
    ) -> Result<ReplayBinlogsOutputs, StepError> {
        run::run(params, cx).await
    }
}

/// Says what would be replayed: base, logs, gaps, the last transaction kept and the first one lost.
fn preview(params: &ReplayBinlogsParams, replay: &Replay) -> Vec<String> {
    let mut notes = Vec::new();
    let gtids = replay.base.gtids.as_ref().map_or_else(String::new, |gtids| format!(", at {gtids}"));
    notes.push(format!("base: {}, whose data are of {}{gtids}", params.backup, replay.base.at));
    let used = replay.selection.segments.get(..replay.survey.segments).unwrap_or_default();
    let mut names: Vec<&str> = used.iter().map(|segment| segment.log.as_str()).collect();
    names.dedup();
    let bytes: u64 = used.iter().map(|segment| segment.size_bytes).sum();
    let logs = match names.as_slice() {
        [] => "none: the backup is there already".to_owned(),
        few if few.len() <= 2 * SHOWN_LOGS => few.join(", "),
        many => {
            let first = many.get(..SHOWN_LOGS).unwrap_or_default().join(", ");
            format!("{first}, … {}", many.last().copied().unwrap_or_default())
        }
    };
    let whose = match &replay.selection.server {
        server if *server == replay.base.server => String::new(),
        other => format!(" of {other}"),
    };
    notes.push(format!(
        "logs{whose}: {logs} ({bytes} bytes compressed), {} transactions",
        replay.survey.transactions
    ));
    notes.extend(replay.gaps.iter().map(|gap| format!("gap: {gap}")));
    notes.push(match &replay.survey.last_kept {
        Some(kept) => format!("last kept: {kept}"),
        None => "last kept: the backup itself".to_owned(),
    });
    notes.push(match &replay.survey.first_lost {
        Some(lost) => format!("first lost: {lost}"),
        None => "first lost: none in the archive".to_owned(),
    });
    notes.extend(replay.skip.iter().map(|gtid| format!("left out: {gtid}")));
    notes
}

/// Says where the server stands. It is no problem yet: the step before this one restores the backup into it.
async fn server_note(params: &ReplayBinlogsParams, replay: &Replay, server: &mut Server) -> Option<String> {
    match stand(params, replay, server).await {
        Ok(Standing::Done) => Some(format!("{} is there already", params.target)),
        Ok(Standing::Ready { .. }) => None,
        Err(error) => Some(format!("as it is now, it can't be replayed onto: {error}")),
    }
}
