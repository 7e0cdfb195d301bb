//! The server through both clients of the official crate, and over a bare connection for what they never send.

use futures_util::FutureExt as _;
use google_cloud_auth::credentials::anonymous::Builder as Anonymous;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::Code;
use google_cloud_storage::client::{Storage, StorageControl};
use google_cloud_storage::model::Object;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::GcsServer;
use super::content::Draft;
use super::preconditions::Preconditions;
use googleapis_tonic_google_storage_v2::google::storage::v2;

mod buckets;
mod faults;
mod objects;
mod refused;
mod uploads;

const BUCKET: &str = "backups";
const RESOURCE: &str = "projects/_/buckets/backups";
const MIB: usize = 1024 * 1024;

struct Bench {
    server: GcsServer,
    storage: Storage,
    control: StorageControl,
}

impl Bench {
    async fn new() -> Self {
        // A second test of this process finds it installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let server = GcsServer::start(BUCKET).await.unwrap();
        let storage = Storage::builder()
            .with_endpoint(server.endpoint())
            .with_credentials(Anonymous::new().build())
            .build()
            .await
            .unwrap();
        let control = StorageControl::builder()
            .with_endpoint(server.grpc_endpoint())
            .with_credentials(Anonymous::new().build())
            .build()
            .await
            .unwrap();
        Self { server, storage, control }
    }

    async fn write(&self, name: &str, bytes: Vec<u8>) -> Object {
        let bytes = bytes::Bytes::from(bytes);
        self.storage.write_object(RESOURCE, name, bytes).send_buffered().boxed().await.unwrap()
    }

    /// Puts an empty object into the server, without a client.
    fn place(&self, name: &str) {
        let attributes = v2::Object { name: name.to_owned(), ..Default::default() };
        let content = Draft::begin(self.server.root()).unwrap().finish();
        self.server.store.put(BUCKET, attributes, content, Preconditions::default()).unwrap();
    }

    async fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        collect(self.storage.read_object(RESOURCE, name).send().await?).await
    }

    /// Says a request as it is given, and gives status, head and body of the answer.
    async fn say(&self, request: &str) -> Said {
        let address = self.server.endpoint().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Said { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Says a request with these headers, one a line, and a body.
    async fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> Said {
        let headers: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.say(&request).await
    }
}

struct Said {
    status: u16,
    head: String,
    body: String,
}

impl Said {
    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn message(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["error"]["code"], self.status);
        body["error"]["message"].as_str().unwrap().to_owned()
    }
}

async fn collect(
    mut reader: google_cloud_storage::read_object::ReadObjectResponse,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await.transpose()? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Bytes that do not repeat at any size a chunk has.
fn noise(size: usize) -> Vec<u8> {
    let mut seed = 0x2545_f491_u32;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        seed.to_le_bytes()[1]
    };
    (0..size).map(|_| next()).collect()
}

fn code(error: &Error) -> Option<Code> {
    error.status().map(|status| status.code)
}
