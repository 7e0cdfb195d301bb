//! Bad conditions on the way to a server and back: a rule for some requests in, a broken exchange out.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, RANGE};
use hyper::{Method, Request, Response, StatusCode};
use s3s::Body;
use s3s::dto::StreamingBlob;

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The server is not asked; this status and S3 error code are the answer, with a further header.
    Refuse(u16, &'static str, Option<(&'static str, &'static str)>),
    /// The connection breaks after so many bytes of the request's body.
    CutRequest(usize),
    /// The server does what is asked, and the connection breaks before its answer.
    LoseAnswer,
    /// Nothing comes back, and the connection stays.
    Stall,
    /// The connection breaks after so many bytes of the answer's body.
    CutAnswer(usize),
    /// The body stands still after so many bytes.
    StallAnswer(usize),
    /// So many bytes are missing at the end, and the length in the header agrees with what is left.
    Shorten(usize),
    /// A byte of the answer's body is inverted.
    Flip(usize),
    /// The answer has another value in a header.
    Lie(&'static str, &'static str),
}

struct Rule {
    method: Method,
    part: String,
    passes: usize,
    times: usize,
    fault: Fault,
}

/// The rules of one server. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Faults {
    /// Breaks the next `times` requests of a method whose path and query contain `part`.
    pub fn add(&self, method: &str, part: &str, times: usize, fault: Fault) {
        self.add_after(0, method, part, times, fault);
    }

    /// As [`Faults::add`], and lets so many of them pass first.
    pub fn add_after(&self, passes: usize, method: &str, part: &str, times: usize, fault: Fault) {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let rule = Rule { method, part: part.to_owned(), passes, times, fault };
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// Lists every request so far: method, path and query, and the range of bytes that was asked for.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn due(&self, method: &Method, target: &str, range: &str) -> Option<Fault> {
        let seen = format!("{method} {target} {range}").trim_end().to_owned();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules
            .iter_mut()
            .find(|rule| rule.times > 0 && rule.method == *method && target.contains(&rule.part))?;
        if rule.passes > 0 {
            rule.passes -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    /// Carries out one request, broken where a rule says so. An error ends the connection.
    pub(crate) async fn serve<F: Future<Output = io::Result<Response<Body>>>>(
        &self,
        mut request: Request<Body>,
        server: impl FnOnce(Request<Body>) -> F,
    ) -> io::Result<Response<Body>> {
        let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
        let Some(fault) = self.due(request.method(), &target, range) else { return server(request).await };
        match fault {
            Fault::Refuse(status, code, header) => return refuse(status, code, header),
            Fault::Stall => tokio::time::sleep(Duration::from_hours(1)).await,
            Fault::CutRequest(bytes) => {
                let mut body = StreamingBlob::from(std::mem::take(request.body_mut()));
                let mut seen = 0;
                while let Some(Ok(chunk)) = body.next().await
                    && seen < bytes
                {
                    seen += chunk.len();
                }
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            Fault::LoseAnswer => {
                server(request).await?;
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            fault => return Ok(spoil(server(request).await?, fault)),
        }
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }
}

fn refuse(
    status: u16,
    code: &str,
    header: Option<(&'static str, &'static str)>,
) -> io::Result<Response<Body>> {
    let text =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the test</Message></Error>");
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = StatusCode::from_u16(status).map_err(io::Error::other)?;
    if let Some((name, value)) = header {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    Ok(answer)
}

fn spoil(mut answer: Response<Body>, fault: Fault) -> Response<Body> {
    if let Fault::Lie(name, value) = fault {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        return answer;
    }
    let length = answer.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if let (Fault::Shorten(by), Some(length)) = (&fault, length) {
        let shorter: usize = length;
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(shorter.saturating_sub(*by)));
    }
    answer.map(|body| {
        let spoilt = bytes_of(body, fault, length.unwrap_or_default());
        Body::from(s3s::stream::DynByteStream::from(StreamingBlob::wrap(spoilt)))
    })
}

/// Gives the body's bytes until the fault comes.
fn bytes_of(
    body: Body,
    fault: Fault,
    length: usize,
) -> impl Stream<Item = io::Result<bytes::Bytes>> + Send + Sync + 'static {
    let blob = StreamingBlob::from(body);
    futures_util::stream::unfold((blob, 0_usize, fault), move |(mut blob, at, fault)| async move {
        let chunk = blob.next().await?;
        let mut chunk = match chunk {
            Ok(chunk) => chunk.to_vec(),
            Err(error) => return Some((Err(io::Error::other(error.to_string())), (blob, at, fault))),
        };
        let end = at + chunk.len();
        match fault {
            Fault::CutAnswer(after) if at >= after => {
                return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (blob, end, fault)));
            }
            Fault::StallAnswer(after) if at >= after => tokio::time::sleep(Duration::from_hours(1)).await,
            Fault::CutAnswer(after) | Fault::StallAnswer(after) => chunk.truncate(after - at),
            Fault::Shorten(by) => chunk.truncate(length.saturating_sub(by).saturating_sub(at)),
            Fault::Flip(byte) if (at..end).contains(&byte) => chunk[byte - at] = !chunk[byte - at],
            _ => {}
        }
        let next = at + chunk.len();
        Some((Ok(bytes::Bytes::from(chunk)), (blob, next, fault)))
    })
}
