//! Names of transactions, and sets of them, of both flavours.

use std::collections::BTreeMap;
use std::fmt;

use crate::manifest::Flavour;

use super::event::{Event, EventKind, Fields};

/// The name of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gtid {
    /// `SOURCE:NUMBER` or `SOURCE:TAG:NUMBER`
    Mysql {
        /// The UUID, in small letters, with `:TAG` when it has one.
        source: String,
        /// Its number, from 1.
        number: u64,
    },
    /// `DOMAIN-SERVER-SEQUENCE`
    Mariadb {
        /// The domain.
        domain: u32,
        /// The server that wrote it first.
        server: u32,
        /// Its number in the domain.
        sequence: u64,
    },
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql { source, number } => write!(f, "{source}:{number}"),
            Self::Mariadb { domain, server, sequence } => write!(f, "{domain}-{server}-{sequence}"),
        }
    }
}

impl Gtid {
    /// Reads one, of either flavour: `0-1-5`, `3e11fa47-71ca-11e1-9e33-c80aa9429562:5`, `UUID:TAG:5`.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((source, number)) = text.rsplit_once(':') {
            let number = number.parse().ok().filter(|number| *number > 0)?;
            return Some(Self::Mysql { source: read_source(source)?, number });
        }
        let mut numbers = text.split('-');
        let (domain, server, sequence) = (numbers.next()?, numbers.next()?, numbers.next()?);
        if numbers.next().is_some() {
            return None;
        }
        Some(Self::Mariadb {
            domain: domain.parse().ok()?,
            server: server.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }

    /// Reads the GTID that an event gives to the transaction it begins; nothing when it gives none.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let mut fields = Fields(event.body());
        match event.header.kind {
            // Flags, source, number (MySQL source, `Gtid_event`).
            EventKind::GTID => {
                fields.byte()?;
                let source = uuid(fields.take(16)?);
                Some(Self::Mysql { source, number: fields.number(8)? })
            }
            EventKind::TAGGED_GTID => tagged(fields),
            EventKind::MARIADB_GTID => {
                let sequence = fields.number(8)?;
                Some(Self::Mariadb { domain: fields.u32()?, server: event.header.server_id, sequence })
            }
            _ => None,
        }
    }
}

/// Reads a GTID with a tag: fields of the serialization framework of MySQL 8.3 (`mysql::serialization`), each a
/// field id and a value in integers of variable length. 0 flags, 1 source, 2 number, 3 tag.
fn tagged(mut fields: Fields<'_>) -> Option<Gtid> {
    // The version, the size, and the last field that a reader must know.
    for _ in 0..3 {
        variable(&mut fields)?;
    }
    let mut source = None;
    let mut number = None;
    loop {
        match variable(&mut fields)? {
            0 => {
                fields.byte()?;
            }
            1 => {
                let mut bytes = [0; 16];
                for byte in &mut bytes {
                    // An array of bytes: each is an integer of variable length of its own.
                    *byte = u8::try_from(variable(&mut fields)?).ok()?;
                }
                source = Some(uuid(&bytes));
            }
            2 => {
                // Signed: zigzag.
                let coded = variable(&mut fields)?;
                number = Some(coded >> 1);
            }
            3 => {
                let length = usize::try_from(variable(&mut fields)?).ok()?;
                let tag = std::str::from_utf8(fields.take(length)?).ok()?;
                let source = source?;
                let source = if tag.is_empty() { source } else { format!("{source}:{tag}") };
                return Some(Gtid::Mysql { source, number: number? });
            }
            _ => return None,
        }
    }
}

/// Reads an integer of variable length: as many ones as low bits say how many bytes follow.
fn variable(fields: &mut Fields<'_>) -> Option<u64> {
    let first = fields.byte()?;
    let more = first.trailing_ones() as usize;
    let rest = fields.number(more)?;
    Some(match more {
        7 | 8 => rest,
        _ => u64::from(first >> (more + 1)) | rest << (7 - more),
    })
}

