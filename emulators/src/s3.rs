//! An S3 server over a folder: `s3s-fs`, in this process, with what the real service does besides.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::Request;
use hyper::body::Incoming;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::{Dialect, Faults};
use crate::serving;
use crate::strict::{Laxity, Strict};

/// The access key that a server takes.
pub const ACCESS_KEY: &str = "AKIAEMULATOR";
/// Its secret key.
pub const SECRET_KEY: &str = "emulator/secret+key";

/// A server that ends when it is dropped.
pub struct S3Server {
    endpoint: String,
    root: PathBuf,
    faults: Faults,
    lax: Arc<Laxity>,
    /// Removed with the server.
    folder: Option<TempDir>,
    serving: JoinHandle<()>,
}

impl S3Server {
    /// Starts one over a temporary folder, with one empty bucket.
    ///
    /// # Errors
    /// When the folder can't be made or no port can be listened on.
    pub async fn start(bucket: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut server = Self::start_over(folder.path(), 0).await?;
        server.folder = Some(folder);
        std::fs::create_dir(server.root.join(bucket))?;
        Ok(server)
    }

    /// Starts one over a folder that stays; buckets are its folders. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the folder is no folder or the port can't be listened on.
    pub async fn start_over(root: &Path, port: u16) -> io::Result<Self> {
        let files = FileSystem::new(root).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let lax = Arc::default();
        let mut builder = S3ServiceBuilder::new(Strict::new(files, root, Arc::clone(&lax)));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let faults = Faults::default();
        let accepted = faults.clone();
        let answer = move |request: Request<Incoming>| {
            let (service, faults) = (service.clone(), accepted.clone());
            async move {
                let ask =
                    |request| async move { service.call(request).await.map_err(|error| unserved(&error)) };
                faults.serve(Dialect::Xml, request.map(s3s::Body::from), ask).await
            }
        };
        let serving = tokio::spawn(serving::accept(listener, answer));
        Ok(Self { endpoint, root: root.to_owned(), faults, lax, folder: None, serving })
    }

    /// Gives the URL to reach it by.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Gives what can be made to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Makes it a server that tells no checksum of parts and of what came in parts, as many do.
    pub fn tell_no_checksums(&self) {
        self.lax.tells_no_checksums.store(true, Ordering::Relaxed);
    }

    /// Makes it a server that writes whatever the conditions of a write are, as some do.
    pub fn ignore_conditions(&self) {
        self.lax.ignores_if_none_match.store(true, Ordering::Relaxed);
        self.ignore_conditions_of_replacement();
    }

    /// As [`S3Server::ignore_conditions`], but it writes nothing twice that is to be written only if there is none.
    pub fn ignore_conditions_of_replacement(&self) {
        self.lax.ignores_if_match.store(true, Ordering::Relaxed);
    }

    /// Gives the folder that holds its buckets.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn unserved(error: &s3s::HttpError) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.folder.take();
        self.serving.abort();
    }
}
