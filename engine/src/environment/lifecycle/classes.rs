//! The classes that objects can be moved to, and what each of them demands.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose rules they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Amazon S3, and servers that speak its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
}

/// A class of storage.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    /// The youngest age, in days, at which objects can be moved there.
    pub(super) least_age_days: u64,
    /// How many days objects stay there before they can be moved on.
    pub(super) least_stay_days: u64,
    /// How long it takes until an object can be read; nothing when it is read at once.
    pub(super) retrieval: Duration,
}

const fn at_once(name: &'static str) -> Class {
    Class { name, least_age_days: 0, least_stay_days: 1, retrieval: Duration::ZERO }
}

/// Amazon S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle": objects must be 30 days old for the two
/// `_IA` classes, and stay 30 days in them. "Understanding archive retrieval options": the longest time of a
/// standard retrieval. The warmest first: nothing is ever moved back.
const S3: [Class; 6] = [
    infrequent("STANDARD_IA"),
    at_once("INTELLIGENT_TIERING"),
    infrequent("ONEZONE_IA"),
    at_once("GLACIER_IR"),
    archive("GLACIER", 5),
    archive("DEEP_ARCHIVE", 12),
];

/// Google Cloud Storage documentation, "Storage classes": every one of them is read within milliseconds.
const GCS: [Class; 3] = [at_once("NEARLINE"), at_once("COLDLINE"), at_once("ARCHIVE")];

const fn infrequent(name: &'static str) -> Class {
    Class { name, least_age_days: 30, least_stay_days: 30, retrieval: Duration::ZERO }
}

const fn archive(name: &'static str, hours: u64) -> Class {
    Class { name, least_age_days: 0, least_stay_days: 1, retrieval: Duration::from_secs(hours * 3600) }
}

impl Provider {
    /// Gives the classes, the warmest first.
    pub(super) fn classes(self) -> &'static [Class] {
        match self {
            Self::S3 => &S3,
            Self::Gcs => &GCS,
        }
    }

    /// Finds a class with its place among the others.
    pub(super) fn class(self, name: &str) -> Option<(usize, &'static Class)> {
        self.classes().iter().enumerate().find(|(_, class)| class.name == name)
    }

    /// Gives how long it takes until an object of a class can be read; nothing when it is read at once.
    pub fn retrieval(self, class: &str) -> Duration {
        self.class(class).map_or(Duration::ZERO, |(_, class)| class.retrieval)
    }

    pub(super) fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "gs" => Some(Self::Gcs),
            _ => None,
        }
    }
}
