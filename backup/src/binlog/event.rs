//! One event: its header and the frame around its body.

/// The bytes that every binary log file begins with.
pub(super) const MAGIC: &[u8; 4] = b"\xfebin";
/// Size of a header in version 4.
pub(super) const HEADER_BYTES: usize = 19;
/// Size of a checksum.
pub(super) const CHECKSUM_BYTES: usize = 4;

/// What every event begins with; numbers are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// When it was written, in seconds since 1970 (UTC); a session can set it with `SET TIMESTAMP`.
    pub timestamp: u32,
    /// What it is.
    pub kind: EventKind,
    /// The server that wrote it first.
    pub server_id: u32,
    /// Its size, header and checksum included.
    pub size_bytes: u32,
    /// Where it ends in its log file, as the server counts; 0 when it stands in none. Wraps at 4 GiB.
    pub end_position: u32,
    /// `LOG_EVENT_ARTIFICIAL_F` and others.
    pub flags: u16,
}

impl Header {
    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self {
            timestamp: word(0),
            kind: EventKind(bytes[4]),
            server_id: word(5),
            size_bytes: word(9),
            end_position: word(13),
            flags: u16::from_le_bytes([bytes[17], bytes[18]]),
        }
    }
}

/// The number of a kind of event. Numbers from 160 on are MariaDB's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKind(pub u8);

impl EventKind {
    /// A statement.
    pub const QUERY: Self = Self(2);
    /// The server was stopped.
    pub const STOP: Self = Self(3);
    /// The next log file.
    pub const ROTATE: Self = Self(4);
    /// Describes the log file.
    pub const FORMAT: Self = Self(15);
    /// The commit of a transaction.
    pub const XID: Self = Self(16);
    /// `LOAD DATA` as a statement.
    pub const EXECUTE_LOAD: Self = Self(18);
    /// Which table the next rows are of.
    pub const TABLE_MAP: Self = Self(19);
    /// Something was lost by the server.
    pub const INCIDENT: Self = Self(26);
    /// The statement behind the next rows (MySQL).
    pub const ROWS_QUERY: Self = Self(29);
    /// Begins a transaction with a GTID (MySQL).
    pub const GTID: Self = Self(33);
    /// Begins a transaction without one (MySQL).
    pub const ANONYMOUS_GTID: Self = Self(34);
    /// The GTIDs of all logs before (MySQL).
    pub const PREVIOUS_GTIDS: Self = Self(35);
    /// `XA PREPARE`
    pub const XA_PREPARE: Self = Self(38);
    /// A whole transaction, compressed (MySQL).
    pub const PAYLOAD: Self = Self(40);
    /// Begins a transaction with a GTID that may have a tag (MySQL 8.3).
    pub const TAGGED_GTID: Self = Self(42);
    /// The statement behind the next rows (MariaDB).
    pub const ANNOTATE_ROWS: Self = Self(160);
    /// Begins a transaction (MariaDB).
    pub const MARIADB_GTID: Self = Self(162);
    /// The GTIDs of all logs before (MariaDB).
    pub const GTID_LIST: Self = Self(163);
    /// Says that all after it is encrypted in the server's file (MariaDB). Sent along with what is not any more.
    pub const START_ENCRYPTION: Self = Self(164);
    /// A statement, compressed (MariaDB).
    pub const QUERY_COMPRESSED: Self = Self(165);

    /// Tells whether it stands between transactions.
    pub(super) fn is_between(self) -> bool {
        // Stop, rotate, format, heartbeat (27, 41), previous GTIDs, slave's, and MariaDB's binlog checkpoint, GTID
        // list and start of encryption.
        matches!(self.0, 3 | 4 | 15 | 27 | 41 | 35 | 161 | 163 | 164)
    }

    /// Tells whether it begins a transaction.
    pub(super) fn begins(self) -> bool {
        matches!(self, Self::GTID | Self::ANONYMOUS_GTID | Self::TAGGED_GTID | Self::MARIADB_GTID)
    }
}

/// One event with all its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its header.
    pub header: Header,
    /// All of its bytes, as they stood in the log.
    pub raw: Vec<u8>,
    pub(super) checksum_bytes: usize,
}

impl Event {
    /// Gives its body, without header and checksum.
    pub fn body(&self) -> &[u8] {
        let end = self.raw.len().saturating_sub(self.checksum_bytes).max(HEADER_BYTES);
        self.raw.get(HEADER_BYTES..end).unwrap_or_default()
    }
}

/// Walks over a body; each look gives nothing when the body is too short.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// Reads a little-endian number of at most 8 bytes.
    pub(super) fn number(&mut self, length: usize) -> Option<u64> {
        let mut whole = [0; 8];
        whole.get_mut(..length)?.copy_from_slice(self.take(length)?);
        Some(u64::from_le_bytes(whole))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.number(4).and_then(|number| u32::try_from(number).ok())
    }
}
