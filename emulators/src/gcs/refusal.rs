//! What the service refuses, and in which words ("HTTP status and error codes for JSON", `google.rpc.Code`).

use hyper::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::faults::{code_of, json};
use crate::serving::Answer;

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    reason: &'static str,
    pub(super) message: String,
    /// The size of an object whose range can't be given.
    size: Option<u64>,
    /// The code of gRPC, where the status does not say it.
    code: Option<tonic::Code>,
}

impl Refusal {
    fn new(status: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), size: None, code: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid", message)
    }

    pub(super) fn required(message: impl Into<String>) -> Self {
        Self::new(400, "required", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "authError", "Invalid Credentials")
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "forbidden", message)
    }

    pub(super) fn no_bucket() -> Self {
        Self::new(404, "notFound", "The specified bucket does not exist.")
    }

    pub(super) fn no_object(bucket: &str, name: &str) -> Self {
        Self::new(404, "notFound", format!("No such object: {bucket}/{name}"))
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "notFound", message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "conflict", message)
    }

    pub(super) fn not_empty() -> Self {
        let refusal = Self::new(409, "conflict", "The bucket you tried to delete is not empty.");
        Self { code: Some(tonic::Code::FailedPrecondition), ..refusal }
    }

    pub(super) fn gone(message: impl Into<String>) -> Self {
        Self::new(410, "uploadBroken", message)
    }

    pub(super) fn condition() -> Self {
        let message = "At least one of the pre-conditions you specified did not hold.";
        Self::new(412, "conditionNotMet", message)
    }

    pub(super) fn not_modified() -> Self {
        Self::new(304, "notModified", "")
    }

    pub(super) fn range(size: u64) -> Self {
        let refusal = Self::new(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
        Self { size: Some(size), ..refusal }
    }

    pub(super) fn cancelled() -> Self {
        Self::new(499, "clientClosedRequest", "Client Closed Request")
    }

    pub(super) fn internal(error: &std::io::Error) -> Self {
        Self::new(500, "internalError", error.to_string())
    }

    /// For what the real service does and this one does not.
    pub(super) fn not_here(what: &str) -> Self {
        Self::new(501, "notImplemented", format!("{what} is not implemented by the emulator"))
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "backendError", message)
    }

    /// Words it as the JSON API does.
    pub(super) fn into_http(self) -> Answer {
        let bare = matches!(self.status, 304 | 499);
        let text = if bare { String::new() } else { json(self.status, self.reason, &self.message) };
        let mut answer = Response::new(tonic::body::Body::new(s3s::Body::from(text)));
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if !bare {
            let kind = HeaderValue::from_static("application/json; charset=UTF-8");
            answer.headers_mut().insert(CONTENT_TYPE, kind);
        }
        let range = self.size.and_then(|size| HeaderValue::from_str(&format!("bytes */{size}")).ok());
        if let Some(range) = range {
            answer.headers_mut().insert(CONTENT_RANGE, range);
        }
        answer
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        let message = if refusal.status == 304 {
            "The condition not to match did.".to_owned()
        } else {
            refusal.message
        };
        Self::new(refusal.code.unwrap_or_else(|| code_of(refusal.status)), message)
    }
}
