//! The messages between rekindle and a plugin: one JSON object a line, in both directions (docs/plugins.md).
//!
//! `schemas/plugin.schema.json` is generated from these types.

mod from_plugin;
mod to_plugin;

use schemars::JsonSchema;

pub use self::from_plugin::{
    Answer, Description, Example, FromPlugin, PlanAnswer, PlanProblem, PluginError, PluginHello, ProbeAnswer,
};
pub use self::to_plugin::{PlanRequest, SecretText, Task, ToPlugin};

/// The protocol's version; a plugin that says a newer one is refused.
pub const PROTOCOL: u32 = 1;

/// Any message of the protocol. Only for its schema.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum PluginMessage {
    /// Written by the plugin to its standard output.
    FromPlugin(FromPlugin),
    /// Read by the plugin from its standard input.
    ToPlugin(ToPlugin),
}
