//! A Google Cloud Storage server over a temporary folder, written from the public API documentation.
//!
//! HTTP follows the JSON API v1 reference (`Objects: get`, `Objects: insert`) and the pages on resumable uploads,
//! request preconditions and status codes; gRPC follows the reference of `google.storage.v2`. What is not there is
//! refused as not implemented, never answered as if it had been done. Both come in by one port.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::{Dialect, Faults};
use crate::serving::{self, Answer};
use store::Store;

mod access;
mod buckets;
mod compose;
mod content;
mod lifecycle;
mod listing;
mod multipart;
mod names;
mod objects;
mod preconditions;
mod read;
mod refusal;
mod resource;
mod rest;
mod rewrite;
mod rpc;
mod sessions;
mod store;
#[cfg(test)]
mod tests;
mod upload;

/// A server that ends when it is dropped, and its objects with it.
///
/// It takes anyone's requests until [`GcsServer::require_token`].
pub struct GcsServer {
    endpoint: String,
    faults: Faults,
    store: Arc<Store>,
    serving: JoinHandle<()>,
    /// Removed with the server.
    folder: TempDir,
}

impl GcsServer {
    /// Starts one over a temporary folder and a free port, with one empty bucket.
    ///
    /// # Errors
    /// When the folder can't be made, no port can be listened on or the bucket's name isn't allowed.
    pub async fn start(bucket: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = Arc::new(Store::new(folder.path()));
        store.make_bucket(bucket).map_err(|refusal| io::Error::other(refusal.message))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let faults = Faults::default();
        let (served, broken) = (Arc::clone(&store), faults.clone());
        let answer = move |request| respond(Arc::clone(&served), broken.clone(), address, request);
        let serving = tokio::spawn(serving::accept(listener, answer));
        Ok(Self { endpoint: format!("http://{address}"), faults, store, serving, folder })
    }

    /// Gives the URL that `Storage` (JSON over HTTP) reaches it by.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Gives the URL that `StorageControl` (gRPC) reaches it by: the same one.
    pub fn grpc_endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Gives what can be made to go wrong.
    ///
    /// A gRPC request is known by its path, a space and the object it is about, as in
    /// `/google.storage.v2.Storage/GetObject backups/one`.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Names the live objects of a bucket, in order.
    pub fn objects(&self, bucket: &str) -> Vec<String> {
        let state = self.store.state();
        state.buckets.get(bucket).map(|bucket| bucket.live.keys().cloned().collect()).unwrap_or_default()
    }

    /// Gives the folder with the bytes of its objects, in files of no particular name.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Refuses every request from now on that does not carry this bearer token (401).
    pub fn require_token(&self, token: &str) {
        self.store.state().access.token = Some(token.to_owned());
    }

    /// Refuses every request about objects whose name begins with this (403).
    pub fn forbid(&self, prefix: &str) {
        self.store.state().access.forbidden.push(prefix.to_owned());
    }

    /// Says how many bytes one call of `RewriteObject` copies at most; 16 MiB at first, in whole MiB.
    pub fn rewrite_at_most(&self, bytes: u64) {
        self.store.state().rewritten_per_call = bytes;
    }
}

impl Drop for GcsServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn respond(
    store: Arc<Store>,
    faults: Faults,
    address: SocketAddr,
    request: Request<Incoming>,
) -> io::Result<Answer> {
    let mut request = request.map(s3s::Body::from);
    let grpc = rpc::is_for(&request);
    if grpc {
        request = rpc::with_target(request).await?;
    }
    let ask = |request: Request<s3s::Body>| async move {
        if grpc {
            Ok(rpc::answer(store, request).await)
        } else {
            rest::answer(&store, address, request).await
        }
    };
    faults.serve(Dialect::Json, request, ask).await
}
