//! The parts of one write: sent side by side, put in their order, and composed into one object beside the key.
//!
//! Parts are of the standard class whatever the store's own is: a composed object has the class of its sources,
//! and every other class has fees for objects that are removed early (Cloud Storage documentation, "Composite
//! objects", "Compose objects").

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use google_cloud_storage::model::Object;
use rekindle_engine::host::StoreErrorKind;

use super::requests::Write;
use super::upload::Expected;
use super::{GcsStore, Sum, listing, requests};
use crate::failure::Failure;

/// How many objects one request composes (Cloud Storage JSON API, `Objects: compose`).
const MOST_SOURCES: usize = 32;
const CLASS_OF_PARTS: &str = "STANDARD";

/// An object that holds a piece of the stream.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) name: String,
    pub(super) generation: i64,
    pub(super) sum: Sum,
}

/// A write in parts that removes them when it is dropped before it is done, unless its mark is kept by a run.
pub(super) struct Pieces {
    store: GcsStore,
    mark: String,
    joined: AtomicU32,
    /// Removed, or to go on later.
    done: AtomicBool,
    /// Parts that were joined stay too: whoever goes on compares each with the source.
    kept: bool,
}

impl Pieces {
    pub(super) fn of_write(store: &GcsStore, mark: &str) -> Self {
        Self::new(store, mark, false)
    }

    /// Goes on with one whose mark was kept.
    pub(super) fn kept(store: &GcsStore, mark: &str) -> Self {
        Self::new(store, mark, true)
    }

    fn new(store: &GcsStore, mark: &str, kept: bool) -> Self {
        let (joined, done) = (AtomicU32::new(0), AtomicBool::new(kept));
        Self { store: store.clone(), mark: mark.to_owned(), joined, done, kept }
    }

    fn name(&self, piece: &str) -> String {
        format!("{}{}/{piece}", self.store.parts(), self.mark)
    }

    /// Sends a part with its checksum, which the service compares.
    pub(super) async fn send(self: Arc<Self>, number: u32, bytes: Bytes) -> Result<(u32, Piece), Failure> {
        let (name, sum) = (self.name(&number.to_string()), Sum::of(&bytes));
        let sent = requests::write(&self.store, &self.as_write(&name), bytes, sum).await;
        Ok((number, self.taken(name, sum, sent).await?))
    }

    /// Sends a part in place of one that is there and has other bytes.
    pub(super) async fn replace(
        self: Arc<Self>,
        generation: Option<i64>,
        number: u32,
        bytes: Bytes,
    ) -> Result<(u32, Piece), Failure> {
        if let Some(generation) = generation {
            requests::delete(&self.store, &self.name(&number.to_string()), Some(generation)).await?;
        }
        self.send(number, bytes).await
    }

    /// Lists what is there of the parts, by number, and removes what was made of them: it may be of a source that has
    /// changed since, and costs no bytes to make again.
    pub(super) async fn there(&self) -> Result<BTreeMap<u32, Object>, Failure> {
        let (mut parts, mut made) = (BTreeMap::new(), Vec::new());
        for object in listing::parts_of(&self.store, &self.mark).await? {
            match object.name.rsplit('/').next().and_then(|number| number.parse().ok()) {
                Some(number) => _ = parts.insert(number, object),
                None => made.push((object.name, object.generation)),
            }
        }
        listing::remove(&self.store, made).await?;
        Ok(parts)
    }

    /// Makes one piece of up to 32 that follow each other, and removes them.
    async fn join(&self, pieces: &[Piece]) -> Result<Piece, Failure> {
        let name = self.name(&format!("joined-{}", self.joined.fetch_add(1, Ordering::Relaxed)));
        let sum = pieces.iter().fold(Sum::default(), |sum, piece| sum.followed_by(piece.sum));
        let sources: Vec<_> = pieces.iter().map(|piece| (piece.name.clone(), piece.generation)).collect();
        let composed = requests::compose(&self.store, &self.as_write(&name), &sources, sum).await;
        let joined = self.taken(name, sum, composed).await?;
        if !self.kept
            && let Err(failure) = listing::remove(&self.store, sources).await
        {
            tracing::debug!(why = failure.why, "parts were left behind");
        }
        Ok(joined)
    }

