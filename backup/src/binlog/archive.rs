//! What of binary logs lies in a store: entries read and put in order. Only what has an entry is archived.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use rekindle_engine::host::{Body, Key, ObjectInfo, ObjectStore, PutMode, StoreError, StoreErrorKind};
use rekindle_engine::step::StepError;

use super::key::{SegmentKey, TimelineKey, timeline_of};
use super::segment::{Covered, SEGMENT_FORMAT, Segment};
use crate::sealed;

/// Entries are about a kilobyte; sets of GTIDs can be long.
const LARGEST_ENTRY_BYTES: usize = 16 << 20;
/// How many entries are read side by side.
const AT_ONCE: usize = 16;

/// The logs of one server, as they follow one another.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// Where it lies.
    pub key: TimelineKey,
    /// Its segments, in the order of the logs. Never empty.
    pub segments: Vec<Segment>,
    /// How far it is covered, when that was noted.
    pub covered: Option<Covered>,
}

impl Timeline {
    /// Tells until when nothing of the server is missing at the end (UTC, by the server's clock).
    pub fn covered_until(&self) -> Option<Timestamp> {
        let last = self.segments.last()?;
        let noted =
            self.covered.as_ref().filter(|covered| covered.last == last.name()).map(|covered| covered.at);
        Some(noted.map_or(last.covered_until, |at| at.max(last.covered_until)))
    }

    /// Gives what orders timelines: the server, when its logs were begun, and, since servers note that in whole seconds,
    /// when they were archived.
    fn age(&self) -> (&str, Option<(Timestamp, Timestamp)>) {
        let first = self.segments.first().map(|first| (first.log_created_at, first.archived_at));
        (&self.key.server, first)
    }
}

/// What lies in a store without being part of a segment: an object whose archiver died before its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The object.
    pub object: ObjectInfo,
}

/// Lists the places of all segments of a cluster, without reading any.
///
/// # Errors
/// When the store can't be listed.
pub async fn places(
    store: &dyn ObjectStore,
    cluster: &str,
) -> Result<BTreeMap<TimelineKey, Vec<SegmentKey>>, StoreError> {
    places_below(store, &TimelineKey::cluster_prefix(cluster)).await
}

/// Lists the places of all segments of one server.
///
/// # Errors
/// As [`places`].
pub async fn places_of(
    store: &dyn ObjectStore,
    cluster: &str,
    server: &str,
) -> Result<BTreeMap<TimelineKey, Vec<SegmentKey>>, StoreError> {
    places_below(store, &TimelineKey::server_prefix(cluster, server)).await
}

async fn places_below(
    store: &dyn ObjectStore,
    prefix: &str,
) -> Result<BTreeMap<TimelineKey, Vec<SegmentKey>>, StoreError> {
    let mut places: BTreeMap<TimelineKey, Vec<SegmentKey>> = BTreeMap::new();
    for object in listed(store, prefix).await? {
        if let Some((timeline, segment)) = SegmentKey::read(&object.key) {
            places.entry(timeline).or_default().push(segment);
        }
    }
    for segments in places.values_mut() {
        segments.sort();
    }
    Ok(places)
}

/// Reads all timelines of a cluster, by server and age.
///
/// # Errors
/// When the store can't be read, or an entry is damaged.
pub async fn load(store: &dyn ObjectStore, cluster: &str) -> Result<Vec<Timeline>, StepError> {
    let mut timelines = Vec::new();
    for (key, places) in places(store, cluster).await? {
        timelines.push(load_timeline(store, &key, &places).await?);
    }
    timelines.sort_by(|one, other| one.age().cmp(&other.age()));
    Ok(timelines)
}

/// Reads one timeline whose places were listed.
///
/// # Errors
/// As [`load`].
pub async fn load_timeline(
    store: &dyn ObjectStore,
    key: &TimelineKey,
    places: &[SegmentKey],
) -> Result<Timeline, StepError> {
    // Owned, so that the future can go to any thread.
    let reading = futures_util::stream::iter(places.to_vec())
        .map(|place| async move { load_segment(store, key, &place).await });
    let segments = reading.buffered(AT_ONCE).try_collect().await?;
    Ok(Timeline { key: key.clone(), segments, covered: load_covered(store, key).await? })
}

