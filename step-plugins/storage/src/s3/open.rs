//! A store's configuration in, a client for its bucket out.

use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::types::StorageClass;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use rekindle_engine::diagnostic::nearest;
use rekindle_engine::environment::StoreConfig;
use rekindle_engine::host::StoreErrorKind;

use super::S3Store;
use super::retry::{RetryAfter, Visible};
use crate::bucket::patience::Patience;
use crate::bucket::split;
use crate::failure::Failure;

/// Opens `s3://BUCKET/PREFIX`. Credentials are those of the profile that the store names, else they come from
/// the SDK's own chain: environment, profile, web identity, container, instance. Nothing is asked of the store yet.
pub(crate) async fn open(config: &StoreConfig) -> Result<S3Store, Failure> {
    open_with(config, aws_config::defaults(BehaviorVersion::latest()), Patience::default()).await
}

/// As [`open`], with the SDK's own sources chosen by the caller.
pub(super) async fn open_with(
    config: &StoreConfig,
    loader: ConfigLoader,
    patience: Patience,
) -> Result<S3Store, Failure> {
    let (bucket, prefix) = split(&config.url, "s3")?;
    check_class(config)?;
    let times = TimeoutConfig::builder().connect_timeout(patience.connect).read_timeout(patience.answer);
    let retries = RetryConfig::standard()
        .with_max_attempts(patience.attempts)
        .with_initial_backoff(patience.first_wait);
    let stall = StalledStreamProtectionConfig::enabled().grace_period(patience.stall).build();
    let mut loader = loader
        .retry_config(retries)
        .timeout_config(times.build())
        .stalled_stream_protection(stall)
        .http_client(through_proxies());
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &config.profile {
        let region = match &config.region {
            Some(region) => Some(Region::new(region.clone())),
            None => DefaultRegionChain::builder().profile_name(profile).build().region().await,
        };
        loader = loader.profile_name(profile).credentials_provider(of_profile(profile, region));
    }
    let shared = loader.load().await;
    let mut settings = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(config.path_style.unwrap_or_default())
        .retry_classifier(RetryAfter)
        .interceptor(Visible { url: config.url.clone() });
    if let Some(endpoint) = &config.endpoint {
        settings = settings.endpoint_url(endpoint);
    }
    if shared.region().is_none() {
        // Only Amazon itself has regions that matter.
        if config.endpoint.is_none() {
            let why =
                "no region is known: set `region:` of the store, AWS_REGION, or `region` of the profile";
            return Err(Failure::new(StoreErrorKind::Invalid, why));
        }
        settings = settings.region(Region::new("us-east-1"));
    }
    Ok(S3Store::new(Client::from_conf(settings.build()), bucket, prefix, config))
}

/// Gives the credentials of a profile and no others: left to itself the SDK prefers those of the environment, and goes on
/// to those of the instance when there is no such profile.
fn of_profile(profile: &str, region: Option<Region>) -> ProfileFileCredentialsProvider {
    // A profile may have to ask for them: of STS, or of single sign-on.
    let asking = ProviderConfig::without_region().with_region(region).with_http_client(through_proxies());
    ProfileFileCredentialsProvider::builder().configure(&asking).profile_name(profile).build()
}

/// The classes that objects can be written in and read back from at once (Amazon S3 User Guide, "Understanding and
/// managing Amazon S3 storage classes").
const CLASSES: [&str; 6] =
    ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"];

/// Refuses a class that Amazon does not have. Other services have some of their own.
fn check_class(config: &StoreConfig) -> Result<(), Failure> {
    let class = config.storage_class.as_deref().filter(|_| config.endpoint.is_none());
    let Some(class) = class.filter(|class| StorageClass::try_parse(class).is_err()) else { return Ok(()) };
    let meant =
        nearest(class, CLASSES).map(|meant| format!(" (did you mean `{meant}`?)")).unwrap_or_default();
    let all = CLASSES.join(", ");
    Err(Failure::invalid(format!("S3 has no storage class `{class}`{meant}; write one of {all}")))
}

/// Makes the HTTP client: rustls over aws-lc-rs, and the proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`,
/// which the SDK's own client does not look at.
fn through_proxies() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
    })
}
