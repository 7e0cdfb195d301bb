//! A request of the JSON API in, its answer out: paths and query parameters of the v1 reference.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use hyper::{Method, Request};
use s3s::Body;

use super::preconditions::Preconditions;
use super::refusal::Refusal;
use super::store::Store;
use super::{names, read, sessions, upload};
use crate::percent;
use crate::serving::Answer;

/// Query parameters, decoded. A parameter that is given twice counts as its last.
pub(super) struct Query(HashMap<String, String>);

impl Query {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| match text.parse::<i64>() {
            Ok(number) if number >= 0 => Ok(number),
            _ => Err(Refusal::invalid(format!("Invalid value for parameter `{name}`: {text}"))),
        };
        self.get(name).map(read).transpose()
    }

    pub(super) fn preconditions(&self) -> Result<Preconditions, Refusal> {
        Ok(Preconditions {
            generation: self.number("ifGenerationMatch")?,
            not_generation: self.number("ifGenerationNotMatch")?,
            metageneration: self.number("ifMetagenerationMatch")?,
            not_metageneration: self.number("ifMetagenerationNotMatch")?,
        })
    }
}

/// Answers a request; what is refused is an answer too.
pub(super) async fn answer(store: &Store, address: SocketAddr, request: Request<Body>) -> io::Result<Answer> {
    let answer = route(store, address, request).await;
    Ok(answer.unwrap_or_else(Refusal::into_http))
}

async fn route(store: &Store, address: SocketAddr, request: Request<Body>) -> Result<Answer, Refusal> {
    store.state().access.admit(request.headers())?;
    if request.headers().keys().any(|name| name.as_str().starts_with("x-goog-encryption-")) {
        return Err(Refusal::not_here("encryption with a key of the caller"));
    }
    let uri = request.uri().clone();
    let query = parse_query(uri.query().unwrap_or_default())?;
    if let Some(path) = uri.path().strip_prefix("/upload/storage/v1/b/") {
        let bucket = decode(path.strip_suffix("/o").ok_or_else(no_path)?)?;
        check_payer(store, &bucket, &query, &request)?;
        return match (request.method(), query.get("upload_id")) {
            (&Method::POST, None) => upload::begin(store, address, &bucket, &query, request).await,
            (&Method::PUT, Some(id)) => sessions::go_on(store, &bucket, id, request).await,
            (&Method::DELETE, Some(id)) => sessions::cancel(store, &bucket, id).await,
            _ => Err(Refusal::invalid("This method of an upload needs another uploadType or upload_id")),
        };
    }
    let path = uri.path();
    // Other clients read contents below `/download` (Cloud Storage JSON API, "Objects: get").
    let path = path.strip_prefix("/download").unwrap_or(path);
    let path = path.strip_prefix("/storage/v1/b/").ok_or_else(no_path)?;
    let (bucket, object) =
        path.split_once("/o/").ok_or_else(|| Refusal::not_here("this method over HTTP"))?;
    if object.contains('/') {
        return Err(no_path());
    }
    let (bucket, object) = (decode(bucket)?, decode(object)?);
    check_payer(store, &bucket, &query, &request)?;
    names::check_object(&object)?;
    match *request.method() {
        Method::GET => read::read(store, &bucket, &object, &query, request.headers()),
        _ => Err(Refusal::not_here("this method over HTTP")),
    }
}

/// A bucket whose requester pays must be told who that is ("Requester Pays").
fn check_payer(store: &Store, bucket: &str, query: &Query, request: &Request<Body>) -> Result<(), Refusal> {
    let told = query.get("userProject").is_some() || request.headers().contains_key("x-goog-user-project");
    store.check_payer(bucket, told)
}

impl Store {
    pub(super) fn check_payer(&self, bucket: &str, told: bool) -> Result<(), Refusal> {
        let pays =
            self.state().bucket(bucket)?.resource.billing.is_some_and(|billing| billing.requester_pays);
        if pays && !told {
            return Err(Refusal::required("Bucket is a requester pays bucket but no user project provided."));
        }
        Ok(())
    }
}

fn no_path() -> Refusal {
    Refusal::not_found("Not Found")
}

fn parse_query(query: &str) -> Result<Query, Refusal> {
    let mut parameters = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.insert(decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?);
    }
    Ok(Query(parameters))
}

fn decode(text: &str) -> Result<String, Refusal> {
    percent::decode(text).ok_or_else(|| Refusal::invalid(format!("Invalid percent-encoding: {text}")))
}