/// Reads the entry of a segment.
///
/// # Errors
/// When it can't be read, is damaged, or is of another place.
pub async fn load_segment(
    store: &dyn ObjectStore,
    timeline: &TimelineKey,
    place: &SegmentKey,
) -> Result<Segment, StepError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let key = timeline.key(&place.entry()).map_err(|error| StepError::permanent(error.to_string()))?;
    let bytes = read(store, &key).await?;
    let damaged = |why: String| {
        StepError::permanent(format!("`{key}` in {} is damaged: {why}", store.url()))
            .help("what it describes can't be replayed; a full backup that is newer than it needs none of it")
    };
    let Format { format } = sealed::open(&bytes).map_err(|error| damaged(error.to_string()))?;
    if format > SEGMENT_FORMAT {
        return Err(StepError::permanent(format!(
            "`{key}` in {} is of format {format}, and this rekindle reads up to {SEGMENT_FORMAT}",
            store.url()
        ))
        .help("upgrade rekindle"));
    }
    let segment: Segment = sealed::open(&bytes).map_err(|error| damaged(error.to_string()))?;
    if (segment.log.as_str(), segment.from) != (place.log.as_str(), place.from)
        || segment.timeline != timeline.timeline
        || timeline.key(&segment.object).is_err()
    {
        return Err(damaged(format!("it is of {} in {}", segment.name(), segment.timeline)));
    }
    Ok(segment)
}

/// Stores the entry of a segment whose object is there. Gives false when another archiver was first.
///
/// # Errors
/// When it can't be written.
pub async fn store_segment(
    store: &dyn ObjectStore,
    timeline: &TimelineKey,
    segment: &Segment,
) -> Result<bool, StepError> {
    let place = SegmentKey { number: segment.number, from: segment.from, log: segment.log.clone() };
    let key = timeline.key(&place.entry()).map_err(|error| StepError::permanent(error.to_string()))?;
    let bytes = sealed::seal(segment).map_err(|error| StepError::permanent(error.to_string()))?;
    match store.put(&key, Body::from_bytes(bytes), PutMode::IfAbsent).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind == StoreErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads how far a timeline is covered. What can't be read is only a note, and counts as none.
async fn load_covered(store: &dyn ObjectStore, key: &TimelineKey) -> Result<Option<Covered>, StepError> {
    let covered = key.covered().map_err(|error| StepError::permanent(error.to_string()))?;
    match store.read_stamped(&covered, LARGEST_ENTRY_BYTES).await {
        Ok(found) => Ok(found.and_then(|(bytes, _)| sealed::open(&bytes).ok())),
        Err(error) => Err(error.into()),
    }
}

/// Notes how far a timeline is covered.
///
/// # Errors
/// When it can't be written.
pub async fn store_covered(
    store: &dyn ObjectStore,
    key: &TimelineKey,
    covered: &Covered,
) -> Result<(), StepError> {
    let wrong = |error: String| StepError::permanent(error);
    let place = key.covered().map_err(|error| wrong(error.to_string()))?;
    let bytes = sealed::seal(covered).map_err(|error| wrong(error.to_string()))?;
    store.put(&place, Body::from_bytes(bytes), PutMode::Replace).await?;
    Ok(())
}

/// Lists objects that belong to no segment of `timelines` and were last written before `before`.
///
/// # Errors
/// When the store can't be listed.
pub async fn strays(
    store: &dyn ObjectStore,
    cluster: &str,
    timelines: &[Timeline],
    before: Timestamp,
) -> Result<Vec<Stray>, StoreError> {
    let known = |object: &ObjectInfo| {
        let Some((key, name)) = timeline_of(&object.key) else { return true };
        let is_entry = name == "covered.json" || SegmentKey::read(&object.key).is_some();
        is_entry
            || timelines
                .iter()
                .filter(|timeline| timeline.key == key)
                .any(|timeline| timeline.segments.iter().any(|segment| segment.object == name))
    };
    let objects = listed(store, &TimelineKey::cluster_prefix(cluster)).await?;
    let strays = objects.into_iter().filter(|object| object.modified < before && !known(object));
    Ok(strays.map(|object| Stray { object }).collect())
}

/// Lists everything; a store that is still to be made holds nothing.
async fn listed(store: &dyn ObjectStore, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
    match store.list(prefix).await {
        Err(error) if error.kind == StoreErrorKind::NotFound => Ok(Vec::new()),
        listed => listed,
    }
}

async fn read(store: &dyn ObjectStore, key: &Key) -> Result<Vec<u8>, StepError> {
    let body = store.get(key, None).await?;
    body.collect(LARGEST_ENTRY_BYTES).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => {
            StepError::permanent(format!("`{key}` in {} is no entry: {error}", store.url()))
        }
        _ => StepError::transient(format!("failed to read `{key}` in {}: {error}", store.url())),
    })
}
