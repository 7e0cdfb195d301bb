//! A source whose bytes are counted and summed up on their way to a store.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rekindle_engine::host::{Body, BodySender, UploadSource};
use rekindle_engine::step::StepError;

use super::{Sums, Whole};
use crate::reading::Meter;

/// Where bytes come from.
#[async_trait]
pub(crate) trait Origin: Send + Sync + 'static {
    /// Names it for people.
    fn name(&self) -> &str;

    fn size_bytes(&self) -> u64;

    /// Opens a range that lies inside.
    async fn open(&self, range: Range<u64>) -> Result<Body, StepError>;

    /// Says what it means that a stream of it broke off.
    fn broken(&self, error: &io::Error) -> StepError;

    /// Judges all its bytes, before the reader learns that they have ended.
    fn check(&self, whole: &Whole) -> Result<(), StepError>;
}

/// A source for uploads. Cheap to clone; clones sum up together.
pub(crate) struct Watched<O> {
    shared: Arc<Shared<O>>,
}

impl<O> Clone for Watched<O> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<O> {
    origin: O,
    meter: Meter,
    passed: Mutex<Passed>,
}

/// What has come by.
#[derive(Default)]
struct Passed {
    /// Reading begins anew now and then; a stream of before counts no more.
    pass: u64,
    sums: Sums,
    whole: Option<Whole>,
    failed: Option<StepError>,
}

impl<O: Origin> Watched<O> {
    pub(crate) fn new(origin: O, meter: Meter) -> Self {
        Self { shared: Arc::new(Shared { origin, meter, passed: Mutex::default() }) }
    }

    /// Gives the sums of all bytes, if all have come by in one pass.
    pub(crate) fn whole(&self) -> Option<Whole> {
        self.passed().whole.clone()
    }

    /// Gives what went wrong here: the reason why a store got no whole stream.
    pub(crate) fn failure(&self) -> Option<StepError> {
        self.passed().failed.clone()
    }

    fn passed(&self) -> MutexGuard<'_, Passed> {
        self.shared.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: StepError) -> io::Error {
        let told = io::Error::other(error.message.clone());
        self.passed().failed = Some(error);
        told
    }

    /// Enters a read into the pass it belongs to.
    fn enter(&self, from: u64) -> u64 {
        let mut passed = self.passed();
        if from == 0 {
            *passed = Passed { pass: passed.pass + 1, ..Passed::default() };
        }
        passed.pass
    }

    /// Sums up a chunk, if it follows what has come by before.
    fn pass(&self, pass: u64, at: u64, bytes: &[u8]) {
        let mut passed = self.passed();
        if passed.pass == pass && passed.sums.size_bytes() == at {
            passed.sums.update(bytes);
        }
    }

    /// Judges the whole, if all of it has come by.
    fn end(&self, pass: u64) -> Result<(), StepError> {
        let whole = {
            let mut passed = self.passed();
            if passed.pass != pass || passed.sums.size_bytes() != self.shared.origin.size_bytes() {
                return Ok(());
            }
            let whole = std::mem::take(&mut passed.sums).finish();
            passed.whole = Some(whole.clone());
            whole
        };
        self.shared.origin.check(&whole)
    }

    async fn pump(self, pass: u64, range: Range<u64>, mut from: Body, to: BodySender) {
        let origin = &self.shared.origin;
        let mut at = range.start;
        loop {
            match from.next().await {
                Ok(Some(chunk)) => {
                    self.pass(pass, at, &chunk);
                    at += chunk.len() as u64;
                    self.shared.meter.add(chunk.len(), origin.name());
                    if to.send(chunk).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => return to.fail(self.fail(origin.broken(&error))).await,
            }
        }
        if at == origin.size_bytes()
            && let Err(error) = self.end(pass)
        {
            return to.fail(self.fail(error)).await;
        }
        // A reader that has gone wants nothing any more.
        let _ = to.finish().await;
    }
}

#[async_trait]
impl<O: Origin> UploadSource for Watched<O> {
    fn size_bytes(&self) -> u64 {
        self.shared.origin.size_bytes()
    }

    async fn read(&self, range: Range<u64>) -> io::Result<Body> {
        let pass = self.enter(range.start);
        let from = self.shared.origin.open(range.clone()).await.map_err(|error| self.fail(error))?;
        let (to, body) = Body::channel();
        tokio::spawn(self.clone().pump(pass, range, from, to));
        Ok(body)
    }
}
