//! `mysql.inspect`: notes in the store what a server is: version, identity, accounts, variables.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rekindle_backup::layout::{BackupUri, MANIFEST, SERVER_FACTS};
use rekindle_backup::manifest::{Flavour, ServerFacts};
use rekindle_engine::host::{Body, Key, KeyError, ObjectStore, PutMode, StoreErrorKind};
use rekindle_engine::id::{StoreName, TargetName};
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Step, StepContext, StepError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::connection::{Server, quote_string};
use crate::error::ServerError;
use crate::preflight::{Look, look_at_target};

/// Far more than any list of accounts takes.
const LARGEST_FACTS_BYTES: usize = 16 * 1024 * 1024;

/// Global variables that a rebuilt server should have alike. Those that a server does not know are left out.
const VARIABLES: [&str; 24] = [
    "binlog_expire_logs_seconds",
    "binlog_format",
    "binlog_row_image",
    "character_set_server",
    "collation_server",
    "default_storage_engine",
    "default_time_zone",
    "enforce_gtid_consistency",
    "event_scheduler",
    "explicit_defaults_for_timestamp",
    "group_concat_max_len",
    "gtid_mode",
    "gtid_strict_mode",
    "innodb_buffer_pool_size",
    "innodb_default_row_format",
    "innodb_page_size",
    "innodb_strict_mode",
    "local_infile",
    "log_bin_trust_function_creators",
    "lower_case_table_names",
    "max_allowed_packet",
    "max_connections",
    "sql_mode",
    "time_zone",
];

/// Parameters of `mysql.inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectParams {
    /// The server.
    pub target: TargetName,
    /// Where the backup is made.
    pub store: StoreName,
    /// The backup's id; the run's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Outputs of `mysql.inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectOutputs {
    /// Its family.
    pub flavour: Flavour,
    /// `VERSION()`.
    pub version: String,
    /// `@@server_id`.
    pub server_id: u32,
    /// Whether binary logging is on.
    pub log_bin: bool,
    /// How many accounts it has.
    pub users: usize,
    /// The object's name in the backup: `server.json`.
    pub object: String,
    /// Its size.
    pub size_bytes: u64,
    /// sha256 of its bytes, lowercase hex.
    pub sha256: String,
}

impl InspectOutputs {
    fn of(facts: &ServerFacts, bytes: &[u8]) -> Self {
        Self {
            flavour: facts.flavour,
            version: facts.version.clone(),
            server_id: facts.server_id,
            log_bin: facts.log_bin,
            users: facts.users.len(),
            object: SERVER_FACTS.to_owned(),
            size_bytes: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(bytes)),
        }
    }
}

