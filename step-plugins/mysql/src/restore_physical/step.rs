//! The step kind: what it says, what it looks at, what it does.

use async_trait::async_trait;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};

use super::marker::{Marker, Stage};
use super::run::{refuse_held, refuse_target, run};
use super::source::Source;
use super::{Outputs, Params, place, replaced};
use crate::preflight::{login, problem};

/// `mysql.restore-physical`
pub struct RestorePhysical;

#[async_trait]
impl Step for RestorePhysical {
    const KIND: &'static str = "mysql.restore-physical";
    const SUMMARY: &'static str = "Puts a server's files from a physical backup in place, starts it, and proves that everything is there.";
    const EFFECT: Effect = Effect::Destroy;
    const PROBES: bool = true;
    type Params = Params;
    type Outputs = Outputs;

    fn plan(&self, params: &Planned<Params>) -> Result<Intent, StepError> {
        let (target, backup) = (params.show("/target"), params.show("/backup"));
        let replaces = params.value("/overwrite").is_some_and(|value| value == true)
            || params.value("/sandbox").is_some_and(serde_json::Value::is_object);
        let summary = if replaces {
            format!("stop {target}, move its files aside, and start it with those of {backup}")
        } else {
            format!("start {target} with the files of {backup}")
        };
        let mut commands = Vec::new();
        if params.value("/archive_to").is_some_and(serde_json::Value::is_string) {
            commands.push("SET GLOBAL read_only = ON; SET GLOBAL event_scheduler = OFF".to_owned());
            commands.push(format!("-- archive its binary logs in {}", params.show("/archive_to")));
        }
        if params.value("/stay_fenced").is_some_and(|value| value == true) {
            commands
                .push("-- it ends read-only and without events, for the replay of binary logs".to_owned());
        }
        let provides = params.value("/target").and_then(|name| name.as_str()).map(TargetName::from);
        Ok(Intent { summary, commands, provides: provides.into_iter().collect(), ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<Params>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        let Some(params) = params.get() else { return found };
        if let Err(problem) = login(&cx.step, &params.target, "/target").await {
            found.problems.push(problem);
            return found;
        }
        match Source::find(params, &cx.step).await {
            Err(error) => found.problems.push(problem("rekindle::backup::unusable", error, "/backup")),
            Ok(source) => {
                found.notes.extend(source.describe());
                if let Err(error) = source.tool(&cx.step).await {
                    found.problems.push(problem("rekindle::tool::missing", error, "/backup"));
                }
            }
        }
        let has_files = params.sandbox.is_some()
            || cx.step.target(&params.target).is_ok_and(|target| target.local.is_some());
        if cx.provided.contains(&params.target) && has_files {
            return found;
        }
        let looked = match params.files(&cx.step).await {
            Err(error) => Err(error),
            Ok(files) => {
                found.commands.extend(files.shown_commands());
                let is_held = place::held(files.data_dir()).is_ok_and(|held| !held.is_empty());
                if params.archive_to.is_some() && is_held && files.process().is_none() {
                    let aside = format!("{}.before-RUN", files.data_dir().display());
                    found.notes.push(replaced::not_running(&params.target, &aside));
                }
                refuse_target(params, &cx.step, &files).await
            }
        };
        if let Err(error) = looked {
            found.problems.push(problem("rekindle::physical::not_possible", error, "/target"));
        }
        found
    }

    async fn probe(&self, params: &Params, cx: &StepContext) -> Result<Probe<Outputs>, StepError> {
        let files = params.files(cx).await?;
        Ok(match Marker::read(files.data_dir())? {
            Some(marker) if marker.is_of(params, cx.run()) => match (marker.stage, marker.outputs) {
                (Stage::Complete, Some(outputs)) => Probe::Complete(outputs),
                // `run` goes on from any stage, or begins anew.
                _ => Probe::Absent,
            },
            Some(marker) if marker.stage != Stage::Complete && !params.replaces() => {
                Probe::Partial { found: marker.describe() }
            }
            // `run` moves aside what is there, or refuses without touching anything.
            Some(_) | None => match refuse_held(params, files.data_dir()) {
                Ok(()) => Probe::Absent,
                Err(error) => Probe::Partial { found: error.message },
            },
        })
    }

    async fn run(&self, params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
        run(params, cx).await
    }
}