fn uuid(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn read_source(text: &str) -> Option<String> {
    let (uuid, tag) = match text.split_once(':') {
        Some((uuid, tag)) => (uuid, Some(tag)),
        None => (text, None),
    };
    let is_uuid = uuid.len() == 36
        && uuid.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    // Tags: a letter or underscore, then letters, digits and underscores, at most 32 (MySQL manual, "GTID format").
    let is_tag = |tag: &str| {
        !tag.is_empty()
            && tag.len() <= 32
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !tag.starts_with(|c: char| c.is_ascii_digit())
    };
    (is_uuid && tag.is_none_or(is_tag)).then(|| text.to_ascii_lowercase())
}

/// Intervals of numbers of one source, both ends in them, apart from one another and in order.
type Intervals = Vec<(u64, u64)>;

/// Transactions, as servers tell which they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GtidSet {
    /// Every number of every source.
    Mysql(BTreeMap<String, Intervals>),
    /// The last server and number of each domain: everything before it is in it.
    Mariadb(BTreeMap<u32, (u32, u64)>),
}

impl GtidSet {
    /// Gives the set without any transaction.
    pub fn empty(flavour: Flavour) -> Self {
        match flavour {
            Flavour::Mysql => Self::Mysql(BTreeMap::new()),
            Flavour::Mariadb => Self::Mariadb(BTreeMap::new()),
        }
    }

    /// Reads what a server tells: `gtid_executed`, or a position of MariaDB.
    pub fn read(flavour: Flavour, text: &str) -> Option<Self> {
        let mut set = Self::empty(flavour);
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match &mut set {
                Self::Mariadb(_) => match Gtid::read(part)? {
                    gtid @ Gtid::Mariadb { .. } => set.add(&gtid),
                    Gtid::Mysql { .. } => return None,
                },
                Self::Mysql(sources) => read_source_set(part, sources)?,
            }
        }
        Some(set)
    }

    /// Reads what a log says of all logs before it.
    pub(super) fn before(event: &Event) -> Option<Self> {
        let mut fields = Fields(event.body());
        match event.header.kind {
            EventKind::GTID_LIST => {
                let mut set = Self::empty(Flavour::Mariadb);
                // The top four bits are flags.
                let count = fields.u32()? & 0x0fff_ffff;
                for _ in 0..count {
                    let (domain, server, sequence) = (fields.u32()?, fields.u32()?, fields.number(8)?);
                    set.add(&Gtid::Mariadb { domain, server, sequence });
                }
                Some(set)
            }
            EventKind::PREVIOUS_GTIDS => read_encoded(fields),
            _ => None,
        }
    }

    /// Tells whether no transaction is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Mysql(sources) => sources.is_empty(),
            Self::Mariadb(domains) => domains.is_empty(),
        }
    }

    /// Tells whether a transaction is in it. MariaDB's numbers tell nothing of the servers before the last.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        match (self, gtid) {
            (Self::Mysql(sources), Gtid::Mysql { source, number }) => sources
                .get(source)
                .is_some_and(|intervals| intervals.iter().any(|(from, to)| (from..=to).contains(&number))),
            (Self::Mariadb(domains), Gtid::Mariadb { domain, sequence, .. }) => {
                domains.get(domain).is_some_and(|(_, last)| last >= sequence)
            }
            (Self::Mysql(_), Gtid::Mariadb { .. }) | (Self::Mariadb(_), Gtid::Mysql { .. }) => false,
        }
    }

    /// Puts a transaction into it; one of the other flavour is none.
    pub fn add(&mut self, gtid: &Gtid) {
        match (self, gtid) {
            (Self::Mysql(sources), Gtid::Mysql { source, number }) => {
                insert(sources.entry(source.clone()).or_default(), *number, *number);
            }
            (Self::Mariadb(domains), Gtid::Mariadb { domain, server, sequence }) => {
                let last = domains.entry(*domain).or_insert((*server, *sequence));
                if last.1 < *sequence {
                    *last = (*server, *sequence);
                }
            }
            (Self::Mysql(_), Gtid::Mariadb { .. }) | (Self::Mariadb(_), Gtid::Mysql { .. }) => {}
        }
    }

    /// Puts all of `other` into it; a set of the other flavour has nothing for it.
    pub fn add_all(&mut self, other: &Self) {
        match (self, other) {
            (Self::Mysql(own), Self::Mysql(other)) => {
                for (source, intervals) in other {
                    let own = own.entry(source.clone()).or_default();
                    for (from, to) in intervals {
                        insert(own, *from, *to);
                    }
                }
            }
            (own @ Self::Mariadb(_), Self::Mariadb(other)) => {
                for (&domain, &(server, sequence)) in other {
                    own.add(&Gtid::Mariadb { domain, server, sequence });
                }
            }
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => {}
        }
    }

    /// Tells whether everything of `other` is in it. At the same number of a domain it must be the same server: else
    /// the two are of different histories.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mysql(own), Self::Mysql(other)) => other.iter().all(|(source, wanted)| {
                let own = own.get(source).map_or(&[][..], Vec::as_slice);
                wanted.iter().all(|(from, to)| own.iter().any(|(first, last)| first <= from && to <= last))
            }),
            (Self::Mariadb(own), Self::Mariadb(other)) => other.iter().all(|(domain, (server, sequence))| {
                own.get(domain).is_some_and(|(own_server, own_sequence)| {
                    own_sequence > sequence || (own_sequence == sequence && own_server == server)
                })
            }),
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => other.is_empty(),
        }
    }
}

