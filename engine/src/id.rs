//! Names that must not be mixed up: steps, runs, targets, stores, secrets.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $format:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(transparent, extend("format" = $format))]
        pub struct $name(pub String);

        impl $name {
            /// Gives the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

name!(
    /// One step of a plan: a kebab-case id, with `[key]` for an instance of a `for_each`.
    StepId,
    "step"
);
name!(
    /// One run: `20261122T153500Z-1f9c`, so that text order is time order.
    RunId,
    "run"
);
name!(
    /// A server to work on, as the environment names it. Checked while compiling by its schema format.
    TargetName,
    "target"
);
name!(
    /// A place for objects, as the environment names it. Checked while compiling by its schema format.
    StoreName,
    "store"
);
name!(
    /// A secret, as the environment names it. Checked while compiling by its schema format.
    SecretName,
    "secret"
);
