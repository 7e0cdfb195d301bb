//! Retries that respect what the server asks for, and that can be seen.

use std::time::Duration;

use aws_sdk_s3::config::interceptors::{FinalizerInterceptorContextRef, InterceptorContext};
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;
use aws_smithy_types::retry::ErrorKind;

use crate::bucket::patience::LONGEST_WAIT;

/// Takes `Retry-After` (RFC 9110, section 10.2.3, in seconds) of 429 and 503 for the pause before the next try.
#[derive(Debug)]
pub(super) struct RetryAfter;

impl ClassifyRetry for RetryAfter {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(answer) = context.response() else { return RetryAction::NoActionIndicated };
        if !matches!(answer.status().as_u16(), 429 | 503) {
            return RetryAction::NoActionIndicated;
        }
        let seconds = answer.headers().get("retry-after").and_then(|value| value.trim().parse().ok());
        match seconds {
            Some(seconds) => RetryAction::retryable_error_with_explicit_delay(
                ErrorKind::ThrottlingError,
                Duration::from_secs(seconds).min(LONGEST_WAIT),
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

impl Intercept for Visible {
    fn name(&self) -> &'static str {
        "Visible"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().map(|answer| answer.status().as_u16());
        match status {
            Some(status @ (429 | 500..=599)) => {
                tracing::warn!(
                    store = self.url,
                    status,
                    "a request to the store failed and may be tried again"
                );
            }
            Some(_) => {}
            None => tracing::warn!(
                store = self.url,
                "a request to the store got no answer and may be tried again"
            ),
        }
        Ok(())
    }
}
