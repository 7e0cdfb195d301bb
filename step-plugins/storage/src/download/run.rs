//! Goes on from the byte that is known to be there, reads back all that is written, proves the whole by that, and only
//! then gives it its name.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rekindle_engine::host::{Body, Key, ObjectInfo, ObjectStore, Stamp, StoreErrorKind};
use rekindle_engine::step::{Probe, StepContext, StepError};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::part::{Part, another};
use super::read_back::ReadBack;
use super::writer::Writer;
use super::{DownloadOutputs, DownloadParams};
use crate::reading::{self, Meter};
use crate::transfer::{IfExists, State, Whole, differs, differs_from_checksum, digest_file, told};

/// After so many bytes, or a thousandth of all when that is more, they are synced and the journal says so, while
/// others come.
const SYNC_BYTES: u64 = 64 << 20;
const MOST_SYNCS: u64 = 1000;

/// What is kept of a download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The object's state. Bytes of another one are not put together with these.
    stamp: String,
    /// How many bytes are in the unfinished file for good.
    synced_bytes: u64,
    /// Since which start of the machine: until the next one, what was written is there, synced or not.
    #[serde(default)]
    boot: Option<String>,
}

/// A sync that goes on while more is written.
struct Syncing {
    up_to: u64,
    done: JoinHandle<io::Result<()>>,
}

/// Names the current start of this machine (random(4)); none where that can't be told.
fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

/// A download under way.
struct Download<'a> {
    store: Arc<dyn ObjectStore>,
    key: &'a Key,
    info: ObjectInfo,
    meter: Meter,
    state: State<'a>,
}

/// Looks whether the file is there and has the bytes of the object.
pub(super) async fn probe(
    params: &DownloadParams,
    key: &Key,
    cx: &StepContext,
) -> Result<Probe<DownloadOutputs>, StepError> {
    let store = cx.store(&params.store).await?;
    let Some(info) = store.head(key).await? else { return Ok(Probe::Absent) };
    let meter = Meter::new(cx, info.size_bytes);
    Ok(match arrived(&*store, &info, params, &meter).await? {
        Some(whole) => Probe::Complete(outputs(params, whole)),
        None => Probe::Absent,
    })
}

/// Fetches the object.
pub(super) async fn run(
    params: &DownloadParams,
    key: &Key,
    cx: &StepContext,
) -> Result<DownloadOutputs, StepError> {
    let (to, store) = (Path::new(&params.to), cx.store(&params.store).await?);
    let info = store.head(key).await?.ok_or_else(|| {
        StepError::permanent(format!("there is no `{key}` in {}", store.url()))
            .help("check `key:` and the store's `url:`")
    })?;
    let meter = Meter::new(cx, info.size_bytes);
    if std::fs::symlink_metadata(to).is_ok() {
        if let Some(whole) = arrived(&*store, &info, params, &meter).await? {
            cx.log(&format!("{} is there already, with the same bytes", params.to));
            return Ok(outputs(params, whole));
        }
        if params.if_exists == IfExists::Fail {
            return Err(another(to));
        }
    }
    let state = State::new(cx, format!("{}/{key} to {}", params.store, params.to));
    let download = Download { store, key, info, meter, state };
    let mut part = Part::open(to)?;
    let begun_at = part.rewind(download.known_bytes(&part, cx))?;
    let whole = download.receive(&part, begun_at).await?;
    if let Some(how) = download.wrong(&whole, params).await? {
        part.discard();
        let message = format!("`{}` was not downloaded whole: {how}", params.to);
        // Bytes of an earlier try may be to blame: they are fetched again.
        return Err(if begun_at > 0 { StepError::transient(message) } else { StepError::permanent(message) }
            .help("the unfinished file was removed; if it fails again, the object itself is damaged"));
    }
    part.publish(to, params.if_exists)?;
    Ok(outputs(params, whole))
}

