//! MariaDB's GTID positions, such as `0-1-5,1-7-100`: which one covers which.
//!
//! A position has one `domain-server-sequence` for each domain, and sequences grow within a domain (MariaDB
//! manual, "Global Transaction ID").

use std::collections::BTreeMap;

/// The last transaction of each domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position(BTreeMap<u32, (u32, u64)>);

impl Position {
    /// Reads a position; `None` when it is not one. The empty text is the position before everything.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut domains = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut numbers = part.split('-');
            let (domain, server, sequence) = (numbers.next()?, numbers.next()?, numbers.next()?);
            if numbers.next().is_some() {
                return None;
            }
            let last = (server.parse().ok()?, sequence.parse().ok()?);
            if domains.insert(domain.parse().ok()?, last).is_some() {
                return None;
            }
        }
        Some(Self(domains))
    }

    /// Takes the later one of each domain.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        for (domain, last) in other.0 {
            let own = self.0.entry(domain).or_insert(last);
            if last.1 > own.1 {
                *own = last;
            }
        }
        self
    }

    /// Tells whether a server at this position has everything up to `other`. The transaction at the same
    /// sequence number must be of the same server: else the two are of different histories.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(domain, (server, sequence))| {
            self.0.get(domain).is_some_and(|(own_server, own_sequence)| {
                own_sequence > sequence || (own_sequence == sequence && own_server == server)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(have: &str, want: &str) -> bool {
        Position::read(have).unwrap().covers(&Position::read(want).unwrap())
    }

    #[test]
    fn a_position_covers_what_is_before_it_in_every_domain() {
        assert!(covers("0-1-5", "0-1-5"));
        assert!(covers("0-2-6,1-1-1", "0-1-5"));
        assert!(covers("0-1-5", ""));
        assert!(!covers("0-1-4", "0-1-5"));
        assert!(!covers("0-1-5", "0-1-5,1-1-1"));
        assert!(!covers("", "0-1-1"));
    }

    #[test]
    fn the_same_number_of_another_server_is_another_history() {
        assert!(!covers("0-2-5", "0-1-5"));
    }

    #[test]
    fn what_is_no_position_is_not_read() {
        for text in ["0-1", "0-1-5-6", "a-b-c", "0-1-5,0-2-6", "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5"] {
            assert_eq!(Position::read(text), None, "{text}");
        }
    }

    #[test]
    fn merging_takes_the_later_of_each_domain() {
        let read = |text| Position::read(text).unwrap();
        assert_eq!(read("0-1-5,1-1-9").merge(read("0-2-6,1-1-8,2-2-2")), read("0-2-6,1-1-9,2-2-2"));
    }
}
