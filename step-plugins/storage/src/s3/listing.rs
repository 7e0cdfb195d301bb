//! What is there: objects, and uploads that were never completed.

use jiff::Timestamp;
use rekindle_engine::host::{Key, ObjectInfo, Stamp, Unfinished};
use rekindle_engine::journal::JOURNALS;

use super::upload::CAN_WRITE;
use super::{S3Store, errors, parts, timestamp};
use crate::bucket::size;
use crate::failure::Failure;

/// Where backups, archives of binary logs, runs, and looks whether a store can be written begin.
const OURS: [&str; 4] = ["backups/", "binlogs/", JOURNALS, CAN_WRITE];

/// Lists objects by prefix in key order, page by page (1,000 keys each, the API's limit).
pub(super) async fn list(store: &S3Store, prefix: &str) -> Result<Vec<ObjectInfo>, Failure> {
    let mut pages = store
        .client
        .list_objects_v2()
        .bucket(&store.bucket)
        .prefix(format!("{}{prefix}", store.prefix))
        .set_request_payer(store.how.payer.clone())
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        for object in page.map_err(errors::failure)?.contents() {
            let name = object.key().and_then(|name| name.strip_prefix(&store.prefix));
            // Markers of "folders" and names that are no keys were put there by others.
            let Some(Ok(key)) = name.map(Key::new) else { continue };
            let modified = timestamp(object.last_modified());
            let stamp = object.e_tag().map(|etag| Stamp(etag.to_owned()));
            found.push(ObjectInfo { stamp, ..ObjectInfo::new(key, size(object.size()), modified) });
        }
    }
    // S3 promises this order (UTF-8 binary); servers that speak its protocol do not all keep it.
    found.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

/// An upload in parts, as a list tells it.
struct Begun {
    /// The whole name in the bucket.
    object: String,
    id: String,
    at: Timestamp,
}

impl Begun {
    /// Asks for its last sign of life; nothing when it was completed or aborted meanwhile. A large upload may take
    /// longer than anything is left alone: one that still gets parts is under way.
    async fn look(&self, store: &S3Store) -> Result<Option<Unfinished>, Failure> {
        let newest = match parts::newest(store, &self.object, &self.id).await {
            Ok(newest) => newest.map_or(self.at, |newest| newest.max(self.at)),
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let name = self.object.strip_prefix(&store.prefix).unwrap_or(&self.object).to_owned();
        let key = Key::new(name.as_str()).ok();
        Ok(Some(Unfinished { name, key, begun: Some(self.at), newest }))
    }
}

/// Lists the uploads below the prefix that were not completed.
pub(super) async fn unfinished(store: &S3Store) -> Result<Vec<Unfinished>, Failure> {
    let mut unfinished = Vec::new();
    for upload in uploads(store).await? {
        unfinished.extend(upload.look(store).await?);
    }
    Ok(unfinished)
}

/// Aborts uploads below the prefix that were begun before `before` and have got no part since; gives which.
pub(super) async fn remove_abandoned(store: &S3Store, before: Timestamp) -> Result<Vec<Unfinished>, Failure> {
    let mut removed = Vec::new();
    for upload in uploads(store).await?.into_iter().filter(|upload| upload.at < before) {
        if let Some(abandoned) = upload.look(store).await?.filter(|upload| upload.newest < before) {
            abort(store, &upload.object, &upload.id).await?;
            removed.push(abandoned);
        }
    }
    Ok(removed)
}

/// Lists uploads of ours. Below a prefix everything is ours. A bucket without one may be others' too: there only what
/// lies where our objects do.
async fn uploads(store: &S3Store) -> Result<Vec<Begun>, Failure> {
    if !store.prefix.is_empty() {
        return uploads_below(store, &store.prefix).await;
    }
    let mut uploads = Vec::new();
    for ours in OURS {
        uploads.extend(uploads_below(store, ours).await?);
    }
    Ok(uploads)
}

/// Lists uploads page by page (1,000 each, the API's limit).
async fn uploads_below(store: &S3Store, prefix: &str) -> Result<Vec<Begun>, Failure> {
    let (mut uploads, mut key_marker, mut upload_marker) = (Vec::new(), None, None);
    loop {
        let page = store
            .client
            .list_multipart_uploads()
            .bucket(&store.bucket)
            .prefix(prefix)
            .set_key_marker(key_marker)
            .set_upload_id_marker(upload_marker)
            .set_request_payer(store.how.payer.clone())
            .send()
            .await
            .map_err(errors::failure)?;
        uploads.extend(page.uploads().iter().filter_map(|upload| {
            let (object, id) = (upload.key()?.to_owned(), upload.upload_id()?.to_owned());
            Some(Begun { object, id, at: timestamp(upload.initiated()) })
        }));
        if !page.is_truncated().unwrap_or_default() {
            return Ok(uploads);
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        upload_marker = page.next_upload_id_marker().map(str::to_owned);
    }
}

/// Aborts an upload; one that is gone already is no error. `object` is the whole name in the bucket.
pub(super) async fn abort(store: &S3Store, object: &str, upload: &str) -> Result<(), Failure> {
    let request = store.client.abort_multipart_upload().bucket(&store.bucket).key(object).upload_id(upload);
    match request.set_request_payer(store.how.payer.clone()).send().await.map_err(errors::failure) {
        Ok(_) => Ok(()),
        Err(failure) if failure.is_not_found() => Ok(()),
        Err(failure) => Err(failure),
    }
}
