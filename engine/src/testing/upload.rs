//! A source in memory for uploads, and a place where their states are kept to be looked at.

use std::io;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::locked;
use crate::host::{Body, KeepState, UploadSource};

/// Bytes that can be read again, or break off on request.
pub struct MemorySource {
    bytes: Bytes,
    breaks_at: Option<u64>,
    reads: Mutex<Vec<Range<u64>>>,
}

impl MemorySource {
    /// Makes a source of bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), breaks_at: None, reads: Mutex::default() }
    }

    /// Makes every read break off that comes to this byte.
    #[must_use]
    pub fn breaks_at(self, byte: u64) -> Self {
        Self { breaks_at: Some(byte), ..self }
    }

    /// Gives the ranges that were read, oldest first.
    pub fn reads(&self) -> Vec<Range<u64>> {
        locked(&self.reads).clone()
    }
}

#[async_trait]
impl UploadSource for MemorySource {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, range: Range<u64>) -> io::Result<Body> {
        locked(&self.reads).push(range.clone());
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.bytes.len());
        let breaks = self.breaks_at.filter(|at| range.contains(at));
        let bytes = self.bytes.slice(index(range.start)..index(breaks.unwrap_or(range.end)));
        let (sender, body) = Body::channel();
        tokio::spawn(async move {
            // A reader that has gone wants neither.
            if !bytes.is_empty() && sender.send(bytes).await.is_err() {
                return;
            }
            match breaks {
                Some(_) => sender.fail(io::Error::other("the source broke off")).await,
                None => drop(sender.finish().await),
            }
        });
        Ok(body)
    }
}

/// Keeps states in memory.
#[derive(Default)]
pub struct KeptStates {
    states: Mutex<Vec<Value>>,
}

impl KeptStates {
    /// Gives the states, oldest first.
    pub fn all(&self) -> Vec<Value> {
        locked(&self.states).clone()
    }

    /// Gives what the next try finds.
    pub fn last(&self) -> Option<Value> {
        locked(&self.states).last().cloned()
    }
}

#[async_trait]
impl KeepState for KeptStates {
    async fn keep(&self, state: Value) -> io::Result<()> {
        locked(&self.states).push(state);
        Ok(())
    }
}
