//! A step kind whose every answer is scripted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::locked;
use super::scripted_answers::{Act, Memory, ProbeScript, Script};
use crate::id::{StepId, TargetName};
use crate::step::{
    Effect, ErasedStep, Intent, KindInfo, ParamsError, Preflight, PreflightContext, Probe, Registry,
    StepContext, StepError,
};

/// A step kind under any name that does what its script says and remembers what was asked of it.
///
/// Clones share script and memory, so keep one, register the other. It accepts any parameters unless
/// [`ScriptedStep::params`] gives a schema. Its summary in a plan is `NAME` followed by its parameters; a
/// parameter `provides` (a target's name) makes it provide that target.
///
/// ```
/// # use rekindle_engine::{step::{Effect, Registry}, testing::{Act, ScriptedStep}};
/// let mut registry = Registry::default();
/// let write = ScriptedStep::new("fake.write", Effect::Write).probes_truthfully();
/// write.script("restore", [Act::transient("the connection was lost"), Act::Succeed]);
/// write.register(&mut registry);
/// assert_eq!(write.runs(), 0);
/// ```
#[derive(Clone)]
pub struct ScriptedStep {
    info: KindInfo,
    outputs: Value,
    script: Arc<Mutex<Script>>,
    memory: Arc<Mutex<Memory>>,
    gate: Arc<Semaphore>,
}

impl ScriptedStep {
    /// Makes a kind that succeeds with no outputs at once, and has no probe.
    pub fn new(kind: &'static str, effect: Effect) -> Self {
        let info = KindInfo {
            kind: kind.to_owned(),
            summary: "Does what a test says.".to_owned(),
            version: "0.0.0".to_owned(),
            digest: None,
            effect,
            effect_is_declared: false,
            probes: false,
            params: json_schema!({ "type": "object" }),
            outputs: json_schema!({ "type": "object", "properties": {}, "additionalProperties": false }),
        };
        Self {
            info,
            outputs: json!({}),
            script: Arc::default(),
            memory: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    /// Gives its usual outputs; their schema is made from this example.
    #[must_use]
    pub fn outputs(mut self, outputs: Value) -> Self {
        self.info.outputs = schema_of(&outputs);
        self.outputs = outputs;
        self
    }

    /// Gives the schema of its parameters. Only `required`, `properties.*.type` and
    /// `additionalProperties: false` are checked.
    #[must_use]
    pub fn params(mut self, schema: Schema) -> Self {
        self.info.params = schema;
        self
    }

    /// Lets runbooks declare its effect.
    #[must_use]
    pub fn effect_is_declared(mut self) -> Self {
        self.info.effect_is_declared = true;
        self
    }

    /// Gives it a probe that always answers this.
    #[must_use]
    pub fn probes(mut self, answer: Probe<Value>) -> Self {
        self.info.probes = true;
        locked(&self.script).probe = ProbeScript::Fixed(answer);
        self
    }

    /// Gives it a probe that answers `Complete` when a run had its effect, and `Absent` otherwise.
    #[must_use]
    pub fn probes_truthfully(mut self) -> Self {
        self.info.probes = true;
        locked(&self.script).probe = ProbeScript::Truthful;
        self
    }

    /// Queues what runs of one step do; when the queue is empty they succeed.
    pub fn script(&self, step: &str, acts: impl IntoIterator<Item = Act>) {
        locked(&self.script).acts_of.entry(step.into()).or_default().extend(acts);
    }

    /// Queues what runs of any step of this kind do.
    pub fn script_any(&self, acts: impl IntoIterator<Item = Act>) {
        locked(&self.script).acts.extend(acts);
    }

    /// Gives what every preflight finds.
    pub fn preflights(&self, finding: Preflight) {
        locked(&self.script).preflight = finding;
    }

    /// Makes every preflight wait for ever.
    pub fn hang_preflights(&self) {
        locked(&self.script).preflight_hangs = true;
    }

    /// Lets one run that waits for release go on.
    pub fn release(&self) {
        self.gate.add_permits(1);
    }

    /// Adds it to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_erased(Arc::new(self.clone()));
    }

    /// Gives how many runs have begun.
    pub fn runs(&self) -> usize {
        locked(&self.memory).runs.len()
    }

    /// Gives how many runs of one step have begun.
    pub fn runs_of(&self, step: &str) -> usize {
        locked(&self.memory).runs.iter().filter(|(id, _)| id.as_str() == step).count()
    }

    /// Gives the steps whose runs have begun, in that order.
    pub fn order(&self) -> Vec<String> {
        locked(&self.memory).runs.iter().map(|(id, _)| id.to_string()).collect()
    }

    /// Gives the parameters of every run of one step.
    pub fn params_of(&self, step: &str) -> Vec<Value> {
        let memory = locked(&self.memory);
        memory.runs.iter().filter(|(id, _)| id.as_str() == step).map(|(_, params)| params.clone()).collect()
    }

    /// Gives how many runs went on at once at most.
    pub fn most_running(&self) -> usize {
        locked(&self.memory).most_running
    }

    /// Gives the steps that were probed, in that order.
    pub fn probed(&self) -> Vec<String> {
        locked(&self.memory).probes.iter().map(ToString::to_string).collect()
    }

    /// Gives the steps that were preflighted, in that order.
    pub fn preflighted(&self) -> Vec<String> {
        locked(&self.memory).preflights.iter().map(ToString::to_string).collect()
    }

    /// Gives the steps that have had their effect, in the order of their names.
    pub fn effects(&self) -> Vec<String> {
        locked(&self.memory).effects.keys().map(ToString::to_string).collect()
    }

    fn have_effect(&self, step: &StepId, outputs: &Value) {
        locked(&self.memory).effects.insert(step.clone(), outputs.clone());
    }

    async fn act(&self, act: Act, cx: &StepContext) -> Result<Value, StepError> {
        match act {
            Act::Succeed => {}
            Act::Outputs(outputs) => {
                self.have_effect(cx.step(), &outputs);
                return Ok(outputs);
            }
            Act::Fail(error) => return Err(error),
            Act::FailAfterEffect(error) => {
                self.have_effect(cx.step(), &self.outputs);
                return Err(error);
            }
            Act::Warn(text) => cx.warn(&text),
            Act::Checkpoint(value) => cx.checkpoint(value).await?,
            Act::Wait(duration) => tokio::select! {
                () = cx.world().clock.sleep(duration) => {}
                () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            },
            Act::WaitForRelease => tokio::select! {
                permit = self.gate.acquire() => if let Ok(permit) = permit { permit.forget() },
                () = cx.cancel().cancelled() => return Err(StepError::cancelled()),
            },
            Act::HangUntilCancelled => {
                cx.cancel().cancelled().await;
                return Err(StepError::cancelled());
            }
            Act::Hang => std::future::pending().await,
            Act::Panic => std::panic::panic_any("the script says panic".to_owned()),
        }
        self.have_effect(cx.step(), &self.outputs);
        Ok(self.outputs.clone())
    }
}

/// Counts a run as going on until it is over, dropped or unwound.
struct Running<'a>(&'a Mutex<Memory>);

