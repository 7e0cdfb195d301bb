//! The plugin's own examples, run: plan, probe, run, probe again, and a run that is cancelled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use rekindle_engine::id::StepId;
use rekindle_engine::step::Effect;
use serde_json::Value;

use super::calls::Caller;
use super::{Conformance, Verdict, broken};
use crate::call::CallError;
use crate::protocol::{Answer, PlanRequest, ProbeAnswer, ToPlugin};

/// How many examples are run.
const EXAMPLES: usize = 16;

pub(super) async fn run(caller: &mut Caller<'_>, found: &mut Conformance) {
    let examples: Vec<Value> =
        caller.described.examples.iter().take(EXAMPLES).map(|example| example.params.clone()).collect();
    if examples.is_empty() {
        found.add("examples", Verdict::Broken("it describes no example: nothing could be run".to_owned()));
        return;
    }
    for (position, params) in examples.iter().enumerate() {
        let folder = match Folder::make() {
            Ok(folder) => folder,
            Err(error) => {
                found.add("examples", Verdict::Broken(format!("failed to make a folder: {error}")));
                return;
            }
        };
        let params = placed(params, &folder.inner);
        let rule = |name: &str| format!("example {}: {name}", position + 1);
        if let Err(error) = caller.described.params.check(&params) {
            let why = format!("its parameters do not fit `params`: {} {}", error.pointer, error.message);
            found.add(rule("parameters"), Verdict::Broken(why.replace(":  ", ": ")));
            continue;
        }
        found.add(rule("parameters"), Verdict::Kept);
        if caller.described.hello.can("plan") {
            found.add(rule("plan"), plan(caller, &params).await);
        }
        if caller.described.hello.can("probe") {
            found.add(rule("probe before"), probe(caller, &params, After::Nothing).await);
        }
        let (verdict, outputs) = work(caller, &params).await;
        found.add(rule("run"), verdict);
        if caller.described.hello.can("probe") && outputs.is_some() {
            found.add(rule("probe after"), probe(caller, &params, After::Run(outputs)).await);
        }
    }
    found.add("cancel", cancel(caller, &examples[0]).await);
}

/// An empty folder inside of one that is removed: examples may also write beside it, as in `{dir}.txt`.
struct Folder {
    inner: PathBuf,
    _outer: tempfile::TempDir,
}

impl Folder {
    fn make() -> std::io::Result<Self> {
        let outer = tempfile::Builder::new().prefix("rekindle-plugin-test-").tempdir()?;
        let inner = outer.path().join("dir");
        std::fs::create_dir(&inner)?;
        Ok(Self { inner, _outer: outer })
    }
}

/// Puts a folder in the place of `{dir}`.
fn placed(params: &Value, folder: &Path) -> Value {
    match params {
        Value::String(text) => Value::String(text.replace("{dir}", &folder.to_string_lossy())),
        Value::Array(items) => items.iter().map(|item| placed(item, folder)).collect(),
        Value::Object(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), placed(value, folder))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => params.clone(),
    }
}

async fn plan(caller: &mut Caller<'_>, params: &Value) -> Verdict {
    let request = ToPlugin::Plan(Box::new(PlanRequest {
        step: StepId::from("test"),
        params: params.clone(),
        unknown: BTreeMap::new(),
        targets: IndexMap::new(),
        stores: IndexMap::new(),
        provided: BTreeSet::new(),
    }));
    match caller.ask(&request).await {
        Ok(Answer { plan: Some(plan), .. }) => match plan.problems.first() {
            None => Verdict::Kept,
            Some(problem) => Verdict::Broken(format!("it would not work: {}", problem.message)),
        },
        other => unexpected(other, "plan"),
    }
}

/// What came before a probe.
enum After {
    Nothing,
    Run(Option<Value>),
}

async fn probe(caller: &mut Caller<'_>, params: &Value, after: After) -> Verdict {
    let task = caller.task(params);
    let found = match caller.ask(&ToPlugin::Probe(Box::new(task))).await {
        Ok(Answer { probe: Some(found), .. }) => found,
        other => return unexpected(other, "probe"),
    };
    let reads = caller.described.effect == Some(Effect::Read);
    match (after, found) {
        (After::Nothing, ProbeAnswer::Complete { .. }) if !reads => {
            Verdict::Broken("it finds its effect before it was run".to_owned())
        }
        (After::Run(ran), ProbeAnswer::Complete { outputs })
            if ran != Some(Value::Object(outputs.clone())) =>
        {
            Verdict::Broken("its outputs are not those of the run".to_owned())
        }
        (
            After::Run(_),
            ProbeAnswer::Absent {} | ProbeAnswer::Partial { .. } | ProbeAnswer::Unknown { .. },
        ) if !reads => {
            Verdict::Broken("it does not find the effect of the run that has just succeeded".to_owned())
        }
        (_, ProbeAnswer::Complete { outputs }) => {
            match caller.described.outputs.check(&Value::Object(outputs)) {
                Ok(()) => Verdict::Kept,
                Err(error) => misfit(&error.pointer, &error.message),
            }
        }
        _ => Verdict::Kept,
    }
}

async fn work(caller: &mut Caller<'_>, params: &Value) -> (Verdict, Option<Value>) {
    let task = caller.task(params);
    match caller.ask(&ToPlugin::Run(Box::new(task))).await {
        Ok(Answer { outputs: Some(outputs), .. }) => {
            let outputs = Value::Object(outputs);
            match caller.described.outputs.check(&outputs) {
                Ok(()) => (Verdict::Kept, Some(outputs)),
                Err(error) => (misfit(&error.pointer, &error.message), None),
            }
        }
        other => (unexpected(other, "outputs"), None),
    }
}

async fn cancel(caller: &mut Caller<'_>, params: &Value) -> Verdict {
    if !caller.described.hello.can("cancel") {
        return Verdict::Skipped("it has no feature `cancel`: it is ended by signals".to_owned());
    }
    let Ok(folder) = Folder::make() else {
        return Verdict::Skipped("no folder could be made".to_owned());
    };
    let task = caller.task(&placed(params, &folder.inner));
    match caller.ask_and_cancel(&ToPlugin::Run(Box::new(task))).await {
        // Outputs: it was faster.
        Ok(Answer { error: Some(_), .. } | Answer { outputs: Some(_), .. }) => Verdict::Kept,
        other => unexpected(other, "error"),
    }
}

fn unexpected(answer: Result<Answer, CallError>, expected: &str) -> Verdict {
    match answer {
        Err(error) => broken(&error),
        Ok(Answer { error: Some(error), .. }) => {
            Verdict::Broken(format!("it gave an error: {}", error.message))
        }
        Ok(answer) => {
            Verdict::Broken(format!("it answered with `{}`, not `{expected}`", answer.given().join(", ")))
        }
    }
}

fn misfit(pointer: &str, message: &str) -> Verdict {
    Verdict::Broken(format!("its outputs do not fit `outputs`: {message} {pointer}").trim_end().to_owned())
}
