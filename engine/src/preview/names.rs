//! Which targets, stores and secrets a step uses, told by the formats in its kind's schema.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::environment::Settings;
use crate::id::{SecretName, StoreName, TargetName};

/// What a text in a parameter names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameFormat {
    /// A target.
    Target,
    /// A store.
    Store,
    /// A secret.
    Secret,
}

/// A name of something in the environment, found in parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameUsed {
    /// Of what.
    pub format: NameFormat,
    /// JSON pointer (RFC 6901) of the parameter.
    pub pointer: String,
    /// The name.
    pub name: String,
}

/// Finds what parameters name, by the `format` of their schema: `target`, `store`, `secret`. Parameters at the
/// pointers of `unknown` are passed over.
pub fn names_used(schema: &Value, rendered: &Value, unknown: &BTreeMap<String, String>) -> Vec<NameUsed> {
    let mut walk = Walk { unknown, names: Vec::new() };
    walk.value(schema, rendered, "");
    walk.names
}

/// Finds the secrets a step needs, each with the JSON pointer of the parameter that needs it: named by the
/// parameters themselves, or by a target or an encrypted store they name. Parameters that are not known yet are passed over.
pub(super) fn secrets_used(
    schema: &Value,
    rendered: &Value,
    unknown: &BTreeMap<String, String>,
    settings: &Settings,
) -> BTreeMap<SecretName, String> {
    let mut secrets = BTreeMap::new();
    for NameUsed { format, pointer, name } in names_used(schema, rendered, unknown) {
        let secret = match format {
            NameFormat::Secret => Some(SecretName(name)),
            NameFormat::Target => {
                let target = settings.targets.get(&TargetName(name));
                target.and_then(|target| target.password.as_ref()).map(|password| password.secret.clone())
            }
            NameFormat::Store => {
                let store = settings.stores.get(&StoreName(name));
                let encrypt = store.and_then(|store| store.encrypt.as_ref());
                encrypt.and_then(|encrypt| encrypt.identity.as_ref()).map(|identity| identity.secret.clone())
            }
        };
        if let Some(secret) = secret {
            secrets.entry(secret).or_insert(pointer);
        }
    }
    secrets
}

struct Walk<'a> {
    unknown: &'a BTreeMap<String, String>,
    names: Vec<NameUsed>,
}

impl Walk<'_> {
    fn value(&mut self, schema: &Value, value: &Value, pointer: &str) {
        if self.unknown.contains_key(pointer) {
            return;
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            for part in schema[word].as_array().into_iter().flatten() {
                self.value(part, value, pointer);
            }
        }
        match value {
            Value::String(name) => {
                let format = match schema["format"].as_str() {
                    Some("target") => NameFormat::Target,
                    Some("store") => NameFormat::Store,
                    Some("secret") => NameFormat::Secret,
                    _ => return,
                };
                self.names.push(NameUsed { format, pointer: pointer.to_owned(), name: name.clone() });
            }
            Value::Array(items) => {
                for (position, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &format!("{pointer}/{position}"));
                }
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    let named = &schema["properties"][key.as_str()];
                    let schema = if named.is_null() { &schema["additionalProperties"] } else { named };
                    let part = key.replace('~', "~0").replace('/', "~1");
                    self.value(schema, value, &format!("{pointer}/{part}"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use schemars::generate::SchemaSettings;
    use serde_json::json;

    use super::secrets_used;
    use crate::environment::{Encrypt, SecretRef, Settings, StoreConfig, Target};
    use crate::id::{StoreName, TargetName};

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Params {
        target: TargetName,
        replicas: Vec<TargetName>,
        source: Option<TargetName>,
        account: Option<SecretRef>,
        store: StoreName,
        note: String,
    }

    fn target(secret: &str) -> Target {
        let mut target: Target = serde_json::from_value(json!({ "host": "h", "user": "u" })).unwrap();
        target.password = Some(SecretRef { secret: secret.into() });
        target
    }

    #[test]
    fn secrets_are_found_behind_targets_stores_lists_and_options() {
        let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = generator.into_generator().into_root_schema_for::<Params>();
        let targets = [("a", target("root-a")), ("b", target("root-b")), ("c", target("root-c"))];
        let targets = targets.into_iter().map(|(name, target)| (name.into(), target)).collect();
        let identity = Some(SecretRef { secret: "age".into() });
        let encrypt = Some(Encrypt { recipients: Vec::new(), identity });
        let store = StoreConfig { encrypt, ..StoreConfig::at("memory:a") };
        let stores = [("primary".into(), store)].into_iter().collect();
        let settings = Settings { targets, stores, ..Settings::default() };
        let rendered = json!({
            "target": "(known after find)", "replicas": ["a", "b"], "source": "a",
            "account": { "secret": "replication" }, "store": "primary", "note": "c",
        });
        let unknown = [("/target".to_owned(), String::new())].into_iter().collect();
        let found = secrets_used(schema.as_value(), &rendered, &unknown, &settings);
        let found: Vec<_> = found.iter().map(|(name, pointer)| format!("{name} {pointer}")).collect();
        assert_eq!(
            found,
            ["age /store", "replication /account/secret", "root-a /replicas/0", "root-b /replicas/1"]
        );
    }
}