    fn as_write<'a>(&'a self, object: &'a str) -> Write<'a> {
        Write { object, only_if: Some(0), class: CLASS_OF_PARTS, mark: &self.mark }
    }

    /// Compares what the service has with what it was given. The names are this write's alone: one that is taken
    /// already was so by a request of our own, whose answer got lost.
    async fn taken(&self, name: String, sum: Sum, answer: Result<Object, Failure>) -> Result<Piece, Failure> {
        let found = match answer {
            Ok(found) => found,
            Err(failure) if failure.kind == StoreErrorKind::AlreadyExists => {
                match requests::look(&self.store, &self.store.bucket(), &name).await? {
                    Some(found) => found,
                    None => return Err(failure),
                }
            }
            Err(failure) if failure.is_not_found() => {
                let why = format!("somebody has removed a part of it meanwhile: {}", failure.why);
                return Err(Failure::new(StoreErrorKind::Unavailable, why));
            }
            Err(failure) => return Err(failure),
        };
        Expected::of(sum).compare(&found)?;
        Ok(Piece { name, generation: found.generation, sum })
    }

    /// Says that nothing is left to be removed.
    pub(super) fn forget(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// Removes what is left of the parts.
    pub(super) async fn clear(&self) {
        if let Err(failure) = listing::remove_parts(&self.store, &self.mark).await {
            // They are not listed, and found by `remove_abandoned`.
            tracing::warn!(
                store = self.store.url,
                why = failure.why,
                "parts of a write were left behind: `backup.prune` removes them"
            );
        }
        self.forget();
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if *self.done.get_mut() {
            return;
        }
        let (store, mark) = (self.store.clone(), self.mark.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // What can't be removed now is not listed, and found by `remove_abandoned`.
            runtime.spawn(async move {
                if let Err(failure) = listing::remove_parts(&store, &mark).await {
                    tracing::debug!(mark, why = failure.why, "parts were left behind");
                }
            });
        }
    }
}

/// Puts pieces in a row as they arrive, and joins them on the way, so that there are never many.
pub(super) struct Row {
    pieces: Arc<Pieces>,
    /// Arrived before one that belongs before them.
    early: BTreeMap<u32, Piece>,
    next: u32,
    /// Each level holds fewer pieces than one request joins, a piece being 32 of the level below; the highest
    /// level holds the beginning of the stream.
    levels: Vec<Vec<Piece>>,
}

impl Row {
    pub(super) fn new(pieces: &Arc<Pieces>) -> Self {
        Self { pieces: Arc::clone(pieces), early: BTreeMap::new(), next: 1, levels: Vec::new() }
    }

    /// Takes a part in.
    pub(super) async fn arrived(&mut self, (number, piece): (u32, Piece)) -> Result<(), Failure> {
        self.early.insert(number, piece);
        while let Some(piece) = self.early.remove(&self.next) {
            self.next += 1;
            self.add(piece).await?;
        }
        Ok(())
    }

    async fn add(&mut self, mut piece: Piece) -> Result<(), Failure> {
        let mut level = 0;
        loop {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return Ok(()) };
            row.push(piece);
            if row.len() < MOST_SOURCES {
                return Ok(());
            }
            let full = std::mem::take(row);
            piece = self.pieces.join(&full).await?;
            level += 1;
        }
    }

    /// Joins everything into one; nothing when nothing arrived.
    pub(super) async fn whole(self) -> Result<Option<Piece>, Failure> {
        let mut row: Vec<Piece> = self.levels.into_iter().rev().flatten().collect();
        while row.len() > 1 {
            let rest = row.split_off(row.len().min(MOST_SOURCES));
            let joined = self.pieces.join(&row).await?;
            row = std::iter::once(joined).chain(rest).collect();
        }
        Ok(row.pop())
    }
}