impl<'a> Running<'a> {
    fn begin(memory: &'a Mutex<Memory>, step: &StepId, params: &Value) -> Self {
        let mut begun = locked(memory);
        begun.runs.push((step.clone(), params.clone()));
        begun.running += 1;
        begun.most_running = begun.most_running.max(begun.running);
        Self(memory)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        locked(self.0).running -= 1;
    }
}

#[async_trait]
impl ErasedStep for ScriptedStep {
    fn info(&self) -> &KindInfo {
        &self.info
    }

    fn check_params(&self, params: &Value) -> Result<(), ParamsError> {
        check(self.info.params.as_value(), params)
    }

    fn plan(&self, rendered: &Value, unknown: &BTreeMap<String, String>) -> Result<Intent, StepError> {
        let provides = match rendered.get("provides").and_then(Value::as_str) {
            Some(target) if !unknown.contains_key("/provides") => vec![TargetName::from(target)],
            _ => Vec::new(),
        };
        Ok(Intent { summary: format!("{} {rendered}", self.info.kind), provides, ..Intent::default() })
    }

    async fn preflight(
        &self,
        _rendered: &Value,
        _unknown: &BTreeMap<String, String>,
        cx: &PreflightContext,
    ) -> Preflight {
        locked(&self.memory).preflights.push(cx.step.step().clone());
        let (finding, hangs) = {
            let script = locked(&self.script);
            (script.preflight.clone(), script.preflight_hangs)
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        finding
    }

    async fn probe(&self, _params: &Value, cx: &StepContext) -> Result<Probe<Value>, StepError> {
        locked(&self.memory).probes.push(cx.step().clone());
        match &locked(&self.script).probe {
            ProbeScript::None => Ok(Probe::Unknown { why: format!("{} has no probe", self.info.kind) }),
            ProbeScript::Fixed(answer) => Ok(answer.clone()),
            ProbeScript::Truthful => {
                let outputs = locked(&self.memory).effects.get(cx.step()).cloned();
                Ok(outputs.map_or(Probe::Absent, Probe::Complete))
            }
        }
    }

    async fn run(&self, params: &Value, cx: &StepContext) -> Result<Value, StepError> {
        let act = locked(&self.script).next_act(cx.step());
        let _running = Running::begin(&self.memory, cx.step(), params);
        self.act(act, cx).await
    }
}

/// Makes a closed schema from an example.
fn schema_of(example: &Value) -> Schema {
    fn sketch(example: &Value) -> Value {
        match example {
            Value::Object(entries) => {
                let properties: serde_json::Map<String, Value> =
                    entries.iter().map(|(name, value)| (name.clone(), sketch(value))).collect();
                json!({ "type": "object", "properties": properties, "additionalProperties": false })
            }
            Value::Array(items) => {
                json!({ "type": "array", "items": items.first().map_or(json!({}), sketch) })
            }
            other => json!({ "type": type_of(other) }),
        }
    }
    sketch(example).try_into().unwrap_or_default()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Checks as much of a schema as tests of the engine need.
fn check(schema: &Value, params: &Value) -> Result<(), ParamsError> {
    let wrong = |pointer: String, message: String| Err(ParamsError { pointer, message });
    let Some(given) = params.as_object() else {
        return wrong(String::new(), "expected a map".to_owned());
    };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        if !given.contains_key(name) {
            return wrong(String::new(), format!("missing field `{name}`"));
        }
    }
    for (name, value) in given {
        let Some(property) = schema["properties"].get(name) else {
            if schema["additionalProperties"] == json!(false) {
                return wrong(format!("/{name}"), format!("unknown field `{name}`"));
            }
            continue;
        };
        let found = type_of(value);
        match property["type"].as_str() {
            Some("number") if found == "integer" => {}
            Some(expected) if expected != found => {
                return wrong(format!("/{name}"), format!("invalid type: {found}, expected {expected}"));
            }
            _ => {}
        }
    }
    Ok(())
}
