//! The parts that an upload has already: what the store tells of them, and whether they are the bytes of the source.

use std::collections::BTreeMap;

use aws_sdk_s3::types::Part;
use jiff::Timestamp;
use md5::{Digest as _, Md5};

use super::{S3Store, Sum, errors, timestamp};
use crate::bucket::size;
use crate::failure::Failure;

/// A part that the store has, as a list tells it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) etag: String,
    size_bytes: u64,
    /// CRC64NVME; not every server tells it.
    sum: Option<String>,
    arrived: Timestamp,
}

impl Listed {
    fn read(part: &Part) -> Self {
        Self {
            etag: part.e_tag().unwrap_or_default().to_owned(),
            size_bytes: size(part.size()),
            sum: part.checksum_crc64_nvme().map(str::to_owned),
            arrived: timestamp(part.last_modified()),
        }
    }

    /// Tells whether it has these bytes. Where no checksum is told, the `ETag` is their MD5, unless the store
    /// encrypts with a key of its own service (Amazon S3 API Reference, `Object`): then nothing agrees, and the
    /// part is sent again.
    pub(super) fn is(&self, bytes: &[u8], sum: Sum) -> bool {
        self.size_bytes == sum.size_bytes
            && match &self.sum {
                Some(told) => *told == sum.text(),
                None => self.etag.trim_matches('"') == hex::encode(Md5::digest(bytes)),
            }
    }
}

/// Lists the parts of an upload by number, page by page (1,000 parts each, the API's limit).
///
/// # Errors
/// `NotFound` when there is no such upload: completed, aborted or expired.
pub(super) async fn list(store: &S3Store, object: &str, id: &str) -> Result<BTreeMap<i32, Listed>, Failure> {
    let (mut parts, mut marker) = (BTreeMap::new(), None);
    loop {
        let page = store
            .client
            .list_parts()
            .bucket(&store.bucket)
            .key(object)
            .upload_id(id)
            .set_part_number_marker(marker)
            .set_request_payer(store.how.payer.clone())
            .send()
            .await
            .map_err(errors::failure)?;
        let before = parts.len();
        parts.extend(page.parts().iter().filter_map(|part| Some((part.part_number()?, Listed::read(part)))));
        marker = page.next_part_number_marker().map(str::to_owned);
        // A server that gives the same page for ever is not followed.
        if !page.is_truncated().unwrap_or_default() || marker.is_none() || parts.len() == before {
            return Ok(parts);
        }
    }
}

/// Tells when the last part arrived; `None` when there is none.
pub(super) async fn newest(store: &S3Store, object: &str, id: &str) -> Result<Option<Timestamp>, Failure> {
    Ok(list(store, object, id).await?.values().map(|part| part.arrived).max())
}
