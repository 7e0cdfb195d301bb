//! What is there: objects, and uploads that were never completed.

use jiff::Timestamp;
use rekindle_engine::host::{Key, ObjectInfo, Stamp};
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

/// Aborts uploads of ours that were begun before `before` and have got no part since; gives how many. Below a prefix
/// everything is ours. A bucket without one may be others' too: there only what lies where our objects do.
pub(super) async fn remove_abandoned(store: &S3Store, before: Timestamp) -> Result<u64, Failure> {
    if !store.prefix.is_empty() {
        return remove_below(store, &store.prefix, before).await;
    }
    let mut removed = 0;
    for ours in OURS {
        removed += remove_below(store, ours, before).await?;
    }
    Ok(removed)
}

async fn remove_below(store: &S3Store, prefix: &str, before: Timestamp) -> Result<u64, Failure> {
    let (mut removed, mut key_marker, mut upload_marker) = (0, None, None);
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
        for upload in page.uploads() {
            let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
            if timestamp(upload.initiated()) < before && !goes_on(store, key, id, before).await? {
                abort(store, key, id).await?;
                removed += 1;
            }
        }
        if !page.is_truncated().unwrap_or_default() {
            return Ok(removed);
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        upload_marker = page.next_upload_id_marker().map(str::to_owned);
    }
}

/// A large upload may take longer than anything is left alone: one that still gets parts is under way.
async fn goes_on(store: &S3Store, object: &str, id: &str, since: Timestamp) -> Result<bool, Failure> {
    match parts::newest(store, object, id).await {
        Ok(newest) => Ok(newest.is_some_and(|newest| newest >= since)),
        // Completed or aborted meanwhile.
        Err(failure) if failure.is_not_found() => Ok(true),
        Err(failure) => Err(failure),
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
