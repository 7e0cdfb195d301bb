//! Node → [`Runbook`]: the typed procedure, nothing rendered yet.

mod types;

pub use types::{
    Concurrency, Defaults, OnConflict, OnCrash, Phase, Retry, Runbook, Spanned, StepDefinition,
    ValueDeclaration, ValueType,
};
