//! Answers of Google Cloud Storage in, the kinds a caller can act on out; from JSON over HTTP and from gRPC alike.
//!
//! Codes: Cloud Storage documentation, "HTTP status and error codes for JSON"; gRPC, "Status codes".

use std::error::Error as _;
use std::time::Duration;

use google_cloud_gax::error::rpc::{Code, Status, StatusDetails};
use google_cloud_storage::Error;
use google_cloud_storage::error::{ReadError, WriteError};
use jiff::Timestamp;
use rekindle_engine::host::StoreErrorKind;

use crate::bucket::errors::{chain, unreachable_there, with_hint, words_of};
use crate::bucket::patience::retry_after;
use crate::failure::Failure;

/// What to do about missing credentials.
pub(super) const LOG_IN: &str = "no credentials are known that can be used: run `gcloud auth application-default \
                                 login`, or set GOOGLE_APPLICATION_CREDENTIALS";
const MAKE_THE_BUCKET: &str = "make the bucket first, or correct the store's `url:`";
/// How much of an answer that is no JSON is told.
const MOST_TOLD_BYTES: usize = 300;

/// Sorts an error of a client.
pub(super) fn failure(error: &Error) -> Failure {
    if is_wrong_checksum(error) {
        return Failure::new(StoreErrorKind::Corrupt, chain(error));
    }
    match (error.http_status_code(), error.status()) {
        (Some(http), status) => {
            let reason = status.and_then(reason).unwrap_or_default();
            let payload = error.http_payload().map(|payload| told(payload)).unwrap_or_default();
            let message = status.map_or(payload.as_str(), |status| &status.message);
            from_answer(http, &format!("HTTP {http}"), reason, message)
        }
        // Only of buckets: an object that is there already is a failed precondition.
        (None, Some(status)) if status.code == Code::AlreadyExists => {
            Failure::new(StoreErrorKind::AlreadyExists, status.message.clone())
        }
        (None, Some(status)) => {
            let words = status.code.name();
            from_answer(http_of(status.code), words, reason(status).unwrap_or_default(), &status.message)
        }
        (None, None) if error.is_authentication() && !error.is_transient_and_before_rpc() => {
            unknown_caller(&chain(error))
        }
        (None, None) if error.is_binding() || error.is_serialization() => Failure::invalid(chain(error)),
        // No answer, or one that was cut off: what was asked for may have been done all the same.
        (None, None) => unreachable_there(&chain(error)),
    }
}

/// Says that no answer came in time.
pub(super) fn timed_out(limit: Duration) -> Failure {
    unreachable_there(&format!("timed out after {limit:?}"))
}

/// Makes "not found" of a request that can only miss its bucket: a bucket is not "not found", since no write will
/// ever make it.
pub(super) fn of_the_bucket(failure: Failure) -> Failure {
    match failure.kind {
        StoreErrorKind::NotFound => with_hint(StoreErrorKind::Invalid, failure.why, Some(MAKE_THE_BUCKET)),
        _ => failure,
    }
}

/// Tells whether a look at a bucket found none.
pub(super) fn is_missing_bucket(failure: &Failure) -> bool {
    failure.is_not_found() || failure.why.ends_with(MAKE_THE_BUCKET)
}

/// Gives when the server wants to be asked again: `Retry-After` or `google.rpc.RetryInfo`.
pub(super) fn come_back(error: &Error) -> Option<Duration> {
    let header = error.http_headers().and_then(|headers| headers.get("retry-after"));
    let asked = header.and_then(|value| retry_after(value.to_str().ok()?, Timestamp::now()));
    if asked.is_some() {
        return asked;
    }
    error.status()?.details.iter().find_map(|detail| match detail {
        StatusDetails::RetryInfo(info) => {
            let seconds = info.retry_delay.as_ref()?.seconds();
            u64::try_from(seconds).ok().map(Duration::from_secs)
        }
        _ => None,
    })
}

