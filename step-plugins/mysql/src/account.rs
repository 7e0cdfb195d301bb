//! An account as a runbook names it: `{ user: replication, password: { secret: replication } }`.

use rekindle_engine::environment::SecretRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account on a server and where its password comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: SecretRef,
}
