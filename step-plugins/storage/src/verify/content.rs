//! The `content` level: a dump is read once, for its checksum and for what is in it.

use std::io::{self, Read};
use std::sync::Arc;

use rekindle_backup::dump::{ContentError, check_content};
use rekindle_backup::layout::BackupUri;
use rekindle_backup::manifest::{DumpIndex, Manifest, ObjectEntry, ObjectRole};
use rekindle_engine::host::{Body, BodyReader, Key, ObjectStore};
use rekindle_engine::step::StepError;

use crate::reading::{self, Digest, Hasher, Meter};

/// The largest index that is read.
const MAX_INDEX_BYTES: usize = 512 << 20;

/// Reads a dump whole and gives what is wrong with it.
pub(super) async fn look_into(
    store: &Arc<dyn ObjectStore>,
    uri: &BackupUri,
    manifest: &Manifest,
    object: &ObjectEntry,
    meter: &Meter,
) -> Result<Vec<String>, StepError> {
    let name = &object.name;
    let key = uri.key(name).map_err(|error| StepError::permanent(error.to_string()))?;
    let index = index_of(&**store, uri, manifest, object).await?;
    let body = match reading::open(&**store, &key).await? {
        Ok(body) => body,
        Err(flaw) => return Ok(vec![flaw.of(name)]),
    };
    let mut problems = Vec::new();
    match &index {
        Some(index) => problems.extend(disagreement(manifest, object, index)),
        None => {
            problems.push(format!("`{name}` has no index that can be read, so its rows can't be compared"));
        }
    }
    problems.extend(
        read_whole(store, &key, body, object, meter, move |counted| read(counted, index.as_ref())).await?,
    );
    Ok(problems)
}

/// Lets `read` look at an object, and gives what is wrong with the object and with its content.
pub(super) async fn read_whole(
    store: &Arc<dyn ObjectStore>,
    key: &Key,
    body: Body,
    object: &ObjectEntry,
    meter: &Meter,
    read: impl FnOnce(Counted) -> io::Result<(Digest, Option<String>)> + Send + 'static,
) -> Result<Vec<String>, StepError> {
    let name = &object.name;
    let counted = Counted::new(body.into_blocking_reader(), meter, name);
    let ended = tokio::task::spawn_blocking(move || read(counted)).await;
    let ended = ended.map_err(|error| StepError::permanent(error.to_string()))?;
    if meter.is_cancelled() {
        return Err(StepError::cancelled());
    }
    Ok(match ended {
        Ok((digest, content)) => {
            let content = content.map(|what| format!("`{name}`: {what}"));
            digest.differs_from(object).into_iter().chain(content).collect()
        }
        Err(error) => vec![reading::broken(&**store, key, &error)?.of(name)],
    })
}

/// Checks the content, then reads on to the end of the object, so that its checksum is known either way.
fn read(mut counted: Counted, index: Option<&DumpIndex>) -> io::Result<(Digest, Option<String>)> {
    let content = match check_content(&mut counted, index) {
        Err(ContentError::Read(error)) => return Err(error),
        // Our own digest tells about the hash, and compares it with the manifest.
        Ok(_) | Err(ContentError::Hash { .. }) => None,
        Err(error) => Some(error.to_string()),
    };
    Ok((counted.finish()?, content))
}

/// Reads the index of a dump; nothing when it is missing or damaged, which is told under its own name.
pub(crate) async fn index_of(
    store: &dyn ObjectStore,
    uri: &BackupUri,
    manifest: &Manifest,
    object: &ObjectEntry,
) -> Result<Option<DumpIndex>, StepError> {
    for entry in manifest.objects.iter().filter(|entry| entry.role == ObjectRole::Index) {
        let key = uri.key(&entry.name).map_err(|error| StepError::permanent(error.to_string()))?;
        let Ok(bytes) = reading::read_small(store, &key, MAX_INDEX_BYTES).await? else { continue };
        if Digest::of(&bytes).differs_from(entry).is_some() {
            continue;
        }
        if let Ok(index) = serde_json::from_slice::<DumpIndex>(&bytes)
            && index.object.name == object.name
        {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Compares what the manifest and the index say of the same dump.
pub(super) fn disagreement(manifest: &Manifest, object: &ObjectEntry, index: &DumpIndex) -> Option<String> {
    let is_main = matches!(object.role, ObjectRole::Full | ObjectRole::Files);
    let same = index.object == *object && (!is_main || index.inventory == manifest.inventory);
    let same = same && (object.role != ObjectRole::Files || index.physical == manifest.physical);
    (!same).then(|| format!("the index of `{}` and the manifest disagree", object.name))
}

/// Counts and hashes what passes by, and stops when the step should.
pub(super) struct Counted {
    body: BodyReader,
    hasher: Hasher,
    meter: Meter,
    note: String,
}

impl Counted {
    fn new(body: BodyReader, meter: &Meter, name: &str) -> Self {
        Self { body, hasher: Hasher::default(), meter: meter.clone(), note: name.to_owned() }
    }

    /// Reads on to the end, and gives the checksum of everything.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.hasher.finish())
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.meter.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let length = self.body.read(into)?;
        self.hasher.update(&into[..length]);
        self.meter.add(length, &self.note);
        Ok(length)
    }
}