/// What was stored, or what was read, has another checksum than it should have.
fn is_wrong_checksum(error: &Error) -> bool {
    let Some(cause) = error.source() else { return false };
    matches!(cause.downcast_ref::<WriteError>(), Some(WriteError::ChecksumMismatch { .. }))
        || matches!(cause.downcast_ref::<ReadError>(), Some(ReadError::ChecksumMismatch(_)))
}

/// Gives the reason of the JSON API: `errors[].reason`.
fn reason(status: &Status) -> Option<&str> {
    status.details.iter().find_map(|detail| match detail {
        StatusDetails::ErrorInfo(info) => Some(info.reason.as_str()),
        _ => None,
    })
}

fn told(payload: &[u8]) -> String {
    String::from_utf8_lossy(&payload[..payload.len().min(MOST_TOLD_BYTES)]).trim().to_owned()
}

/// Gives the HTTP status that the JSON API answers with where gRPC has this code.
fn http_of(code: Code) -> u16 {
    match code {
        Code::InvalidArgument => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::FailedPrecondition => 412,
        Code::OutOfRange => 416,
        Code::ResourceExhausted => 429,
        Code::Unimplemented => 501,
        Code::DeadlineExceeded => 504,
        _ => 503,
    }
}

/// Nobody said who we are, or what was said is not taken.
fn unknown_caller(words: &str) -> Failure {
    let hint = if words.contains("invalid_grant") {
        "the credentials have expired or were revoked, or this machine's clock is off: log in again, or set it right"
    } else {
        LOG_IN
    };
    with_hint(StoreErrorKind::Denied, words.to_owned(), Some(hint))
}

/// Sorts an answer by its status and reason; some things are told by the message alone.
fn from_answer(http: u16, words: &str, reason: &str, message: &str) -> Failure {
    let (kind, hint) = sorted(http, reason, &message.to_lowercase());
    with_hint(kind, words_of(message, reason, words), hint)
}