fn read_source_set(part: &str, sources: &mut BTreeMap<String, Intervals>) -> Option<()> {
    let mut pieces = part.split(':');
    let uuid = pieces.next()?;
    let mut source = read_source(uuid)?;
    for piece in pieces {
        let (from, to) = piece.split_once('-').unwrap_or((piece, piece));
        match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) if 0 < from && from <= to => {
                insert(sources.entry(source.clone()).or_default(), from, to);
            }
            // `UUID:1-5:TAG:1-3`: the numbers from here on are of a tag.
            _ => source = read_source(&format!("{uuid}:{piece}"))?,
        }
    }
    Some(())
}

fn insert(intervals: &mut Intervals, from: u64, to: u64) {
    let (mut from, mut to) = (from, to);
    intervals.retain(|(first, last)| {
        let apart = *last < from.saturating_sub(1) || to.saturating_add(1) < *first;
        if !apart {
            from = from.min(*first);
            to = to.max(*last);
        }
        apart
    });
    let at = intervals.partition_point(|(first, _)| *first < from);
    intervals.insert(at, (from, to));
}

/// Reads a set as MySQL stores it (`Gtid_set::encode`): a count of sources, each with its UUID, from MySQL 8.3 on a
/// tag, and intervals whose end is not in them. The first byte's place of the count tells the format when it is 1.
fn read_encoded(mut fields: Fields<'_>) -> Option<GtidSet> {
    let head = fields.number(8)?;
    // Format 1 has its number in the first and the last byte, and the count between them.
    let is_tagged = head & 0xff == 1 && head >> 56 == 1;
    let count = if is_tagged { (head << 8) >> 16 } else { head };
    let mut sources: BTreeMap<String, Intervals> = BTreeMap::new();
    for _ in 0..count {
        let mut source = uuid(fields.take(16)?);
        if is_tagged {
            let length = usize::try_from(variable(&mut fields)?).ok()?;
            let tag = std::str::from_utf8(fields.take(length)?).ok()?;
            if !tag.is_empty() {
                source = format!("{source}:{tag}");
            }
        }
        let intervals = fields.number(8)?;
        for _ in 0..intervals {
            let (from, after) = (fields.number(8)?, fields.number(8)?);
            insert(sources.entry(source.clone()).or_default(), from, after.checked_sub(1)?);
        }
    }
    Some(GtidSet::Mysql(sources))
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        match self {
            Self::Mysql(sources) => {
                for (source, intervals) in sources {
                    write!(f, "{comma}{source}")?;
                    for (from, to) in intervals {
                        if from == to { write!(f, ":{from}")? } else { write!(f, ":{from}-{to}")? }
                    }
                    comma = ",";
                }
            }
            Self::Mariadb(domains) => {
                for (domain, (server, sequence)) in domains {
                    write!(f, "{comma}{domain}-{server}-{sequence}")?;
                    comma = ",";
                }
            }
        }
        Ok(())
    }
}
