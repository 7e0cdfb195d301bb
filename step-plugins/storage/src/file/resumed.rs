//! An upload that goes on after a crash: an unfinished file whose name is kept, compared with the source on the way.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Weak;

use bytes::{Bytes, BytesMut};
use rekindle_engine::host::{Body, Key, ObjectInfo, PutMode, Resumption, StoreErrorKind, UploadSource};
use serde::{Deserialize, Serialize};

use super::write::{self, BUFFER_BYTES, Partial};
use super::{Place, read};
use crate::failure::Failure;
use crate::naming::new_mark;

const PREFIX: &str = "upload-";

/// What is kept of an upload.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The name of the unfinished file.
    partial: String,
}

/// Finds the name of the unfinished file, or keeps a new one; opens the source.
pub(super) async fn begin(
    source: &dyn UploadSource,
    Resumption { earlier, keep, .. }: Resumption<'_>,
) -> Result<(String, Body), Failure> {
    let earlier = earlier.and_then(|state| serde_json::from_value::<Kept>(state.clone()).ok());
    let earlier = earlier.map(|kept| kept.partial).filter(|name| is_name(name));
    let partial = earlier.clone().unwrap_or_else(|| format!("{PREFIX}{}", new_mark()));
    let kept = Kept { partial };
    if earlier.is_none() {
        let state = serde_json::to_value(&kept).map_err(|error| Failure::invalid(error.to_string()))?;
        keep.keep(state).await.map_err(Failure::of_source)?;
    }
    let body = source.read(0..source.size_bytes()).await.map_err(Failure::of_source)?;
    Ok((kept.partial, body))
}

/// Nothing else is opened, whatever stands in the journal.
fn is_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|mark| mark.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Writes what is not there yet, and makes the object. A failure before leaves the unfinished file.
pub(super) fn write(
    place: &Place,
    key: &Key,
    (name, body): (&str, Body),
    mode: PutMode,
    caller: &Weak<()>,
) -> Result<ObjectInfo, Failure> {
    if mode == PutMode::IfAbsent && read::head(place, key)?.is_some() {
        // Its unfinished file, if there is one, is not what this object is of.
        Partial::resume(place, name)?.discard();
        return Err(Failure::new(StoreErrorKind::AlreadyExists, "it is there already"));
    }
    let partial = Partial::resume(place, name)?;
    match receive(&partial.file, body, caller) {
        Ok(()) => partial.finish(place, key, mode),
        Err(failure) => {
            partial.leave();
            Err(failure)
        }
    }
}

/// Compares the bytes that are there with those that come, and writes from the first that differ, or are missing.
fn receive(file: &File, mut body: Body, caller: &Weak<()>) -> Result<(), Failure> {
    let there = file.metadata()?.len();
    let (mut at, mut going_on) = (0, false);
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    while let Some(chunk) = body.blocking_next().map_err(Failure::of_source)? {
        // The source goes on giving, whether anybody waits for the end or not.
        write::unless_cancelled(caller)?;
        let end = at + chunk.len() as u64;
        if !(going_on || end <= there && has(file, at, &chunk)?) {
            // What a machine's crash left behind its last bytes may be anything.
            file.set_len(at)?;
            std::io::Seek::seek(&mut writer, std::io::SeekFrom::Start(at))?;
            going_on = true;
        }
        if going_on {
            writer.write_all(&chunk)?;
        }
        at = end;
    }
    writer.flush()?;
    drop(writer);
    if !going_on {
        file.set_len(at)?;
    }
    file.sync_all()?;
    write::unless_cancelled(caller)
}

fn has(file: &File, at: u64, bytes: &Bytes) -> Result<bool, Failure> {
    let mut there = BytesMut::zeroed(bytes.len());
    file.read_exact_at(&mut there, at)?;
    Ok(there == bytes)
}
