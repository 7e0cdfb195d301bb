//! What a dump holds, told from its pieces as they go by.

use crate::inventory::{Database, Inventory, Trigger};
use crate::manifest::ConsistentPoint;
use crate::sql::{
    Kind, Name, Piece, PieceKind, definer, granted_everywhere, is_undeclared_function, unquote_identifier,
};

/// How the last comment of a whole dump begins.
pub const TRAILER: &[u8] = b"-- Dump completed";

/// Follows the pieces of a dump: which database and section it is in, and what it has seen so far.
#[derive(Debug, Default)]
pub struct Contents {
    /// Everything seen so far.
    pub inventory: Inventory,
    /// Coordinates seen so far; `at` is not in the text.
    pub point: ConsistentPoint,
    /// Statements seen so far.
    pub statements: u64,
    /// Rows inserted so far.
    pub rows: u64,
    /// The database in use.
    pub database: Option<String>,
    /// The table whose section this is.
    pub table: Option<String>,
    /// Tables whose sections are over, until somebody asks.
    left: Vec<(String, String)>,
    trailer_is_last: bool,
    slave_gtid: bool,
}

/// What a comment announces.
enum Announcement {
    Database(String),
    Table(String),
    /// `-- Dumping data for table`: still the same section.
    TableRows,
    Other,
}

impl Contents {
    /// Tells whether the last thing seen, blanks aside, is the trailer of a whole dump.
    pub fn trailer_is_last(&self) -> bool {
        self.trailer_is_last
    }

    /// Tells whether this piece begins a section: a comment that announces a database, a table or else.
    pub fn begins_section(piece: &Piece<'_>) -> bool {
        piece.kind == PieceKind::Comment
            && !matches!(announcement(piece.raw), None | Some(Announcement::TableRows))
    }

    /// Tells whether the rows of a table begin with this piece: the comment before them.
    pub fn begins_rows(piece: &Piece<'_>) -> bool {
        piece.kind == PieceKind::Comment && matches!(announcement(piece.raw), Some(Announcement::TableRows))
    }

    /// Takes the next piece into account. Gives what it was when it was a statement.
    pub fn accept(&mut self, piece: &Piece<'_>) -> Option<Kind> {
        match piece.kind {
            PieceKind::Blank | PieceKind::Sandbox | PieceKind::Delimiter => None,
            PieceKind::Comment => {
                self.comment(piece.raw);
                None
            }
            PieceKind::Statement => {
                let kind = piece.classify();
                self.saw(piece, &kind);
                Some(kind)
            }
        }
    }

    /// As [`Contents::accept`] for a statement, with the rows of an `INSERT` uncounted.
    pub fn accept_head(&mut self, piece: &Piece<'_>) -> Kind {
        let kind = piece.classify_head();
        self.saw(piece, &kind);
        kind
    }