impl Download<'_> {
    /// Gives how many bytes of this very object are known to be in the unfinished file.
    fn known_bytes(&self, part: &Part, cx: &StepContext) -> u64 {
        let earlier = self.state.earlier().and_then(|state| Kept::deserialize(state).ok());
        let Some(Kept { stamp, synced_bytes, boot }) = earlier else { return 0 };
        if self.info.stamp.as_ref() == Some(&Stamp(stamp)) && synced_bytes <= self.info.size_bytes {
            let same_boot = boot.is_some() && boot == boot_id();
            return if same_boot { part.written_bytes().min(self.info.size_bytes) } else { synced_bytes };
        }
        cx.log(&format!("`{}` was replaced since the last try: the download begins anew", self.key));
        0
    }

    /// Writes what is missing, and gives the sums of what is in the file. Whatever ends it, what has come is synced
    /// and known to the next try.
    async fn receive(&self, part: &Part, begun_at: u64) -> Result<Whole, StepError> {
        self.meter.add(usize::try_from(begun_at).unwrap_or(usize::MAX), self.key.as_str());
        self.keep(begun_at).await?;
        let body = self.meter.unless_cancelled(self.open(begun_at)).await?;
        let (mut writer, mut read_back) = (part.writer(begun_at)?, part.read_back()?);
        let received = self.write(body, &mut writer, &mut read_back, part).await;
        let synced = self.sync(&mut writer, part).await;
        received.and(synced)?;
        let (came, size_bytes) = (writer.written_bytes(), self.info.size_bytes);
        if came != size_bytes {
            let why = format!("{came} bytes of `{}` came, but it has {size_bytes}", self.key);
            return Err(StepError::transient(why));
        }
        let whole = async { read_back.finish().await.map_err(|error| told("read", &part.path, &error)) };
        self.meter.unless_cancelled(whole).await
    }

    async fn open(&self, at: u64) -> Result<Body, StepError> {
        let range = at..self.info.size_bytes;
        let opened = match &self.info.stamp {
            Some(stamp) => self.store.get_stamped(self.key, stamp, range).await,
            None => self.store.get(self.key, Some(range)).await,
        };
        opened.map_err(|error| match error.kind {
            StoreErrorKind::Changed => StepError::transient(error.to_string())
                .help("the next try fetches what is there then, from its first byte"),
            _ => error.into(),
        })
    }

    async fn write(
        &self,
        mut body: Body,
        writer: &mut Writer,
        read_back: &mut ReadBack,
        part: &Part,
    ) -> Result<(), StepError> {
        let every = SYNC_BYTES.max(self.info.size_bytes / MOST_SYNCS);
        let (mut begun, mut syncing) = (writer.written_bytes(), None);
        while let Some(chunk) = self.meter.unless_cancelled(self.next(&mut body)).await? {
            let length = chunk.len();
            writer.write(chunk).await.map_err(|error| told("write", &part.path, &error))?;
            self.meter.add(length, self.key.as_str());
            let written = writer.written_bytes();
            read_back.follow(written).await.map_err(|error| told("read", &part.path, &error))?;
            if let Some(Syncing { up_to, done }) = syncing.take_if(|one: &mut Syncing| one.done.is_finished())
            {
                done.await
                    .map_err(io::Error::other)
                    .flatten()
                    .map_err(|error| told("sync", &part.path, &error))?;
                self.keep(up_to).await?;
            }
            if syncing.is_none() && written - begun >= every {
                syncing = Some(Syncing { up_to: written, done: part.sync_beside()? });
                begun = written;
            }
        }
        Ok(())
    }

    async fn next(&self, body: &mut Body) -> Result<Option<Bytes>, StepError> {
        body.next().await.map_err(|error| match reading::broken(&*self.store, self.key, &error) {
            Ok(flaw) => {
                let (what, store) = (flaw.of(self.key.as_str()), self.store.url());
                StepError::permanent(format!("{what} (in {store})")).help("fetch another copy of it")
            }
            Err(told) => told,
        })
    }

    /// Makes what was written durable, and then says so in the journal.
    async fn sync(&self, writer: &mut Writer, part: &Part) -> Result<(), StepError> {
        let failed = |error: io::Error| told("write", &part.path, &error);
        writer.flush().await.map_err(failed)?;
        part.sync().await.map_err(failed)?;
        self.keep(writer.written_bytes()).await
    }

    /// Says in the journal how many bytes are there for good.
    async fn keep(&self, synced_bytes: u64) -> Result<(), StepError> {
        let Some(Stamp(stamp)) = self.info.stamp.clone() else { return Ok(()) };
        let kept = serde_json::to_value(Kept { stamp, synced_bytes, boot: boot_id() });
        self.state.save(kept.map_err(|error| StepError::permanent(error.to_string()))?).await
    }

    /// Says what is wrong with the bytes that are on disk now.
    async fn wrong(&self, whole: &Whole, params: &DownloadParams) -> Result<Option<String>, StepError> {
        wrong(&*self.store, &self.info, whole, params, &self.meter).await
    }
}

/// Compares with what was promised, or, where nothing was, with what the store has.
async fn wrong(
    store: &dyn ObjectStore,
    info: &ObjectInfo,
    whole: &Whole,
    params: &DownloadParams,
    meter: &Meter,
) -> Result<Option<String>, StepError> {
    match &params.sha256 {
        Some(wanted) if !wanted.eq_ignore_ascii_case(&whole.sha256) => {
            Ok(Some(format!("its SHA-256 is {}, not {wanted}", whole.sha256)))
        }
        Some(_) => Ok(differs_from_checksum(info, whole)),
        None => differs(store, &info.key, info, whole, meter).await,
    }
}

/// Gives the sums of the file when it has the bytes of the object.
async fn arrived(
    store: &dyn ObjectStore,
    info: &ObjectInfo,
    params: &DownloadParams,
    meter: &Meter,
) -> Result<Option<Whole>, StepError> {
    let to = Path::new(&params.to);
    match std::fs::symlink_metadata(to) {
        Ok(found) if found.is_file() && found.len() == info.size_bytes => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told("look at", to, &error)),
    }
    let whole = digest_file(to, meter).await?;
    Ok(wrong(store, info, &whole, params, meter).await?.is_none().then_some(whole))
}

fn outputs(params: &DownloadParams, whole: Whole) -> DownloadOutputs {
    DownloadOutputs { path: params.to.clone(), size_bytes: whole.size_bytes, sha256: whole.sha256 }
}
