//! Bad conditions on the way to a server and back: a rule for some requests in, a broken exchange out.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::RANGE;
use hyper::{HeaderMap, Method, Request};

use crate::percent;
use crate::serving::Answer;

mod refuse;
mod spoil;

pub(crate) use refuse::{Dialect, code_of, json};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The server is not asked; this status and error code are the answer, with a further header. A gRPC
    /// request gets the code of gRPC that belongs to the status.
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
    /// Google Cloud Storage keeps only so many bytes of a resumable upload's `PUT`, rounded down to 256 KiB
    /// as the real one does, and answers with this status: 503, or 308 as for any unfinished upload.
    KeepPart(usize, u16),
}

/// How much of a resumable upload's request is kept, and what is answered: for the server that can do it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepPart {
    pub(crate) bytes: usize,
    pub(crate) status: u16,
}

/// What a request is about, where its path does not say it.
#[derive(Clone)]
pub(crate) struct Target(pub(crate) String);

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
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A request that came.
struct Seen {
    /// Method, path and query, and the range of bytes.
    line: String,
    headers: HeaderMap,
}

impl Faults {
    /// Breaks the next `times` requests of a method whose path and query, encoded or not, or whose range contain `part`.
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
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|seen| seen.line.clone()).collect()
    }

    /// Lists every request so far as [`Faults::seen`] does, each with what it said in a header.
    pub fn said(&self, header: &str) -> Vec<(String, Option<String>)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let value =
            |seen: &Seen| seen.headers.get(header).and_then(|value| value.to_str().ok()).map(str::to_owned);
        seen.iter().map(|seen| (seen.line.clone(), value(seen))).collect()
    }

    fn due(&self, method: &Method, target: &str, headers: &HeaderMap) -> Option<Fault> {
        let range = headers.get(RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
        let line = format!("{method} {target} {range}").trim_end().to_owned();
        let seen = Seen { line, headers: headers.clone() };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        let decoded = percent::decode(target).unwrap_or_default();
        let about = |part: &str| target.contains(part) || decoded.contains(part) || range.contains(part);
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule =
            rules.iter_mut().find(|rule| rule.times > 0 && rule.method == *method && about(&rule.part))?;
        if rule.passes > 0 {
            rule.passes -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    /// Carries out one request, broken where a rule says so. An error ends the connection.
    pub(crate) async fn serve<I, O, F>(
        &self,
        dialect: Dialect,
        mut request: Request<I>,
        server: impl FnOnce(Request<I>) -> F,
    ) -> io::Result<Answer>
    where
        I: Body + Unpin,
        O: Body<Data = Bytes> + Unpin + Send + 'static,
        O::Error: Into<BoxError>,
        F: Future<Output = io::Result<hyper::Response<O>>>,
    {
        let target = match request.extensions().get::<Target>() {
            Some(Target(target)) => target.clone(),
            // A client that takes this server for its proxy asks for a host by `CONNECT`, which has no path.
            None => {
                request.uri().path_and_query().map_or_else(|| request.uri().to_string(), ToString::to_string)
            }
        };
        let Some(fault) = self.due(request.method(), &target, request.headers()) else {
            return Ok(server(request).await?.map(tonic::body::Body::new));
        };
        match fault {
            Fault::Refuse(status, code, header) => {
                return refuse::refuse(dialect.of(&request), status, code, header);
            }
            Fault::Stall => tokio::time::sleep(Duration::from_hours(1)).await,
            Fault::CutRequest(bytes) => {
                spoil::swallow(request.body_mut(), bytes).await;
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            Fault::LoseAnswer => {
                server(request).await?;
                return Err(io::Error::from(io::ErrorKind::ConnectionReset));
            }
            Fault::KeepPart(bytes, status) => {
                request.extensions_mut().insert(KeepPart { bytes, status });
                return Ok(server(request).await?.map(tonic::body::Body::new));
            }
            fault => return Ok(spoil::spoil(server(request).await?, fault)),
        }
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }
}