    /// Gives the tables whose sections are over since this was last asked, as database and name: whoever dumps has read
    /// them to their end.
    pub fn take_left(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.left)
    }

    fn leave_table(&mut self) {
        if let (Some(database), Some(table)) = (&self.database, self.table.take()) {
            self.left.push((database.clone(), table));
        }
    }

    fn saw(&mut self, piece: &Piece<'_>, kind: &Kind) {
        self.trailer_is_last = false;
        self.statements += 1;
        self.statement(kind);
        self.demands(piece, kind);
    }

    /// Notes what a statement asks of whoever will send it.
    fn demands(&mut self, piece: &Piece<'_>, kind: &Kind) {
        let (what, name, within) = match kind {
            Kind::View(name) => ("VIEW", name, name),
            Kind::Trigger { name, table, .. } => ("TRIGGER", name, table),
            Kind::Routine { what, name } => (*what, name, name),
            Kind::Event(name) => ("EVENT", name, name),
            Kind::Account => {
                if let Some((account, granted)) = granted_everywhere(piece.sql, piece.escapes) {
                    self.inventory.granted.entry(account).or_default().extend(granted);
                }
                return;
            }
            Kind::CreateDatabase(_)
            | Kind::DropDatabase(_)
            | Kind::Use(_)
            | Kind::CreateTable(_)
            | Kind::DropTable(_)
            | Kind::Insert { .. }
            | Kind::StandIn(_)
            | Kind::Sequence(_)
            | Kind::Lock
            | Kind::Unlock
            | Kind::SetGtid(_)
            | Kind::ChangeMaster
            | Kind::Set
            | Kind::Other(_) => return,
        };
        let definer = definer(piece.sql, piece.escapes);
        let is_undeclared = what == "FUNCTION" && is_undeclared_function(piece.sql, piece.escapes);
        self.within(within, |database| {
            if let Some(definer) = definer {
                database.definers.insert(format!("{what} {}", name.name), definer);
            }
            if is_undeclared {
                database.undeclared_functions.insert(name.name.clone());
            }
        });
    }

    fn comment(&mut self, raw: &[u8]) {
        // Lines right below the trailer belong to the same piece: they come after it all the same.
        let last_line = raw.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
        self.trailer_is_last = last_line.is_some_and(|line| line.starts_with(TRAILER));
        match announcement(raw) {
            Some(Announcement::Database(name)) => {
                self.leave_table();
                self.database = Some(name);
            }
            Some(Announcement::Table(name)) => {
                self.leave_table();
                self.table = Some(name);
            }
            Some(Announcement::Other) => self.leave_table(),
            Some(Announcement::TableRows) | None => {}
        }
        self.coordinates(raw);
    }

    /// Dumps write their coordinates as comments, so that nothing happens by accident when they are loaded.
    fn coordinates(&mut self, raw: &[u8]) {
        // The header never is larger; a comment of a megabyte is not looked through.
        let text = String::from_utf8_lossy(&raw[..raw.len().min(64 << 10)]);
        for line in text.lines() {
            if line.contains("CHANGE MASTER TO") || line.contains("CHANGE REPLICATION SOURCE TO") {
                if let Some(file) = quoted_after(line, "_LOG_FILE=") {
                    self.point.binlog_file = Some(file);
                }
                if let Some(position) = digits_after(line, "_LOG_POS=") {
                    self.point.binlog_position = Some(position);
                }
            }
            if let Some(gtid) = quoted_after(line, "gtid_slave_pos=") {
                self.point.gtid = Some(gtid);
                self.slave_gtid = true;
            }
        }
        if let Some(at) = text.find("GTID_PURGED=") {
            self.gtid_purged(&text[at..]);
        }
    }

    /// `GTID_PURGED='+a:1-3,\nb:1-2'` or `GTID_PURGED=/*!80000 '+'*/ 'a:1-3'`: the longest quoted text has the set.
    fn gtid_purged(&mut self, text: &str) {
        let set = text.split('\'').skip(1).step_by(2).max_by_key(|quoted| quoted.len()).unwrap_or_default();
        let set: String = set.trim_start_matches('+').split_whitespace().collect();
        self.point.gtid = Some(set);
    }

    fn statement(&mut self, kind: &Kind) {
        match kind {
            Kind::CreateDatabase(name) => {
                self.inventory.databases.entry(name.clone()).or_default();
            }
            Kind::DropDatabase(name) => {
                self.inventory.databases.remove(name);
            }
            Kind::Use(name) => self.database = Some(name.clone()),
            Kind::CreateTable(table) => {
                self.within(table, |database| {
                    database.tables.entry(table.name.clone()).or_default().rows = None;
                });
            }
            Kind::Insert { table, rows } => {
                self.rows += rows;
                self.within(table, |database| {
                    *database.tables.entry(table.name.clone()).or_default().rows.get_or_insert(0) += rows;
                });
            }
            Kind::View(view) => self.within(view, |database| {
                database.views.insert(view.name.clone());
            }),
            Kind::Trigger { name, table, timing, event } => self.within(table, |database| {
                let trigger =
                    Trigger { table: table.name.clone(), timing: timing.clone(), event: event.clone() };
                database.triggers.insert(name.name.clone(), trigger);
            }),
            Kind::Routine { what, name } => self.within(name, |database| {
                database.routines.insert(format!("{what} {}", name.name));
            }),
            Kind::Event(event) => self.within(event, |database| {
                database.events.insert(event.name.clone());
            }),
            Kind::Sequence(sequence) => self.within(sequence, |database| {
                database.sequences.insert(sequence.name.clone());
            }),
            Kind::SetGtid(gtid) => {
                self.point.gtid = Some(gtid.trim_start_matches('+').split_whitespace().collect());
            }
            Kind::DropTable(_)
            | Kind::StandIn(_)
            | Kind::Account
            | Kind::Lock
            | Kind::Unlock
            | Kind::ChangeMaster
            | Kind::Set
            | Kind::Other(_) => {}
        }
    }

    fn within(&mut self, name: &Name, change: impl FnOnce(&mut Database)) {
        let database = name.database.as_ref().or(self.database.as_ref());
        change(self.inventory.databases.entry(database.cloned().unwrap_or_default()).or_default());
    }

    /// Says that the rows of all tables were dumped: a table without an `INSERT` has none, rather than unknown.
    pub fn rows_are_complete(&mut self) {
        for table in self.inventory.databases.values_mut().flat_map(|database| database.tables.values_mut()) {
            table.rows.get_or_insert(0);
        }
    }
}

