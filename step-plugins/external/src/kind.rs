//! A step kind that a plugin carries out: receives JSON from the driver, calls the plugin, yields JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;
use rekindle_engine::environment::{SecretRef, StoreConfig, Target};
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::preview::{NameFormat, NameUsed, names_used};
use rekindle_engine::step::{
    ErasedStep, Intent, KindInfo, ParamsError, Planned, Preflight, PreflightContext, Probe, Problem,
    StepContext, StepError,
};
use serde_json::Value;

use crate::call::{Call, CallError, Executable};
use crate::describe::Described;
use crate::protocol::{
    Answer, PlanAnswer, PlanRequest, PluginError, ProbeAnswer, SecretText, Task, ToPlugin,
};

/// How long a plugin may look before the run; less than what the preview gives every step.
const PLAN_LIMIT: Duration = Duration::from_secs(20);

/// A kind as its plugin described it.
pub(crate) struct ExternalStep {
    executable: Executable,
    described: Described,
    info: KindInfo,
}

impl ExternalStep {
    pub(crate) fn new(executable: Executable, described: Described) -> Self {
        let info = described.info(&executable);
        Self { executable, described, info }
    }

    fn call<'c>(&'c self, cx: &'c StepContext, limit: Option<Duration>) -> Call<'c> {
        let world = cx.world();
        Call {
            executable: &self.executable,
            processes: Arc::clone(&world.processes),
            clock: Arc::clone(&world.clock),
            masker: world.masker.clone(),
            listener: cx,
            cancel: cx.cancel(),
            limit,
        }
    }

    fn names(&self, params: &Value, unknown: &BTreeMap<String, String>) -> Vec<NameUsed> {
        names_used(self.info.params.as_value(), params, unknown)
    }

    async fn task(&self, params: &Value, cx: &StepContext) -> Result<Task, StepError> {
        self.check_params(params).map_err(|error| does_not_fit("parameters", &self.info.kind, &error))?;
        let names = self.names(params, &BTreeMap::new());
        let (targets, stores) = places(&names, cx);
        let wanted: BTreeSet<_> = names
            .into_iter()
            .filter(|used| used.format == NameFormat::Secret)
            .map(|used| used.name.into())
            .chain(targets.values().filter_map(|target| target.password.as_ref()).map(|it| it.secret.clone()))
            .collect();
        let mut secrets = BTreeMap::new();
        for name in wanted {
            let secret = cx.secret(&SecretRef { secret: name.clone() }).await?;
            secrets.insert(name, SecretText(secret));
        }
        Ok(Task {
            run: cx.run().clone(),
            step: cx.step().clone(),
            attempt: cx.attempt(),
            params: params.clone(),
            targets,
            stores,
            secrets,
            checkpoint: cx.last_checkpoint().cloned(),
        })
    }

    fn outputs(&self, outputs: serde_json::Map<String, Value>) -> Result<Value, StepError> {
        let outputs = Value::Object(outputs);
        match self.described.outputs.check(&outputs) {
            Ok(()) => Ok(outputs),
            Err(error) => Err(does_not_fit("outputs", &self.info.kind, &error)),
        }
    }

    async fn look(
        &self,
        rendered: &Value,
        unknown: &BTreeMap<String, String>,
        cx: &PreflightContext,
    ) -> Result<PlanAnswer, Problem> {
        let names = self.names(rendered, unknown);
        let (targets, stores) = places(&names, &cx.step);
        let request = ToPlugin::Plan(Box::new(PlanRequest {
            step: cx.step.step().clone(),
            params: rendered.clone(),
            unknown: unknown.clone(),
            targets,
            stores,
            provided: cx.provided.clone(),
        }));
        let reply =
            self.call(&cx.step, Some(PLAN_LIMIT)).ask(&request).await.map_err(|error| unanswered(&error))?;
        match reply.answer {
            Answer { plan: Some(plan), .. } => Ok(plan),
            Answer { error: Some(error), .. } => Err(problem(error.message, error.help)),
            other => Err(unanswered(&wrong_answer("plan", &other, "plan"))),
        }
    }
}

fn places(
    names: &[NameUsed],
    cx: &StepContext,
) -> (IndexMap<TargetName, Target>, IndexMap<StoreName, StoreConfig>) {
    let (mut targets, mut stores) = (IndexMap::new(), IndexMap::new());
    for NameUsed { format, name, .. } in names {
        match format {
            NameFormat::Target => {
                let name = TargetName::from(name.as_str());
                if let Some(target) = cx.settings().targets.get(&name) {
                    targets.insert(name, target.clone());
                }
            }
            NameFormat::Store => {
                let name = StoreName::from(name.as_str());
                if let Some(store) = cx.settings().stores.get(&name) {
                    stores.insert(name, store.clone());
                }
            }
            NameFormat::Secret => {}
        }
    }
    (targets, stores)
}

