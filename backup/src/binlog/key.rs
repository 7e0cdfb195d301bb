//! Where the segments of an archive lie in a store.

use rekindle_engine::host::{Key, KeyError};

/// A series of logs of one server: `binlogs/CLUSTER/SERVER/TIMELINE/…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimelineKey {
    /// The cluster.
    pub cluster: String,
    /// The server's folder.
    pub server: String,
    /// The series: when its first archived log was begun, and that log's name, so that text order is time order.
    pub timeline: String,
}

/// The object that says how far a timeline is covered.
const COVERED: &str = "covered.json";
/// What the entry of a segment ends with.
const ENTRY: &str = ".json";

impl TimelineKey {
    /// Gives the prefix of everything archived of a cluster.
    pub fn cluster_prefix(cluster: &str) -> String {
        format!("binlogs/{cluster}/")
    }

    /// Gives the prefix of everything archived of a server.
    pub fn server_prefix(cluster: &str, server: &str) -> String {
        format!("binlogs/{cluster}/{server}/")
    }

    /// Gives the prefix of its objects.
    pub fn prefix(&self) -> String {
        format!("binlogs/{}/{}/{}/", self.cluster, self.server, self.timeline)
    }

    /// Gives the key of an object.
    ///
    /// # Errors
    /// When a name can't be part of a key.
    pub fn key(&self, name: &str) -> Result<Key, KeyError> {
        Key::new(format!("{}{name}", self.prefix()))
    }

    /// Gives the key of what says how far it is covered.
    ///
    /// # Errors
    /// When a name can't be part of a key.
    pub fn covered(&self) -> Result<Key, KeyError> {
        self.key(COVERED)
    }
}

/// The place of a segment in its timeline. The order of these is the order of the logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentKey {
    /// The number of its log.
    pub number: u64,
    /// Where it begins in its log.
    pub from: u64,
    /// The log's name.
    pub log: String,
}

impl SegmentKey {
    /// Gives the name of its entry. Two archivers that take the same place at once meet here.
    pub fn entry(&self) -> String {
        format!("{}.{:012}{ENTRY}", self.log, self.from)
    }

    /// Gives the name of the object that holds it. One that was left behind by a crash may have another end, and
    /// keeps its name for itself.
    pub fn object(&self, to: u64) -> String {
        format!("{}.{:012}-{to:012}.binlog.gz", self.log, self.from)
    }

    /// Reads the key of an entry, and the timeline it is of.
    pub fn read(key: &Key) -> Option<(TimelineKey, Self)> {
        let (timeline, name) = timeline_of(key)?;
        let (log, from) = name.strip_suffix(ENTRY)?.rsplit_once('.')?;
        let number = log_number(log)?;
        Some((timeline, Self { number, from: from.parse().ok()?, log: log.to_owned() }))
    }
}

/// Splits the key of an object of an archive: its timeline, and its name there.
pub(super) fn timeline_of(key: &Key) -> Option<(TimelineKey, &str)> {
    let mut parts = key.as_str().strip_prefix("binlogs/")?.splitn(4, '/');
    let (cluster, server, timeline) = (parts.next()?, parts.next()?, parts.next()?);
    let name = parts.next()?;
    let timeline =
        TimelineKey { cluster: cluster.to_owned(), server: server.to_owned(), timeline: timeline.to_owned() };
    Some((timeline, name))
}

/// Reads the number at the end of a log's name: 12 of `bin.000012`. Nothing when it is no name of a log that can be
/// stored: servers choose names, and a hostile one must not choose where a file lies.
pub fn log_number(log: &str) -> Option<u64> {
    let (base, number) = log.rsplit_once('.')?;
    let is_plain = |c: char| c.is_alphanumeric() || "-_.+@=".contains(c);
    let is_name =
        !base.is_empty() && !base.starts_with('.') && log.len() <= 255 && base.chars().all(is_plain);
    (is_name && number.bytes().all(|byte| byte.is_ascii_digit())).then(|| number.parse().ok()).flatten()
}
