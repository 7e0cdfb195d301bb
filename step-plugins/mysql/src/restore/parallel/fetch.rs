//! Members of a dump object, one range each: read, proven, decompressed and split before anything of them is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rekindle_backup::dump::{MemberDamage, MemberText};
use rekindle_backup::manifest::{DumpIndex, Member};
use rekindle_engine::host::{Key, ObjectStore};
use rekindle_engine::step::{ErrorClass, StepError};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::restore::send::Outgoing;

/// How much of members and their texts may be held at once, by all sessions. A member that needs more is held alone.
const HELD_KIB: u32 = 48 << 10;
/// Reading again is safe: nothing of a member was used before it was proven.
const TRIES: u32 = 3;

/// The members of one object.
pub(super) struct Members<'a> {
    store: &'a dyn ObjectStore,
    key: Key,
    index: &'a DumpIndex,
    held: Semaphore,
    read_bytes: AtomicU64,
}

/// A member that is proven.
pub(super) struct Opened<'a> {
    pub(super) text: MemberText,
    pub(super) database: Option<&'a str>,
    offset: u64,
    _held: SemaphorePermit<'a>,
}

impl Opened<'_> {
    /// Gives its statements in order, as they are sent.
    pub(super) fn outgoing(&self) -> impl Iterator<Item = Outgoing<'_>> {
        self.text.statements.iter().map(|statement| Outgoing {
            sql: self.text.sql(statement),
            kind: &statement.kind,
            offset: self.offset + statement.range.start as u64,
            line: None,
        })
    }
}

impl<'a> Members<'a> {
    pub(super) fn new(store: &'a dyn ObjectStore, key: Key, index: &'a DumpIndex) -> Self {
        let held = Semaphore::new(HELD_KIB as usize);
        Self { store, key, index, held, read_bytes: AtomicU64::new(0) }
    }

    /// Gives how much of the object was read.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    /// Counts what need not be read.
    pub(super) fn pass(&self, bytes: u64) {
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Reads a member and proves it.
    ///
    /// # Errors
    /// When it can't be read, or is not the one that was written.
    pub(super) async fn open(&'a self, number: usize) -> Result<Opened<'a>, StepError> {
        let Some(member) = self.index.members.get(number) else {
            return Err(StepError::permanent(format!("`{}` has no gzip member {number}", self.name())));
        };
        let needed = (member.size_bytes + 2 * member.text_bytes) / 1024 + 1;
        let needed = u32::try_from(needed).unwrap_or(HELD_KIB).min(HELD_KIB);
        let held = self.held.acquire_many(needed).await;
        let held = held.map_err(|error| StepError::permanent(error.to_string()))?;
        let mut tries = 1;
        let bytes = loop {
            match self.read(member).await {
                Err(error) if error.class == ErrorClass::Transient && tries < TRIES => tries += 1,
                read => break read?,
            }
        };
        let proven = Arc::new((bytes, member.clone()));
        let text = tokio::task::spawn_blocking(move || MemberText::open(&proven.0, &proven.1)).await;
        let text = text.map_err(|error| StepError::permanent(format!("a reader ended: {error}")))?;
        let text = text.map_err(|damage| self.damaged(number, member, &damage))?;
        self.read_bytes.fetch_add(member.size_bytes, Ordering::Relaxed);
        Ok(Opened { text, database: member.database.as_deref(), offset: member.text_offset, _held: held })
    }

    async fn read(&self, member: &Member) -> Result<Vec<u8>, StepError> {
        let range = member.offset..member.offset + member.size_bytes;
        let body = self.store.get(&self.key, Some(range)).await?;
        let limit = usize::try_from(member.size_bytes).unwrap_or(usize::MAX);
        body.collect(limit).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => {
                StepError::permanent(format!("`{}` can't be read: {error}", self.name())).help(DAMAGED)
            }
            _ => StepError::transient(format!("failed to read `{}`: {error}", self.name())),
        })
    }

    fn name(&self) -> &str {
        &self.index.object.name
    }

    fn damaged(&self, number: usize, member: &Member, damage: &MemberDamage) -> StepError {
        let end = member.offset + member.size_bytes;
        let table = match (&member.database, &member.table) {
            (Some(database), Some(table)) => format!(", of table {database}.{table}"),
            (Some(_) | None, Some(_) | None) => String::new(),
        };
        let place = format!("gzip member {number} (bytes {} to {end}{table})", member.offset);
        match damage {
            MemberDamage::Hash { .. } | MemberDamage::Text { .. } | MemberDamage::Unproven => {
                StepError::permanent(format!("`{}` is damaged: {place}: {damage}", self.name())).help(DAMAGED)
            }
            MemberDamage::Sql(error) => {
                StepError::permanent(format!("`{}` is no sound dump: {place}: {error}", self.name()))
            }
        }
    }
}

const DAMAGED: &str = "nothing of what is damaged was loaded; restore another backup or a copy of this one";
