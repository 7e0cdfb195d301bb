//! What plan-phase steps found before and what they find now → what differs.

use serde_json::Value;

use crate::plan::{PinnedStep, StepChange, diff_pinned};
use crate::step::Registry;

/// The mark of outputs that change with every look, in the schema of a kind's outputs: an age, say.
const VOLATILE: &str = "x-volatile";

/// Compares what steps found while a plan was made with what they find now. Outputs that change with time alone
/// don't count; their kinds mark them in their schema with `"x-volatile": true`.
pub fn found_otherwise(before: &[PinnedStep], now: &[PinnedStep], registry: &Registry) -> Vec<StepChange> {
    let steady = |steps: &[PinnedStep]| -> Vec<PinnedStep> {
        steps.iter().map(|step| without_volatile(step.clone(), registry)).collect()
    };
    diff_pinned(&steady(before), &steady(now))
}

fn without_volatile(mut step: PinnedStep, registry: &Registry) -> PinnedStep {
    let kind = registry.get(&step.kind);
    let properties = kind.and_then(|kind| kind.info().outputs.get("properties")?.as_object());
    let volatile = |schema: &Value| schema.get(VOLATILE).and_then(Value::as_bool).unwrap_or(false);
    if let (Some(properties), Value::Object(outputs)) = (properties, &mut step.outputs) {
        outputs.retain(|name, _| !properties.get(name).is_some_and(volatile));
    }
    step
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::found_otherwise;
    use crate::plan::{PinnedStep, StepChange};
    use crate::step::{Effect, Intent, Planned, Registry, Step, StepContext, StepError};

    struct Find;

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Outputs {
        uri: String,
        #[schemars(extend("x-volatile" = true))]
        age_seconds: u64,
    }

    #[async_trait]
    impl Step for Find {
        const KIND: &'static str = "test.find";
        const SUMMARY: &'static str = "Finds it.";
        const EFFECT: Effect = Effect::Read;
        type Params = Value;
        type Outputs = Outputs;

        fn plan(&self, _: &Planned<Value>) -> Result<Intent, StepError> {
            Ok(Intent::default())
        }

        async fn run(&self, _: &Value, _: &StepContext) -> Result<Outputs, StepError> {
            Err(StepError::permanent("not for running"))
        }
    }

    fn found(uri: &str, age_seconds: u64, second: i64) -> Vec<PinnedStep> {
        vec![PinnedStep {
            id: "find".into(),
            kind: Find::KIND.to_owned(),
            outputs: json!({ "uri": uri, "age_seconds": age_seconds }),
            at: jiff::Timestamp::from_second(second).unwrap(),
            intent: Intent::default(),
        }]
    }

    #[test]
    fn only_what_does_not_change_with_time_is_compared() {
        let mut registry = Registry::default();
        registry.register(Find);
        let compare = |now: &[PinnedStep]| found_otherwise(&found("a", 1, 1), now, &registry);
        assert_eq!(compare(&found("a", 60, 60)), []);
        let [StepChange::Changed { fields, .. }] = &compare(&found("b", 60, 60))[..] else { panic!() };
        let fields: Vec<_> = fields.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["outputs.uri"]);
        assert!(matches!(compare(&[])[..], [StepChange::Removed(_)]));
    }
}
