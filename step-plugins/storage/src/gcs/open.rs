//! A store's configuration in, clients for its bucket out.

use google_cloud_auth::credentials::{Builder, Credentials, anonymous};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::client::{Storage, StorageControl};
use google_cloud_storage::read_resume_policy::NeverResume;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::StoreErrorKind;

use super::{GcsStore, proxy};
use crate::bucket::errors::chain;
use crate::bucket::patience::Patience;
use crate::bucket::split;
use crate::failure::Failure;

/// Opens `gs://BUCKET/PREFIX`. Credentials come from the default chain: `GOOGLE_APPLICATION_CREDENTIALS`, those of
/// `gcloud auth application-default login`, the metadata server. Nothing is asked of the store yet.
pub(crate) async fn open(config: &StoreConfig) -> Result<GcsStore, Failure> {
    open_with(config, Patience::default()).await
}

/// As [`open`], with the patience chosen by the caller.
pub(super) async fn open_with(config: &StoreConfig, patience: Patience) -> Result<GcsStore, Failure> {
    // The clients want the process to choose its cryptography. An error says that this was done before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let place = split(&config.url, "gs")?;
    if config.endpoint.is_none() {
        proxy::refuse(|name| std::env::var(name).ok())?;
    }
    let credentials = credentials(config)?;
    // The clients neither try again nor go on by themselves: `retry` does, the same way for both of them, bounded,
    // seen, and as the server asks. Contents are sent as they are in one request each: the client's own buffering
    // can corrupt them (googleapis/google-cloud-rust, issues 6683 to 6685).
    let mut contents = Storage::builder()
        .with_credentials(credentials.clone())
        .with_retry_policy(NeverRetry)
        .with_read_resume_policy(NeverResume)
        .with_resumable_upload_threshold(usize::MAX);
    let mut control = StorageControl::builder().with_credentials(credentials).with_retry_policy(NeverRetry);
    if let Some(endpoint) = &config.endpoint {
        contents = contents.with_endpoint(endpoint);
        control = control.with_endpoint(endpoint);
    }
    let clients = (
        contents.build().await.map_err(|error| unbuilt(&error))?,
        control.build().await.map_err(|error| unbuilt(&error))?,
    );
    Ok(GcsStore::new(clients, place, config, patience))
}

fn credentials(config: &StoreConfig) -> Result<Credentials, Failure> {
    if config.anonymous.unwrap_or_default() {
        return Ok(anonymous::Builder::new().build());
    }
    Builder::default().build().map_err(|error| {
        let why = format!("{}; {}", chain(&error), super::errors::LOG_IN);
        Failure::new(StoreErrorKind::Denied, why)
    })
}

/// Words why no client could be made: as a rule the endpoint or the certificates.
fn unbuilt(error: &google_cloud_gax::client_builder::Error) -> Failure {
    Failure::invalid(chain(error))
}