/// Asks a server what it is.
///
/// # Errors
/// When it refuses a query. Accounts that may not be listed are an error too: a backup that leaves them out in
/// silence would be taken for a server without accounts.
pub async fn read_facts(server: &mut Server) -> Result<ServerFacts, ServerError> {
    let version = server.version.clone();
    let session = &mut server.session;
    let what = "tell its identity";
    let (server_id, log_bin): (u32, u8) = session
        .row(what, "SELECT CAST(@@global.server_id AS UNSIGNED), CAST(@@global.log_bin AS UNSIGNED)")
        .await?;
    let (server_uuid, gtid_domain_id) = match version.flavour {
        Flavour::Mysql => (Some(session.row(what, "SELECT @@global.server_uuid").await?), None),
        Flavour::Mariadb => {
            let domain: u32 = session.row(what, "SELECT CAST(@@global.gtid_domain_id AS UNSIGNED)").await?;
            (None, Some(domain))
        }
    };
    let accounts: Vec<(String, String)> =
        session.rows("list its accounts", "SELECT User, Host FROM mysql.user ORDER BY User, Host").await?;
    let names = VARIABLES.map(quote_string).join(", ");
    let variables: Vec<(String, String)> = session
        .rows("tell its variables", &format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"))
        .await?;
    Ok(ServerFacts {
        flavour: version.flavour,
        version: version.text,
        version_comment: version.comment,
        server_id,
        server_uuid,
        gtid_domain_id,
        log_bin: log_bin != 0,
        users: accounts
            .iter()
            .map(|(user, host)| format!("{}@{}", quote_string(user), quote_string(host)))
            .collect(),
        variables: variables.into_iter().collect::<BTreeMap<_, _>>(),
    })
}

/// The step kind.
pub(crate) struct Inspect;

fn uri(params: &InspectParams, cx: &StepContext) -> BackupUri {
    BackupUri {
        store: params.store.clone(),
        cluster: cx.settings().cluster().to_owned(),
        id: params.id.clone().unwrap_or_else(|| cx.run().to_string()),
    }
}

fn wrong_id(error: &KeyError) -> StepError {
    StepError::permanent(error.to_string()).help("choose another `id` for the backup")
}

/// Reads the object back; `None` when there is none.
async fn read_back(store: &dyn ObjectStore, key: &Key) -> Result<Option<Vec<u8>>, StepError> {
    match store.get(key, None).await {
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
        Ok(body) => body.collect(LARGEST_FACTS_BYTES).await.map(Some).map_err(|error| {
            StepError::transient(format!("failed to read `{key}` in {}: {error}", store.url()))
        }),
    }
}

#[async_trait]
impl Step for Inspect {
    const KIND: &'static str = "mysql.inspect";
    const SUMMARY: &'static str =
        "Notes in a backup what a server is: version, identity, accounts, variables.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = InspectParams;
    type Outputs = InspectOutputs;

    fn plan(&self, params: &Planned<InspectParams>) -> Result<Intent, StepError> {
        Ok(Intent {
            summary: format!(
                "note what {} is as {SERVER_FACTS} in {}",
                params.show("/target"),
                params.show("/store")
            ),
            commands: vec![
                "SELECT User, Host FROM mysql.user".to_owned(),
                "SHOW GLOBAL VARIABLES".to_owned(),
            ],
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<InspectParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Look::Reached(mut server) = look_at_target(params, "/target", cx, &mut found).await
            && let Err(error) = read_facts(&mut server).await
        {
            found.problems.push(error.problem("/target"));
        }
        let Some(name) = params.value("/store").and_then(|name| name.as_str()) else { return found };
        found.problems.extend(cx.writable_and_readable_store(&name.into(), "/store").await.err());
        found
    }

    async fn probe(
        &self,
        params: &InspectParams,
        cx: &StepContext,
    ) -> Result<Probe<InspectOutputs>, StepError> {
        let store = cx.store(&params.store).await?;
        let key = uri(params, cx).key(SERVER_FACTS).map_err(|error| wrong_id(&error))?;
        let Some(bytes) = read_back(store.as_ref(), &key).await? else { return Ok(Probe::Absent) };
        Ok(match serde_json::from_slice::<ServerFacts>(&bytes) {
            Ok(facts) => Probe::Complete(InspectOutputs::of(&facts, &bytes)),
            // What is there is no facts: it is written anew.
            Err(_) => Probe::Absent,
        })
    }

    async fn run(&self, params: &InspectParams, cx: &StepContext) -> Result<InspectOutputs, StepError> {
        let uri = uri(params, cx);
        let store = cx.store(&params.store).await?;
        let manifest = uri.key(MANIFEST).map_err(|error| wrong_id(&error))?;
        if store.head(&manifest).await?.is_some() {
            return Err(StepError::permanent(format!("the backup {uri} is finished and is not changed"))
                .help("choose another `id`, or leave it out"));
        }
        let mut server = Server::open(cx, &params.target).await?;
        let facts = read_facts(&mut server).await?;
        server.session.close().await;
        let bytes = serde_json::to_vec_pretty(&facts)
            .map_err(|error| StepError::permanent(format!("the facts can't be written as JSON: {error}")))?;
        let key = uri.key(SERVER_FACTS).map_err(|error| wrong_id(&error))?;
        store.put(&key, Body::from_bytes(bytes.clone()), PutMode::Replace).await?;
        if read_back(store.as_ref(), &key).await?.as_ref() != Some(&bytes) {
            let text = format!("`{key}` in {} is not what was written to it", store.url());
            return Err(StepError::transient(text));
        }
        Ok(InspectOutputs::of(&facts, &bytes))
    }
}

#[cfg(test)]
mod tests {
    use rekindle_engine::environment::StoreConfig;
    use rekindle_engine::host::Secret;
    use rekindle_engine::testing;
    use serde_json::json;

    use super::*;
    use crate::connection::Login;
    use crate::testing::{on_both, planned, server_of, world_of};

    const RUN: &str = "backups/shop/20261122T150000Z-test";

    on_both!(facts_are_stored_once_and_found_again_but_never_into_a_finished_backup);
    async fn facts_are_stored_once_and_found_again_but_never_into_a_finished_backup(flavour: Flavour) {
        let server = server_of(flavour, "primary").await;
        let (world, mut settings) = world_of(&[("primary", server.login())]);
        settings.stores.insert("main".into(), StoreConfig::at("memory:main"));
        let test = testing::context(&world).settings(settings.clone()).build();
        let params: InspectParams =
            serde_json::from_value(json!({ "target": "primary", "store": "main" })).unwrap();
        assert_eq!(Inspect.probe(&params, &test.cx).await.unwrap(), Probe::Absent);

        let outputs = Inspect.run(&params, &test.cx).await.unwrap();

        assert_eq!(Inspect.probe(&params, &test.cx).await.unwrap(), Probe::Complete(outputs.clone()));
        let store = world.stores.store("memory:main");
        assert_eq!(store.keys(), [format!("{RUN}/server.json")]);
        let bytes = store.object(&Key::new(format!("{RUN}/server.json")).unwrap()).unwrap();
        let facts: ServerFacts = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((facts.flavour, facts.log_bin), (flavour, true));
        assert_eq!(facts.server_id, u32::from(server.login().port));
        let is_mysql = flavour == Flavour::Mysql;
        assert_eq!(facts.gtid_domain_id, (!is_mysql).then_some(0));
        assert_eq!(facts.server_uuid.is_some(), is_mysql);
        assert!(facts.users.contains(&"'root'@'127.0.0.1'".to_owned()), "{:?}", facts.users);
        assert!(facts.variables.contains_key("sql_mode"));
        assert_eq!(outputs.size_bytes, bytes.len() as u64);

        store.insert(&Key::new(format!("{RUN}/manifest.json")).unwrap(), "{}");
        let error = Inspect.run(&params, &test.cx).await.unwrap_err();
        insta::assert_snapshot!(error, @"the backup backup://main/shop/20261122T150000Z-test is finished and is not changed");

        store.limit_bytes(Some(0));
        let wrong = Login { password: Some(Secret::new("wrong")), ..server.login().clone() };
        settings.stores.insert("gone".into(), StoreConfig::at("memory:gone"));
        world.stores.refuse("memory:gone", StoreErrorKind::Denied);
        let (other_world, other_settings) = world_of(&[("primary", &wrong)]);
        settings.targets = other_settings.targets;
        settings.secrets = other_settings.secrets;
        let mut both = other_world.clone();
        both.world.stores = world.world.stores.clone();
        let cx = testing::context(&both).settings(settings).preflight([]);
        let found = Inspect.preflight(&planned(&json!({ "target": "primary", "store": "gone" })), &cx).await;
        let codes: Vec<_> = found.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["rekindle::target::access_denied", "rekindle::store::unusable"]);
    }
}
