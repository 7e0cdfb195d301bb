//! Retries that respect what the server asks for, and that can be seen.

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use aws_smithy_types::retry::ErrorKind;
use jiff::Timestamp;

use crate::bucket::patience::{LONGEST_WAIT, retry_after};

/// Takes `Retry-After` of 429 and 503 for the pause before the next try.
#[derive(Debug)]
pub(super) struct RetryAfter;

impl ClassifyRetry for RetryAfter {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(answer) = context.response() else { return RetryAction::NoActionIndicated };
        if !matches!(answer.status().as_u16(), 429 | 503) {
            return RetryAction::NoActionIndicated;
        }
        let asked =
            answer.headers().get("retry-after").and_then(|value| retry_after(value, Timestamp::now()));
        match asked {
            Some(asked) => RetryAction::retryable_error_with_explicit_delay(
                ErrorKind::ThrottlingError,
                asked.min(LONGEST_WAIT),
            ),
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Retry-After"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// Tells of every try that failed in a way that may pass.
#[derive(Debug)]
pub(super) struct Visible {
    pub(super) url: String,
}

/// What was asked for last: `UploadPart /bucket/key?partNumber=2`, as the access logs of servers have it, with what
/// tells one such request from another, and without what signs it.
#[derive(Debug)]
struct Asked(String);

impl Storable for Asked {
    type Storer = StoreReplace<Self>;
}

impl Asked {
    fn new(operation: &str, url: &str) -> Self {
        let (_, place) = url.split_once("://").unwrap_or(("", url));
        let target = place.find('/').map_or("", |at| &place[at..]);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let telling =
            query.split('&').find(|word| word.starts_with("prefix=") || word.starts_with("partNumber="));
        let telling = telling.map(|word| format!("?{word}")).unwrap_or_default();
        Self(format!("{operation} {path}{telling}"))
    }
}

impl Intercept for Visible {
    fn name(&self) -> &'static str {
        "Visible"
    }

    /// The client gives the request away with this.
    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = settings.load::<Metadata>().map(Metadata::name).unwrap_or_default();
        let asked = Asked::new(operation, context.request().uri());
        settings.interceptor_state().store_put(asked);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().map(|answer| answer.status().as_u16());
        let request = settings.load::<Asked>().map(|Asked(request)| request.as_str()).unwrap_or_default();
        match status {
            Some(status @ (429 | 500..=599)) => {
                tracing::warn!(
                    store = self.url,
                    request,
                    status,
                    "a request to the store failed and may be tried again"
                );
            }
            Some(_) => {}
            None => tracing::warn!(
                store = self.url,
                request,
                "a request to the store got no answer and may be tried again"
            ),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn a_request_is_named_without_its_signature() {
        let asked = |url| Asked::new("PutObject", url).0;
        assert_eq!(
            asked("https://minio:9000/backups/mysql/a%20b?x-id=PutObject&X-Amz-Signature=1"),
            "PutObject /backups/mysql/a%20b"
        );
        assert_eq!(asked("https://backups.s3.eu-west-1.amazonaws.com/mysql/a"), "PutObject /mysql/a");
        assert_eq!(asked("https://minio/b/a?partNumber=2&uploadId=x"), "PutObject /b/a?partNumber=2");
        assert_eq!(asked("https://minio/b/?list-type=2&prefix=mysql%2F"), "PutObject /b/?prefix=mysql%2F");
        assert_eq!(asked("http://minio"), "PutObject ");
    }
}