const FINAL_VIEW: &[u8] = b"-- Final view structure for view ";

/// Tells whether a comment begins the section that makes a view what it is, in the place of its stand-in.
pub(super) fn is_final_view(raw: &[u8]) -> bool {
    first_words(raw).is_some_and(|line| line.starts_with(FINAL_VIEW))
}

/// Tells whether a comment announces a database.
pub(super) fn is_database(raw: &[u8]) -> bool {
    matches!(announcement(raw), Some(Announcement::Database(_)))
}

/// Sections of a dump that belong to no table.
const OTHERS: [&[u8]; 9] = [
    b"-- Temporary table structure for view ",
    b"-- Temporary view structure for view ",
    FINAL_VIEW,
    b"-- Sequence structure for ",
    b"-- Dumping events for database ",
    b"-- Dumping routines for database ",
    b"-- The deferred gtid setting ",
    b"-- Privileges of accounts",
    TRAILER,
];

/// The block is `--`, the announcement, `--`: the first line that says anything counts.
fn first_words(raw: &[u8]) -> Option<&[u8]> {
    raw.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| line.len() > 2)
}

fn announcement(raw: &[u8]) -> Option<Announcement> {
    let line = first_words(raw)?;
    let named = |prefix: &[u8]| {
        let rest = line.strip_prefix(prefix)?;
        Some(match unquote_identifier(rest) {
            Some((name, _)) => name,
            None => String::from_utf8_lossy(rest).into_owned(),
        })
    };
    if let Some(name) = named(b"-- Table structure for table ") {
        return Some(Announcement::Table(name));
    }
    if let Some(name) = named(b"-- Current Database: ") {
        return Some(Announcement::Database(name));
    }
    if line.starts_with(b"-- Dumping data for table ") {
        return Some(Announcement::TableRows);
    }
    OTHERS.iter().any(|prefix| line.starts_with(prefix)).then_some(Announcement::Other)
}

fn quoted_after(line: &str, marker: &str) -> Option<String> {
    let rest = &line[line.find(marker)? + marker.len()..];
    let rest = rest.trim_start().strip_prefix('\'')?;
    Some(rest[..rest.find('\'')?].to_owned())
}

fn digits_after(line: &str, marker: &str) -> Option<u64> {
    let rest = &line[line.find(marker)? + marker.len()..];
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..length].parse().ok()
}
