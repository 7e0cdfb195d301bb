//! A gRPC request in, its answer out: the unary methods of `google.storage.v2.Storage`, over the generated messages.

use std::future::Ready;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use googleapis_tonic_google_storage_v2::google::storage::v2;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Request};
use prost::Message;
use s3s::Body;
use tonic::Status;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

use super::names;
use super::preconditions::Preconditions;
use super::refusal::Refusal;
use super::store::Store;
use crate::faults::Target;
use crate::serving::Answer;

const SERVICE: &str = "/google.storage.v2.Storage/";
/// The most that a message may take; gRPC's own limit.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// A message is preceded by whether it is compressed, and its length ("gRPC over HTTP2").
const PREFIX_BYTES: usize = 5;

pub(super) fn is_for<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// Reads a request whole, and notes what it is about.
pub(super) async fn with_target(request: Request<Body>) -> io::Result<Request<Body>> {
    let (mut head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(io::Error::other)?);
        if bytes.len() > MOST_BYTES + PREFIX_BYTES {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
    }
    let path = head.uri.path().to_owned();
    let method = path.strip_prefix(SERVICE).unwrap_or_default();
    let about = about(method, bytes.get(PREFIX_BYTES..).unwrap_or_default()).unwrap_or_default();
    head.extensions.insert(Target(format!("{path} {about}").trim_end().to_owned()));
    Ok(Request::from_parts(head, Body::from(Bytes::from(bytes))))
}

/// Gives the object, prefix or bucket that a message names.
fn about(method: &str, message: &[u8]) -> Option<String> {
    Some(match method {
        "GetObject" => v2::GetObjectRequest::decode(message).ok()?.object,
        "DeleteObject" => v2::DeleteObjectRequest::decode(message).ok()?.object,
        "UpdateObject" => v2::UpdateObjectRequest::decode(message).ok()?.object?.name,
        "ComposeObject" => v2::ComposeObjectRequest::decode(message).ok()?.destination?.name,
        "RewriteObject" => {
            let request = v2::RewriteObjectRequest::decode(message).ok()?;
            format!("{} {}", request.source_object, request.destination_name)
        }
        "ListObjects" => v2::ListObjectsRequest::decode(message).ok()?.prefix,
        "GetBucket" => v2::GetBucketRequest::decode(message).ok()?.name,
        "CreateBucket" => v2::CreateBucketRequest::decode(message).ok()?.bucket_id,
        "UpdateBucket" => v2::UpdateBucketRequest::decode(message).ok()?.bucket?.name,
        "DeleteBucket" => v2::DeleteBucketRequest::decode(message).ok()?.name,
        _ => return None,
    })
}

pub(super) async fn answer(store: Arc<Store>, request: Request<Body>) -> Answer {
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    match path.strip_prefix(SERVICE).unwrap_or_default() {
        "GetObject" => call(request, |asked| store.get_object(&asked, &headers)).await,
        "ListObjects" => call(request, |asked| store.list_objects(&asked, &headers)).await,
        "DeleteObject" => call(request, |asked| store.delete_object(&asked, &headers)).await,
        "UpdateObject" => call(request, |asked| store.update_object(&asked, &headers)).await,
        "ComposeObject" => call(request, |asked| store.compose_object(asked, &headers)).await,
        "RewriteObject" => call(request, |asked| store.rewrite_object(&asked, &headers)).await,
        "GetBucket" => {
            call(request, |asked| store.admit(&headers).and_then(|()| store.get_bucket(&asked))).await
        }
        "CreateBucket" => {
            call(request, |asked| store.admit(&headers).and_then(|()| store.create_bucket(asked))).await
        }
        "UpdateBucket" => {
            call(request, |asked| store.admit(&headers).and_then(|()| store.update_bucket(&asked))).await
        }
        "DeleteBucket" => {
            call(request, |asked| store.admit(&headers).and_then(|()| store.delete_bucket(&asked))).await
        }
        "ListBuckets" => {
            call(request, |asked| store.admit(&headers).and_then(|()| store.list_buckets(&asked))).await
        }
        _ => Status::unimplemented(format!("{path} is not implemented by the emulator")).into_http(),
    }
}

/// Decodes the message, acts on it and encodes what comes of it.
async fn call<Q, A>(request: Request<Body>, act: impl FnMut(Q) -> Result<A, Refusal>) -> Answer
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
{
    Grpc::new(ProstCodec::<A, Q>::default()).unary(Acting(act), request).await
}

