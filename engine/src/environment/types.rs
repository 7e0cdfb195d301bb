//! The parts of an environment.

use std::time::Duration;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Lifecycle;
use crate::document::{Node, Source};
use crate::id::{SecretName, StoreName, TargetName};
use crate::runbook::patch::Patch;
use crate::step::Effect;
use crate::values::DurationText;

/// An environment as read: its settings, and its values still as nodes, so that provenance is kept.
#[derive(Debug, Clone)]
pub struct Environment {
    /// What plans and journals keep of it.
    pub settings: Settings,
    /// The `values:` of every layer that has some, each a map node; what it extends first.
    pub values: Vec<Node>,
    /// `patches:`, by the name of the runbook.
    pub patches: IndexMap<String, Vec<Patch>>,
    /// Where `targets.NAME`, `stores.NAME` and `secrets.NAME` stand, by that path.
    pub locations: IndexMap<String, crate::document::Location>,
    /// Every file it was read from: what it extends first, its own last.
    pub sources: Vec<EnvironmentSource>,
    /// The documents themselves, in the same order: they tell which of them said what.
    pub layers: Vec<Node>,
}

/// A file that an environment was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentSource {
    /// Its path, as diagnostics show it.
    pub name: String,
    /// sha256 (hex) of its text.
    pub sha256: String,
}

impl EnvironmentSource {
    /// Notes which text was read.
    pub fn of(source: &Source) -> Self {
        Self { name: source.name.clone(), sha256: hex::encode(Sha256::digest(source.text.as_bytes())) }
    }
}

/// The typed part of an environment. Stored inside plans: secrets are references, never values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its name; also the cluster's name in backup paths unless `cluster` says otherwise.
    pub name: String,
    /// The cluster's name in backup paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Servers.
    #[serde(default)]
    pub targets: IndexMap<TargetName, Target>,
    /// Places for objects.
    #[serde(default)]
    pub stores: IndexMap<StoreName, StoreConfig>,
    /// Where each secret comes from.
    #[serde(default)]
    pub secrets: IndexMap<SecretName, SecretSource>,
    /// Where runs keep plans, journals and locks, when it is not the state directory of one machine alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalConfig>,
    /// How fast it must be back, and how much may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Objectives>,
    /// What must be agreed to before it is done.
    #[serde(default, skip_serializing_if = "Policy::asks_nothing")]
    pub policy: Policy,
    /// When which runbook is to run.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub schedules: IndexMap<String, Schedule>,
}

impl Settings {
    /// Gives the cluster's name in backup paths.
    pub fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or(&self.name)
    }
}

/// A server and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The account rekindle uses.
    pub user: String,
    /// Its password; none when the account has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// TLS on the way to it, for rekindle's own sessions and for the client programs it starts; not used when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TargetTls>,
    /// The server's own files, when they are on this machine: what physical backups and restores work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalServer>,
}

/// How sessions with a server are encrypted. A server that has no TLS is then refused, never spoken to in the open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetTls {
    /// The certificates of the authorities that are trusted: a file in PEM, an absolute path.
    #[schemars(regex(pattern = "^/"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Whether the server's certificate must be of one of `ca` and name the host it is reached by. `false` encrypts
    /// without a proof of who answers.
    #[serde(default = "yes")]
    pub verify: bool,
    /// The account's own certificate, for `REQUIRE X509`: a file in PEM, an absolute path.
    #[schemars(regex(pattern = "^/"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The key of `certificate`: a file in PEM, an absolute path.
    #[schemars(regex(pattern = "^/"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

fn yes() -> bool {
    true
}

/// A server on this machine: where its files lie, and how it is stopped and started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalServer {
    /// Its data directory, an absolute path. Restored files get the owner of this directory.
    #[schemars(regex(pattern = "^/"))]
    pub data_dir: String,
    /// The command that stops it and returns when it has ended; no error when it does not run.
    #[schemars(length(min = 1))]
    pub stop: Vec<String>,
    /// The command that starts it and returns; no error when it runs already.
    #[schemars(length(min = 1))]
    pub start: Vec<String>,
}

