//! The step kind.

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Step, StepContext, StepError,
};

use super::judge::{achievable_rpo, judge};
use super::look::look;
use super::{Outputs, Params};

/// `mysql.assess`
pub(crate) struct Assess;

#[async_trait]
impl Step for Assess {
    const KIND: &'static str = "mysql.assess";
    const SUMMARY: &'static str =
        "Looks at a cluster and its backups, tells what is lost, and proposes the way of recovery.";
    const EFFECT: Effect = Effect::Read;
    type Params = Params;
    type Outputs = Outputs;

    fn plan(&self, params: &Planned<Params>) -> Result<Intent, StepError> {
        let (primary, replicas) = (params.show("/primary"), params.show("/replicas"));
        let replicas = if replicas.is_empty() { String::new() } else { format!(", its replicas {replicas}") };
        let summary = format!("look at {primary}{replicas} and the backups in {}", params.show("/stores"));
        Ok(Intent { summary, ..Intent::default() })
    }

    /// What is down is what it is there to tell.
    async fn preflight(&self, _: &Planned<Params>, _: &PreflightContext) -> Preflight {
        Preflight::default()
    }

    async fn run(&self, params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
        let (seen, unknown) = look(params, cx).await?;
        let judgement = judge(&seen);
        let rpo = achievable_rpo(&seen);
        for server in &seen.servers {
            let state = match (&server.problem, &server.version) {
                (Some(problem), _) => problem.clone(),
                (None, version) => format!("up, {}", version.as_deref().unwrap_or("unknown version")),
            };
            cx.log(&format!("{}: {state}", server.target));
        }
        seen.lost.iter().chain(&unknown).for_each(|line| cx.warn(line));
        cx.log(&judgement.why);
        judgement.next.iter().for_each(|line| cx.log(&format!("next: {line}")));
        warn_of_rpo(rpo.as_ref(), cx);
        Ok(Outputs {
            strategy: judgement.strategy,
            why: judgement.why,
            next: judgement.next,
            servers: seen.servers,
            lost: seen.lost,
            newest_verified: seen.verified.first().cloned(),
            verified: seen.verified,
            replayable: seen.replayable,
            achievable_rpo_seconds: rpo.as_ref().map(|(seconds, _)| *seconds),
            achievable_rpo_by: rpo.map(|(_, by)| by),
            unknown,
        })
    }
}

fn warn_of_rpo(rpo: Option<&(u64, String)>, cx: &StepContext) {
    match rpo {
        None => cx.warn("if the primary's data were gone now, nothing would bring them back"),
        Some((seconds, by)) => {
            cx.log(&format!(
                "if the primary's data were gone now, {seconds} s of writes would be lost, by {by}"
            ));
            let promised = cx.settings().objectives.as_ref().and_then(|objectives| objectives.rpo);
            if let Some(promised) = promised.filter(|promised| *seconds > promised.0.as_secs()) {
                cx.warn(&format!("the RPO of {promised} is not kept: {seconds} s of writes would be lost"));
            }
        }
    }
}
