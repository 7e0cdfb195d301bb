//! What is there: objects, and parts of writes that never came to their end.

use std::collections::BTreeMap;

use google_cloud_storage::model::Object;
use jiff::Timestamp;
use rekindle_engine::host::{Key, ObjectInfo, Unfinished};
use tokio::task::JoinSet;

use super::retry::patiently;
use super::{GcsStore, PARTS, download, errors, requests};
use crate::bucket::parts::take;
use crate::failure::Failure;

/// The most that one page has (Cloud Storage JSON API, `Objects: list`).
const PAGE_OBJECTS: i32 = 1000;
/// How many removals are under way.
const MOST_REMOVALS: usize = 16;

/// Lists objects by prefix in key order, page by page.
pub(super) async fn list(store: &GcsStore, prefix: &str) -> Result<Vec<ObjectInfo>, Failure> {
    let mut found = Vec::new();
    let mut page = Page::first(format!("{}{prefix}", store.prefix));
    while let Some(objects) = page.next(store).await? {
        for object in objects {
            let name = object.name.strip_prefix(&store.prefix);
            // Parts, markers of "folders" and whatever others put there are no keys.
            let Some(Ok(key)) = name.map(Key::new) else { continue };
            found.push(download::info(key, &object));
        }
    }
    // The service promises this order (UTF-8 binary); servers that speak its protocol do not all keep it.
    found.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

/// Lists the writes below the prefix that have left parts, with those. Their names do not tell what they are to become.
pub(super) async fn unfinished(store: &GcsStore) -> Result<Vec<(Unfinished, Vec<Object>)>, Failure> {
    let mut writes: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    let prefix = store.parts();
    let mut page = Page::first(prefix.clone());
    while let Some(objects) = page.next(store).await? {
        for object in objects {
            let rest = object.name.strip_prefix(&prefix).unwrap_or_default();
            let Some((write, _)) = rest.split_once('/') else { continue };
            writes.entry(write.to_owned()).or_default().push(object);
        }
    }
    let told = |(write, parts): (String, Vec<Object>)| {
        let begun = parts.iter().map(written).min();
        let newest = parts.iter().map(written).max().unwrap_or(Timestamp::MAX);
        (Unfinished { name: format!("{PARTS}{write}"), key: None, begun, newest }, parts)
    };
    Ok(writes.into_iter().map(told).collect())
}

/// Removes the parts of writes below the prefix whose newest part was written before `before`; gives which writes they
/// were of.
pub(super) async fn remove_abandoned(
    store: &GcsStore,
    before: Timestamp,
) -> Result<Vec<Unfinished>, Failure> {
    let mut removed = Vec::new();
    for (write, parts) in unfinished(store).await? {
        if write.newest < before {
            remove(store, parts.into_iter().map(|part| (part.name, part.generation)).collect()).await?;
            removed.push(write);
        }
    }
    Ok(removed)
}

/// Lists whatever there is of one write's parts.
pub(super) async fn parts_of(store: &GcsStore, write: &str) -> Result<Vec<Object>, Failure> {
    let (mut parts, mut page) = (Vec::new(), Page::first(format!("{}{write}/", store.parts())));
    while let Some(objects) = page.next(store).await? {
        parts.extend(objects);
    }
    Ok(parts)
}

/// Removes whatever is left of one write's parts.
pub(super) async fn remove_parts(store: &GcsStore, write: &str) -> Result<(), Failure> {
    let mut page = Page::first(format!("{}{write}/", store.parts()));
    while let Some(objects) = page.next(store).await? {
        remove(store, objects.into_iter().map(|part| (part.name, part.generation)).collect()).await?;
    }
    Ok(())
}

/// Removes parts for good, several at once: by their generation, so that a bucket that keeps old generations
/// does not keep these.
pub(super) async fn remove(store: &GcsStore, parts: Vec<(String, i64)>) -> Result<(), Failure> {
    let mut under_way = JoinSet::new();
    for (name, generation) in parts {
        if under_way.len() >= MOST_REMOVALS {
            take(&mut under_way).await?;
        }
        let store = store.clone();
        under_way.spawn(async move { requests::delete(&store, &name, Some(generation)).await });
    }
    while take(&mut under_way).await?.is_some() {}
    Ok(())
}

fn written(object: &Object) -> Timestamp {
    let time = object.create_time.as_ref().map(|time| (time.seconds(), time.nanos()));
    // What does not tell its age is not old.
    time.map_or(Timestamp::MAX, |(seconds, nanoseconds)| crate::bucket::timestamp(seconds, nanoseconds))
}

/// A list that is read page by page.
struct Page {
    prefix: String,
    /// Nothing after the last page; empty before the first.
    token: Option<String>,
}

impl Page {
    fn first(prefix: String) -> Self {
        Self { prefix, token: Some(String::new()) }
    }

    async fn next(&mut self, store: &GcsStore) -> Result<Option<Vec<Object>>, Failure> {
        let Some(token) = self.token.take() else { return Ok(None) };
        let page = patiently(store, 0, || {
            let request = store
                .control
                .list_objects()
                .set_parent(store.bucket())
                .set_prefix(&self.prefix)
                .set_page_size(PAGE_OBJECTS)
                .set_page_token(&token);
            store.billed(request).send()
        })
        .await
        .map_err(errors::of_the_bucket)?;
        self.token = Some(page.next_page_token).filter(|token| !token.is_empty());
        Ok(Some(page.objects))
    }
}