fn unanswered(error: &CallError) -> Problem {
    let code = match error {
        CallError::Changed { .. } => "rekindle::plugin::changed",
        _ => "rekindle::plugin::no_answer",
    };
    Problem { code, message: error.to_string(), help: error.help(), pointer: None }
}

fn problem(message: String, help: Option<String>) -> Problem {
    Problem { code: "rekindle::plugin::problem", message, help, pointer: None }
}

fn does_not_fit(what: &str, kind: &str, error: &ParamsError) -> StepError {
    let at = if error.pointer.is_empty() { String::new() } else { format!(" at {}", error.pointer) };
    StepError::permanent(format!("the {what} do not fit what {kind} described: {}{at}", error.message))
}

pub(crate) fn wrong_answer(request: &'static str, answer: &Answer, expected: &'static str) -> CallError {
    let given = answer.given().first().copied().unwrap_or("nothing");
    CallError::WrongAnswer { request, given, expected }
}

fn own(error: PluginError) -> StepError {
    StepError { class: error.class, message: error.message, help: error.help }
}

#[async_trait]
impl ErasedStep for ExternalStep {
    fn info(&self) -> &KindInfo {
        &self.info
    }

    fn check_params(&self, params: &Value) -> Result<(), ParamsError> {
        self.described.params.check(params)
    }

    /// Says what the description says: asking the plugin would start a process for every step of every check. The
    /// plugin is asked in the preflight, which the plan shows as well.
    fn plan(&self, rendered: &Value, unknown: &BTreeMap<String, String>) -> Result<Intent, StepError> {
        let params: Planned<Value> = Planned::partly_known(rendered.clone(), unknown.clone());
        let summary = match &self.described.intent {
            Some(text) => text.fill(&params),
            None => self.info.summary.clone(),
        };
        let named = |pointer: &String| Some(TargetName::from(params.value(pointer)?.as_str()?));
        let provides = self.described.provides.iter().filter_map(named).collect();
        Ok(Intent { summary, provides, ..Intent::default() })
    }

    async fn preflight(
        &self,
        rendered: &Value,
        unknown: &BTreeMap<String, String>,
        cx: &PreflightContext,
    ) -> Preflight {
        if !self.described.hello.can("plan") {
            return self.untouched().await;
        }
        match self.look(rendered, unknown, cx).await {
            Ok(PlanAnswer { commands, notes, problems }) => Preflight {
                problems: problems.into_iter().map(|found| problem(found.message, found.help)).collect(),
                commands,
                notes,
            },
            Err(problem) => Preflight::problem(problem),
        }
    }

    async fn probe(&self, params: &Value, cx: &StepContext) -> Result<Probe<Value>, StepError> {
        if !self.described.hello.can("probe") {
            return Ok(Probe::Unknown { why: format!("{} has no probe", self.info.kind) });
        }
        let request = ToPlugin::Probe(Box::new(self.task(params, cx).await?));
        match self.call(cx, None).ask(&request).await?.answer {
            Answer { probe: Some(found), .. } => Ok(match found {
                ProbeAnswer::Absent {} => Probe::Absent,
                ProbeAnswer::Complete { outputs } => Probe::Complete(self.outputs(outputs)?),
                ProbeAnswer::Partial { found } => Probe::Partial { found },
                ProbeAnswer::Unknown { why } => Probe::Unknown { why },
            }),
            Answer { error: Some(error), .. } => Err(own(error)),
            other => Err(wrong_answer("probe", &other, "probe").into()),
        }
    }

    async fn run(&self, params: &Value, cx: &StepContext) -> Result<Value, StepError> {
        let request = ToPlugin::Run(Box::new(self.task(params, cx).await?));
        match self.call(cx, None).ask(&request).await?.answer {
            Answer { outputs: Some(outputs), .. } => self.outputs(outputs),
            Answer { error: Some(error), .. } => Err(own(error)),
            other => Err(wrong_answer("run", &other, "outputs").into()),
        }
    }
}

impl ExternalStep {
    /// A plugin that looks at nothing beforehand must still be the one that was described.
    async fn untouched(&self) -> Preflight {
        let executable = self.executable.clone();
        match tokio::task::spawn_blocking(move || executable.verify()).await {
            Ok(Ok(())) | Err(_) => Preflight::default(),
            Ok(Err(error)) => Preflight::problem(unanswered(&error)),
        }
    }
}