fn default_port() -> u16 {
    3306
}

/// A reference to a secret by name: `{ secret: root }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// Which.
    pub secret: SecretName,
}

/// A place for objects, by URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `file:///var/backups`, `file:relative/to/the/working/directory`, `s3://bucket/prefix` or `gs://bucket/prefix`.
    pub url: String,
    /// S3: the bucket's region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// S3 and Google: the service's URL, when it is not the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// S3: whether the bucket stands in the path instead of the host name, as many other servers want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// S3: the profile of the AWS configuration files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// S3: `AES256` or `aws:kms`; the bucket's own rule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_side_encryption: Option<String>,
    /// The key of the provider's key service that encrypts what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The class that objects are written in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// Agrees to pay for requests to somebody else's bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester_pays: Option<bool>,
    /// Google: the project that pays for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_project: Option<String>,
    /// Google: whether requests go without credentials, as servers for tests want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<bool>,
    /// Google: the project that `store.ensure-bucket` makes the bucket in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Google: where it makes the bucket, as in `asia-northeast3`; the provider's own choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What becomes of its objects as they grow old; `store.lifecycle` hands it to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// Encrypts every object before it leaves this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt: Option<Encrypt>,
}

/// Encryption of a store's objects by age (<https://age-encryption.org/v1>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encrypt {
    /// The public keys, `age1…`: whoever has the secret key of one of them can read what is written.
    #[schemars(length(min = 1, max = 32))]
    pub recipients: Vec<String>,
    /// The secret that holds an identity file of age; without it the store can be written, but not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<SecretRef>,
}

impl StoreConfig {
    /// Names a store by its URL alone.
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }
}

/// Where runs keep plans, journals and locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    /// The store: one that outlives the machine that runs runbooks, and the disaster.
    pub store: StoreName,
}

/// Where a secret's value comes from: exactly one of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSource {
    /// An environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A file, less one trailing newline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A command's standard output, less one trailing newline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
}

/// What was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// Recovery time objective: how long until the service is back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto: Option<DurationText>,
    /// Recovery point objective: how much time's data may be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<DurationText>,
    /// How far back the service can be brought within the RTO; as far as anything is kept, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_window: Option<DurationText>,
}

/// What must be agreed to before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Steps with one of these effects wait for approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approve: Vec<Effect>,
    /// How many people must approve each of them; each counts once.
    #[serde(default = "one")]
    pub approvals: u32,
    /// How long an approval is waited for; then it counts as rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_timeout: Option<DurationText>,
    /// Whether only plans that were saved before can be run.
    #[serde(default)]
    pub saved_plan: SavedPlan,
    /// How old what was found while planning may be when a saved plan is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_plan_max_age: Option<DurationText>,
}

fn one() -> u32 {
    1
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            approve: Vec::new(),
            approvals: one(),
            approval_timeout: None,
            saved_plan: SavedPlan::Optional,
            saved_plan_max_age: None,
        }
    }
}

impl Policy {
    /// How old what was found while planning may be when nothing is said: long enough to look at a plan and agree
    /// to it, too short to forget it.
    const MAX_AGE: Duration = Duration::from_hours(1);

    /// Gives how old what was found while planning may be when a saved plan is run.
    pub fn max_age(&self) -> Duration {
        self.saved_plan_max_age.map_or(Self::MAX_AGE, |age| age.0)
    }

    fn asks_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// When a runbook is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The runbook's name.
    pub runbook: String,
    /// Five fields, as cron(5) reads them: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// The time zone of `cron`, by its name in the IANA database.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Each start is put off by a random time up to this, so that clusters do not start all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<DurationText>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Whether only plans that were saved before can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SavedPlan {
    /// A runbook can be run as well.
    #[default]
    Optional,
    /// `run` takes only a file that `plan -o` wrote.
    Required,
}
