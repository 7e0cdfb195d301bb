//! The schema of a composite step kind.

use serde_json::{Value, json};

use super::runbook::runbook;
use crate::step::Registry;

/// Gives the schema of a composite step kind; `uses` and `with` know the kinds of the registry.
pub fn composite(registry: &Registry) -> Value {
    let mut schema = runbook(registry);
    schema["title"] = json!("StepKind");
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let runbooks_only = ["requires", "concurrency", "defaults", "on_failure", "finally"];
        properties.retain(|name, _| !runbooks_only.contains(&name.as_str()));
        let name = r"^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*$";
        properties.insert("kind".into(), json!({ "const": "StepKind" }));
        properties.insert(
            "name".into(),
            json!({ "type": "string", "pattern": name, "description": "What `uses:` names; also the file's name." }),
        );
        properties.insert(
            "outputs".into(),
            json!({
                "type": "object",
                "propertyNames": { "pattern": "^[a-z][a-z0-9_]*$" },
                "description": "What later steps see as `steps.ID.outputs`: templates over the steps here.",
            }),
        );
    }
    schema
}