struct Acting<F>(F);

impl<Q, A, F: FnMut(Q) -> Result<A, Refusal>> UnaryService<Q> for Acting<F> {
    type Response = A;
    type Future = Ready<Result<tonic::Response<A>, Status>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        std::future::ready((self.0)(request.into_inner()).map(tonic::Response::new).map_err(Status::from))
    }
}

impl Store {
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        self.state().access.admit(headers)
    }

    /// Admits a request about what lies in a bucket.
    fn admit_to<'a>(
        &self,
        bucket: &'a str,
        key: Option<&v2::CommonObjectRequestParams>,
        headers: &HeaderMap,
    ) -> Result<&'a str, Refusal> {
        self.admit(headers)?;
        if key.is_some_and(|key| !key.encryption_algorithm.is_empty()) {
            return Err(Refusal::not_here("encryption with a key of the caller"));
        }
        let bucket = names::bucket_of(bucket)?;
        self.check_payer(bucket, headers.contains_key("x-goog-user-project"))?;
        Ok(bucket)
    }

    fn get_object(&self, asked: &v2::GetObjectRequest, headers: &HeaderMap) -> Result<v2::Object, Refusal> {
        let bucket = self.admit_to(&asked.bucket, asked.common_object_request_params.as_ref(), headers)?;
        if asked.soft_deleted == Some(true) {
            return Err(Refusal::not_here("looking at what was soft-deleted"));
        }
        let conditions = Preconditions {
            generation: asked.if_generation_match,
            not_generation: asked.if_generation_not_match,
            metageneration: asked.if_metageneration_match,
            not_metageneration: asked.if_metageneration_not_match,
        };
        names::check_object(&asked.object)?;
        Ok(self.look(bucket, &asked.object, asked.generation, conditions)?.resource.clone())
    }

    fn list_objects(
        &self,
        asked: &v2::ListObjectsRequest,
        headers: &HeaderMap,
    ) -> Result<v2::ListObjectsResponse, Refusal> {
        self.admit_to(&asked.parent, None, headers)?;
        self.list(asked)
    }

    fn delete_object(&self, asked: &v2::DeleteObjectRequest, headers: &HeaderMap) -> Result<(), Refusal> {
        let bucket = self.admit_to(&asked.bucket, asked.common_object_request_params.as_ref(), headers)?;
        let conditions = Preconditions {
            generation: asked.if_generation_match,
            not_generation: asked.if_generation_not_match,
            metageneration: asked.if_metageneration_match,
            not_metageneration: asked.if_metageneration_not_match,
        };
        names::check_object(&asked.object)?;
        self.delete(bucket, &asked.object, asked.generation, conditions)
    }

    fn update_object(
        &self,
        asked: &v2::UpdateObjectRequest,
        headers: &HeaderMap,
    ) -> Result<v2::Object, Refusal> {
        let wanted = asked.object.as_ref().ok_or_else(|| Refusal::required("No object is given"))?;
        self.admit_to(&wanted.bucket, asked.common_object_request_params.as_ref(), headers)?;
        names::check_object_acl(&asked.predefined_acl)?;
        let paths = asked.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default();
        if paths.is_empty() {
            return Err(Refusal::required("An update mask is required"));
        }
        let conditions = Preconditions {
            generation: asked.if_generation_match,
            not_generation: asked.if_generation_not_match,
            metageneration: asked.if_metageneration_match,
            not_metageneration: asked.if_metageneration_not_match,
        };
        self.update(wanted, paths, conditions)
    }

    fn compose_object(
        &self,
        asked: v2::ComposeObjectRequest,
        headers: &HeaderMap,
    ) -> Result<v2::Object, Refusal> {
        let bucket = asked.destination.as_ref().map(|to| to.bucket.as_str()).unwrap_or_default();
        self.admit_to(bucket, asked.common_object_request_params.as_ref(), headers)?;
        self.compose(asked)
    }

    fn rewrite_object(
        &self,
        asked: &v2::RewriteObjectRequest,
        headers: &HeaderMap,
    ) -> Result<v2::RewriteResponse, Refusal> {
        self.admit_to(&asked.source_bucket, asked.common_object_request_params.as_ref(), headers)?;
        self.rewrite(asked)
    }
}
