//! JSON Schema (draft 2020-12) of the documents a user writes and of what is written down, for editors and
//! independent validators.
//!
//! Receives types and a registry, yields schemas. What is written by hand here is held against the readers by
//! tests: every field a reader knows stands in its schema, and no other.

mod composite;
mod environment;
mod runbook;
mod steps;
#[cfg(test)]
mod tests;

use schemars::generate::SchemaSettings;
use serde_json::Value;

pub use composite::composite;
pub use environment::environment;
pub use runbook::runbook;
pub use steps::steps;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Gives the schema of a type with everything inlined.
pub fn schema_of<T: schemars::JsonSchema>() -> Value {
    let generator =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut()
        && !object.contains_key("properties")
    {
        object.remove("$schema");
    }
    schema
}
