//! One deployment: values, targets, stores, secrets. What a runbook is run against.

#[cfg(test)]
mod bucket_tests;
mod buckets;
mod concealed;
mod encrypt;
#[cfg(test)]
mod encrypt_tests;
mod journal;
#[cfg(test)]
mod layers_tests;
mod lifecycle;
#[cfg(test)]
mod lifecycle_tests;
mod load;
#[cfg(test)]
mod local_tests;
mod policy;
mod read;
mod schedules;
mod secrets;
mod stores;
mod targets;
#[cfg(test)]
mod tests;
mod types;

use crate::document::Codes;

pub use lifecycle::{Lifecycle, Mistake, MistakeAt, Provider, Transition};
pub use load::{NotFound, load, parse};
pub use read::read;
pub use types::{
    Encrypt, Environment, EnvironmentSource, JournalConfig, LocalServer, Objectives, Policy, SavedPlan,
    Schedule, SecretRef, SecretSource, Settings, StoreConfig, Target, TargetTls,
};

/// The codes of mistakes in environments.
const CODES: Codes = Codes {
    wrong_type: "rekindle::environment::wrong_type",
    wrong_value: "rekindle::environment::wrong_value",
    unknown_field: "rekindle::environment::unknown_field",
    missing_field: "rekindle::environment::missing_field",
    template: "rekindle::environment::template_not_allowed",
};

/// The code of what this version does not do yet: never ignored, since a plan without it would be another one.
const NOT_SUPPORTED: &str = "rekindle::environment::not_supported";
