//! A status and an error code in, the answer in the words of the provider's protocol out.

use std::io;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use s3s::Body;
use tonic::Code;

use crate::serving::Answer;

/// How a server words its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dialect {
    /// Amazon S3.
    Xml,
    /// Google Cloud Storage, JSON API.
    Json,
    /// Google Cloud Storage, gRPC.
    Grpc,
}

impl Dialect {
    /// Gives the one that a request is made in: both of Google's come in by one port.
    pub(super) fn of<B>(self, request: &Request<B>) -> Self {
        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) { Self::Grpc } else { self }
    }
}

pub(super) fn refuse(
    dialect: Dialect,
    status: u16,
    code: &str,
    header: Option<(&'static str, &'static str)>,
) -> io::Result<Answer> {
    let mut answer = match dialect {
        Dialect::Xml => {
            let text = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the test</Message></Error>"
            );
            Response::new(tonic::body::Body::new(Body::from(text)))
        }
        Dialect::Json => {
            let mut answer =
                Response::new(tonic::body::Body::new(Body::from(json(status, code, "by the test"))));
            answer
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
            answer
        }
        Dialect::Grpc => tonic::Status::new(code_of(status), format!("{code} by the test")).into_http(),
    };
    if !matches!(dialect, Dialect::Grpc) {
        *answer.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    }
    if let Some((name, value)) = header {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(answer)
}

/// Words an error as the JSON API does ("HTTP status and error codes for JSON").
pub(crate) fn json(status: u16, reason: &str, message: &str) -> String {
    let error = serde_json::json!({ "message": message, "domain": "global", "reason": reason });
    serde_json::json!({ "error": { "code": status, "message": message, "errors": [error] } }).to_string()
}

/// Gives gRPC's code for a status, as `google.rpc.Code` maps them.
pub(crate) fn code_of(status: u16) -> Code {
    match status {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 | 410 => Code::NotFound,
        409 => Code::AlreadyExists,
        304 => Code::Aborted,
        412 => Code::FailedPrecondition,
        416 => Code::OutOfRange,
        429 => Code::ResourceExhausted,
        499 => Code::Cancelled,
        500 => Code::Internal,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Unknown,
    }
}
