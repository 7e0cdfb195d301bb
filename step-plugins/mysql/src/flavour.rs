//! Which family and version a server is of: from `VERSION()` and `@@version_comment` to [`ServerVersion`].

use std::fmt;

use rekindle_backup::manifest::Flavour;

/// A server's family and version, for choosing statements and tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// Its family.
    pub flavour: Flavour,
    /// Major, minor, patch.
    pub number: (u16, u16, u16),
    /// `VERSION()` as the server gave it.
    pub text: String,
    /// `@@version_comment`.
    pub comment: String,
}

/// The oldest versions rekindle works with: MySQL 5.7, and MariaDB 10.3, which brought sequences.
const OLDEST: [(Flavour, (u16, u16, u16)); 2] = [(Flavour::Mysql, (5, 7, 0)), (Flavour::Mariadb, (10, 3, 0))];

impl ServerVersion {
    /// Reads what the server says of itself.
    ///
    /// The number alone does not tell: MariaDB may call itself `5.5.5-10.11.6-MariaDB`, and distributions put
    /// their own name into the comment. So either text that has the word MariaDB decides.
    /// Gives `None` when there is no version number in it.
    pub fn read(version: &str, comment: &str) -> Option<Self> {
        let says_mariadb = |text: &str| text.to_ascii_lowercase().contains("mariadb");
        let flavour =
            if says_mariadb(version) || says_mariadb(comment) { Flavour::Mariadb } else { Flavour::Mysql };
        // MariaDB's replication prefix: clients of old took 10 for 1.
        let plain = version.strip_prefix("5.5.5-").filter(|_| flavour == Flavour::Mariadb).unwrap_or(version);
        let number = plain.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = number.split('.').map(str::parse::<u16>);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        Some(Self {
            flavour,
            number: (major, minor, patch),
            text: version.to_owned(),
            comment: comment.to_owned(),
        })
    }

    /// Tells whether it is of this family and at least this version.
    pub fn is_at_least(&self, flavour: Flavour, number: (u16, u16, u16)) -> bool {
        self.flavour == flavour && self.number >= number
    }

    /// Gives the oldest version of its family that rekindle works with, when this one is older.
    pub fn too_old(&self) -> Option<String> {
        let (flavour, oldest) = OLDEST.iter().find(|(flavour, _)| *flavour == self.flavour)?;
        (self.number < *oldest).then(|| format!("{} {}.{}", flavour_name(*flavour), oldest.0, oldest.1))
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.number;
        write!(f, "{} {major}.{minor}.{patch}", flavour_name(self.flavour))
    }
}

/// Gives a family's name as its makers write it.
pub fn flavour_name(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Mysql => "MySQL",
        Flavour::Mariadb => "MariaDB",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(version: &str, comment: &str) -> String {
        ServerVersion::read(version, comment).map_or_else(|| "unreadable".to_owned(), |v| v.to_string())
    }

    #[test]
    fn the_flavour_is_found_by_words_not_by_number() {
        assert_eq!(read("10.11.14-MariaDB-0+deb12u2-log", "Debian 12"), "MariaDB 10.11.14");
        assert_eq!(read("5.5.5-10.4.34-MariaDB", "mariadb.org binary distribution"), "MariaDB 10.4.34");
        assert_eq!(read("11.8.2", "MariaDB Server"), "MariaDB 11.8.2");
        assert_eq!(read("8.4.3", "MySQL Community Server - GPL"), "MySQL 8.4.3");
        assert_eq!(read("5.7.44-log", "Percona Server (GPL), Release 44"), "MySQL 5.7.44");
        assert_eq!(read("9.7.0-1", "(Debian)"), "MySQL 9.7.0");
        assert_eq!(read("unknown", ""), "unreadable");
    }

    #[test]
    fn old_servers_are_told_which_version_is_needed() {
        let too_old = |version, comment| ServerVersion::read(version, comment).unwrap().too_old();
        assert_eq!(too_old("5.6.51", "MySQL"), Some("MySQL 5.7".to_owned()));
        assert_eq!(too_old("10.2.44-MariaDB", ""), Some("MariaDB 10.3".to_owned()));
        assert_eq!(too_old("10.3.0-MariaDB", ""), None);
        assert_eq!(too_old("5.7.0", "MySQL"), None);
    }
}
