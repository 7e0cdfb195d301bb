//! Answers of the S3 API in, the kinds a caller can act on out.
//!
//! Codes: Amazon S3 API Reference, "Error responses".

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use rekindle_engine::host::StoreErrorKind;

use crate::bucket::errors::{chain, unreachable_there, with_hint, words_of};
use crate::failure::Failure;

/// Sorts an error of the client.
pub(super) fn failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    error.into()
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match &error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let code = service.err().code().unwrap_or_default();
                let message = service.err().message().unwrap_or_default();
                from_answer(status, code, message)
            }
            SdkError::TimeoutError(_) => unreachable_there("timed out"),
            SdkError::DispatchFailure(dispatch) if dispatch.is_user() => {
                Failure::new(StoreErrorKind::Invalid, chain(&error))
            }
            SdkError::DispatchFailure(dispatch) if dispatch.is_io() || dispatch.is_timeout() => {
                unreachable_there(&chain(&error))
            }
            SdkError::ConstructionFailure(_) => Failure::new(construction(&error), chain(&error)),
            _ => Failure::new(from_words(&chain(&error)), chain(&error)),
        }
    }
}

/// A request that could not be made: as a rule nobody said who we are.
fn construction<E: Error>(error: &E) -> StoreErrorKind {
    let words = chain(error);
    if words.contains("credential") { StoreErrorKind::Denied } else { StoreErrorKind::Invalid }
}

/// Sorts what has no answer to go by.
fn from_words(words: &str) -> StoreErrorKind {
    if words.contains("credential") {
        StoreErrorKind::Denied
    } else if words.contains("checksum mismatch") {
        StoreErrorKind::Corrupt
    } else {
        StoreErrorKind::Unavailable
    }
}

/// Sorts an answer by its code, or, where it has none (a `HEAD` has no body), by its status.
pub(super) fn from_answer(status: u16, code: &str, message: &str) -> Failure {
    // An answer to `HEAD` has no body to say it in.
    let code = if (code, status) == ("", 301) { "PermanentRedirect" } else { code };
    let kind = match (code, status) {
        ("PreconditionFailed", _) | ("", 412) => StoreErrorKind::AlreadyExists,
        ("NoSuchKey" | "NoSuchUpload" | "NotFound", _) | ("", 404) => StoreErrorKind::NotFound,
        // A bucket is not "not found": no write will ever make it.
        ("NoSuchBucket" | "InvalidRange", _) | ("", 416) => StoreErrorKind::Invalid,
        ("BadDigest" | "XAmzContentSHA256Mismatch" | "InvalidDigest" | "IncompleteBody", _) => {
            StoreErrorKind::Corrupt
        }
        ("QuotaExceeded" | "StorageFull" | "XMinioStorageFull", _) | (_, 507) => StoreErrorKind::Full,
        // Not a matter of time, as the other fives are.
        ("NotImplemented", _) | (_, 501) => StoreErrorKind::Invalid,
        ("RequestTimeout" | "SlowDown" | "OperationAborted" | "ConditionalRequestConflict", _)
        | (_, 429 | 500..=599) => StoreErrorKind::Unavailable,
        ("InvalidObjectState", _) => StoreErrorKind::Archived,
        ("ExpiredToken" | "ExpiredTokenException" | "InvalidToken", _) | (_, 401 | 403) => {
            StoreErrorKind::Denied
        }
        _ => StoreErrorKind::Invalid,
    };
    let why = words_of(message, code, &format!("HTTP {status}"));
    with_hint(kind, why, hint(code))
}

/// Says what the code means for whoever has to mend it.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "NoSuchBucket" => "make the bucket first, or correct the store's `url:`",
        "ExpiredToken" | "ExpiredTokenException" => "the credentials have expired: log in again",
        "InvalidAccessKeyId" => "the access key is not known there",
        "SignatureDoesNotMatch" => "the secret key is wrong",
        "RequestTimeTooSkewed" => "this machine's clock is off: set it right",
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            "the bucket lies in another region: set `region:` of the store"
        }
        "NotImplemented" => "the server does not know this request",
        "InvalidObjectState" => "the object is archived: bring it back to a class that can be read first",
        "KMS.DisabledException" | "KMS.NotFoundException" => "the key that encrypts it can't be used",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rekindle_engine::host::StoreErrorKind;

    use super::from_answer;

    #[test]
    fn answers_are_sorted_by_what_can_be_done_about_them() {
        let cases = [
            (404, "NoSuchKey", StoreErrorKind::NotFound),
            (404, "NoSuchBucket", StoreErrorKind::Invalid),
            (404, "", StoreErrorKind::NotFound),
            (412, "PreconditionFailed", StoreErrorKind::AlreadyExists),
            (409, "ConditionalRequestConflict", StoreErrorKind::Unavailable),
            (403, "AccessDenied", StoreErrorKind::Denied),
            (403, "RequestTimeTooSkewed", StoreErrorKind::Denied),
            (403, "InvalidObjectState", StoreErrorKind::Archived),
            (400, "ExpiredToken", StoreErrorKind::Denied),
            (503, "SlowDown", StoreErrorKind::Unavailable),
            (500, "InternalError", StoreErrorKind::Unavailable),
            (400, "BadDigest", StoreErrorKind::Corrupt),
            (416, "InvalidRange", StoreErrorKind::Invalid),
            (507, "", StoreErrorKind::Full),
            (501, "NotImplemented", StoreErrorKind::Invalid),
            (400, "InvalidStorageClass", StoreErrorKind::Invalid),
        ];
        for (status, code, kind) in cases {
            assert_eq!(from_answer(status, code, "").kind, kind, "{status} {code}");
        }
    }

    #[test]
    fn what_to_mend_is_said() {
        insta::assert_snapshot!(
            from_answer(404, "NoSuchBucket", "The specified bucket does not exist").why,
            @"The specified bucket does not exist (NoSuchBucket, HTTP 404); make the bucket first, or correct the store's `url:`"
        );
        insta::assert_snapshot!(from_answer(403, "", "").why, @"the answer was HTTP 403; the credentials lack a permission that a store needs: the guide lists them");
    }
}
