//! Parameters while planning: some may not be known yet.

use std::collections::BTreeMap;

use serde_json::Value;

/// The parameters of a step as far as they are known when the plan is made.
#[derive(Debug, Clone)]
pub struct Planned<P> {
    known: Option<P>,
    rendered: Value,
    unknown: BTreeMap<String, String>,
}

impl<P> Planned<P> {
    /// Makes parameters that are all known.
    pub fn known(params: P, rendered: Value) -> Self {
        Self { known: Some(params), rendered, unknown: BTreeMap::new() }
    }

    /// Makes parameters of which some are unknown. `rendered` holds display texts such as
    /// `s3://(known after find)/y` in their places; `unknown` maps their JSON pointers (RFC 6901) to that text.
    pub fn partly_known(rendered: Value, unknown: BTreeMap<String, String>) -> Self {
        Self { known: None, rendered, unknown }
    }

    /// Gives the typed parameters when every one of them is known.
    pub fn get(&self) -> Option<&P> {
        self.known.as_ref()
    }

    /// Gives the value at a JSON pointer (`/target`) when that value and all inside it are known.
    pub fn value(&self, pointer: &str) -> Option<&Value> {
        let inside = |unknown: &String| {
            unknown == pointer || unknown.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'))
        };
        if self.unknown.keys().any(inside) { None } else { self.rendered.pointer(pointer) }
    }

    /// Gives the text at a JSON pointer for people: the value, or `(known after STEP)`; empty when absent.
    pub fn show(&self, pointer: &str) -> String {
        match self.rendered.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// Gives everything as it is shown.
    pub fn rendered(&self) -> &Value {
        &self.rendered
    }
}