fn sorted(http: u16, reason: &str, message: &str) -> (StoreErrorKind, Option<&'static str>) {
    let is_quota = matches!(reason, "quotaExceeded" | "storageQuotaExceeded" | "dailyLimitExceeded");
    match http {
        404 if message.contains("the specified bucket does not exist") => {
            (StoreErrorKind::Invalid, Some(MAKE_THE_BUCKET))
        }
        404 => (StoreErrorKind::NotFound, None),
        412 => (StoreErrorKind::AlreadyExists, None),
        400 if message.contains("requester pays") => (
            StoreErrorKind::Invalid,
            Some("set `requester_pays: true` and the `billing_project:` that is to pay"),
        ),
        400 if ["crc32c", "md5", "checksum"].iter().any(|sum| message.contains(sum)) => {
            (StoreErrorKind::Corrupt, None)
        }
        401 => (StoreErrorKind::Denied, Some("the credentials have expired or are not taken: log in again")),
        507 => (StoreErrorKind::Full, None),
        403 if is_quota => (StoreErrorKind::Full, None),
        403 if matches!(reason, "rateLimitExceeded" | "userRateLimitExceeded") => {
            (StoreErrorKind::Unavailable, None)
        }
        400 | 403 if message.contains("kms") => {
            (StoreErrorKind::Denied, Some("the key that encrypts it can't be used by the service"))
        }
        403 => (StoreErrorKind::Denied, None),
        408 | 409 | 429 | 500 | 502..=504 => (StoreErrorKind::Unavailable, None),
        _ => (StoreErrorKind::Invalid, None),
    }
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::CredentialsError;
    use google_cloud_gax::error::rpc::{Code, Status};
    use google_cloud_storage::Error;
    use rekindle_engine::host::StoreErrorKind;

    use super::{failure, from_answer, unknown_caller};

    #[test]
    fn answers_are_sorted_by_what_can_be_done_about_them() {
        let cases = [
            (404, "notFound", "No such object: b/bucket", StoreErrorKind::NotFound),
            (404, "notFound", "The specified bucket does not exist.", StoreErrorKind::Invalid),
            (412, "conditionNotMet", "", StoreErrorKind::AlreadyExists),
            (409, "conflict", "", StoreErrorKind::Unavailable),
            (401, "authError", "", StoreErrorKind::Denied),
            (403, "forbidden", "", StoreErrorKind::Denied),
            (403, "quotaExceeded", "", StoreErrorKind::Full),
            (403, "rateLimitExceeded", "", StoreErrorKind::Unavailable),
            (429, "rateLimitExceeded", "", StoreErrorKind::Unavailable),
            (500, "", "", StoreErrorKind::Unavailable),
            (503, "backendError", "", StoreErrorKind::Unavailable),
            (507, "", "", StoreErrorKind::Full),
            (501, "", "", StoreErrorKind::Invalid),
            (416, "requestedRangeNotSatisfiable", "", StoreErrorKind::Invalid),
            (400, "invalid", "Provided CRC32C doesn't match calculated CRC32C", StoreErrorKind::Corrupt),
            (400, "required", "Bucket is a requester pays bucket", StoreErrorKind::Invalid),
            (400, "invalid", "Invalid storage class", StoreErrorKind::Invalid),
        ];
        for (status, reason, message, kind) in cases {
            assert_eq!(from_answer(status, "", reason, message).kind, kind, "{status} {reason} {message}");
        }
    }

    #[test]
    fn both_clients_mean_the_same() {
        let told = |code: Code| failure(&Error::service(Status::default().set_code(code).set_message("so")));
        for (code, kind) in [
            (Code::NotFound, StoreErrorKind::NotFound),
            (Code::FailedPrecondition, StoreErrorKind::AlreadyExists),
            (Code::PermissionDenied, StoreErrorKind::Denied),
            (Code::Unauthenticated, StoreErrorKind::Denied),
            (Code::ResourceExhausted, StoreErrorKind::Unavailable),
            (Code::Internal, StoreErrorKind::Unavailable),
            (Code::Unimplemented, StoreErrorKind::Invalid),
        ] {
            assert_eq!(told(code).kind, kind);
        }
        insta::assert_snapshot!(told(Code::PermissionDenied).why, @"so (PERMISSION_DENIED); the credentials lack a permission that a store needs: the guide lists them");
    }

    #[test]
    fn credentials_that_may_come_back_are_not_wrong_ones() {
        let told = |is_transient| {
            failure(&Error::authentication(CredentialsError::from_msg(is_transient, "no token"))).kind
        };
        assert_eq!((told(true), told(false)), (StoreErrorKind::Unavailable, StoreErrorKind::Denied));
    }

    #[test]
    fn what_to_mend_is_said() {
        insta::assert_snapshot!(from_answer(404, "HTTP 404", "notFound", "The specified bucket does not exist.").why, @"The specified bucket does not exist. (notFound, HTTP 404); make the bucket first, or correct the store's `url:`");
        insta::assert_snapshot!(from_answer(401, "HTTP 401", "authError", "Invalid Credentials").why, @"Invalid Credentials (authError, HTTP 401); the credentials have expired or are not taken: log in again");
        insta::assert_snapshot!(from_answer(400, "INVALID_ARGUMENT", "", "Bucket is a requester pays bucket but no user project provided.").why, @"Bucket is a requester pays bucket but no user project provided. (INVALID_ARGUMENT); set `requester_pays: true` and the `billing_project:` that is to pay");
        insta::assert_snapshot!(unknown_caller("invalid_grant: Invalid JWT").why, @"invalid_grant: Invalid JWT; the credentials have expired or were revoked, or this machine's clock is off: log in again, or set it right");
        insta::assert_snapshot!(unknown_caller("the metadata server is not there").why, @"the metadata server is not there; no credentials are known that can be used: run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS");
    }
}
