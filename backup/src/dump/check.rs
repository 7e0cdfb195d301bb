//! The `content` level of verification: every member decompressed, every statement lexed, the trailer seen.

use std::io::Read;

use super::gzip::{GzipError, MemberEnd};
use super::{Contents, HashingReader, VerifiedText};
use crate::inventory::Inventory;
use crate::manifest::{ConsistentPoint, DumpIndex};
use crate::sql::{DEFAULT_STATEMENT_LIMIT, LexError, PieceError, PieceKind, Pieces};

/// What was found in a dump that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentReport {
    /// Size of the object.
    pub size_bytes: u64,
    /// sha256 of the object, lowercase hex.
    pub sha256: String,
    /// Size of its text.
    pub text_bytes: u64,
    /// How many gzip members it has.
    pub members: usize,
    /// How many statements.
    pub statements: u64,
    /// What they make. A table without an `INSERT` has unknown rows, or none by the index.
    pub inventory: Inventory,
    /// The coordinates it states.
    pub point: ConsistentPoint,
}

/// Why a dump is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The object can't be read.
    #[error("failed to read the dump: {0}")]
    Read(std::io::Error),
    /// The gzip stream is damaged.
    #[error("{damage}{}", place(.table.as_deref()))]
    Gzip {
        /// How.
        damage: GzipError,
        /// The table it hit, when that is known.
        table: Option<String>,
    },
    /// The text is no dump.
    #[error("the dump is damaged: {error}{}", place(.table.as_deref()))]
    Sql {
        /// Where and how.
        error: LexError,
        /// The table whose section it is in, when there is one.
        table: Option<String>,
    },
    /// The dump does not end with `-- Dump completed`.
    #[error(
        "the dump has no trailer (`-- Dump completed`) as its end: the program that wrote it did not finish"
    )]
    NoTrailer,
    /// A member is not what the index says.
    #[error("gzip member {member} is not the one in the index: {what} is {found} instead of {expected}{}", place(.table.as_deref()))]
    Member {
        /// Which, from 0.
        member: usize,
        /// Its table.
        table: Option<String>,
        /// What differs: `its CRC-32`, `its rows`.
        what: &'static str,
        /// As the index says.
        expected: String,
        /// As it is.
        found: String,
    },
    /// The object is another one than the index describes, though its text is the same.
    #[error("the object is damaged: its sha256 is {found} instead of {expected}")]
    Hash {
        /// As the index says.
        expected: String,
        /// As it is.
        found: String,
    },
    /// Tables, rows or other things differ from the index.
    #[error("the dump does not hold what its index says: {0}")]
    Inventory(String),
}

fn place(table: Option<&str>) -> String {
    table.map_or(String::new(), |table| format!(" (in table {table})"))
}

/// Reads a whole dump object and counts what is in it. Holds one statement at a time. Blocks.
///
/// With an `index`, every member must have the checksum and the rows stated there, and damage names the table.
pub fn check_content(object: impl Read, index: Option<&DumpIndex>) -> Result<ContentReport, ContentError> {
    let mut pieces = Pieces::new(VerifiedText::new(HashingReader::new(object)), DEFAULT_STATEMENT_LIMIT);
    let mut contents = Contents::default();
    // Statement offsets with the rows inserted up to there: reduced to one count for each member as they end.
    let mut member_rows = vec![0_u64];
    loop {
        let piece = match pieces.next_piece() {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => return Err(failure(error, &contents, index)),
        };
        let (before, offset) = (contents.rows, piece.offset);
        contents.accept(&piece);
        let is_statement = piece.kind == PieceKind::Statement;
        if is_statement {
            // The text is read ahead of the statements: find the member by where the statement begins.
            let ends = pieces.reader().gzip().ends();
            let member = ends.partition_point(|end| end.text_offset <= offset);
            member_rows.resize(member_rows.len().max(member + 1), 0);
            member_rows[member] += contents.rows - before;
        }
    }
    let ends = pieces.reader().gzip().ends();
    member_rows.resize(ends.len(), 0);
    if let Some(index) = index {
        compare_members(ends, &member_rows, index)?;
    }
    if !contents.trailer_is_last() {
        return Err(ContentError::NoTrailer);
    }
    if let Some(index) = index {
        compare_inventory(&mut contents, index)?;
    }
    let (size_bytes, members) = (pieces.reader().gzip().taken_bytes(), ends.len());
    let text_bytes = ends.last().map_or(0, |end| end.text_offset);
    let sha256 =
        pieces.into_reader().into_gzip().into_object().map(HashingReader::finish).unwrap_or_default();
    if let Some(index) = index
        && index.object.sha256 != sha256
    {
        return Err(ContentError::Hash { expected: index.object.sha256.clone(), found: sha256 });
    }
    Ok(ContentReport {
        size_bytes,
        sha256,
        text_bytes,
        members,
        statements: contents.statements,
        inventory: contents.inventory,
        point: contents.point,
    })
}

fn failure(error: PieceError, contents: &Contents, index: Option<&DumpIndex>) -> ContentError {
    let here = || qualified(contents.database.as_deref(), contents.table.as_deref());
    match error {
        PieceError::Lex(error) => ContentError::Sql { table: here(), error },
        PieceError::Read(error) => match GzipError::of(&error) {
            None => ContentError::Read(error),
            Some(damage) => {
                let of_index = index.zip(damage.member()).map(|(index, member)| {
                    index
                        .members
                        .get(member)
                        .and_then(|m| qualified(m.database.as_deref(), m.table.as_deref()))
                });
                ContentError::Gzip { damage: damage.clone(), table: of_index.unwrap_or_else(here) }
            }
        },
    }
}

fn qualified(database: Option<&str>, table: Option<&str>) -> Option<String> {
    Some(match (database, table?) {
        (Some(database), table) => format!("{database}.{table}"),
        (None, table) => table.to_owned(),
    })
}

fn compare_members(ends: &[MemberEnd], rows: &[u64], index: &DumpIndex) -> Result<(), ContentError> {
    for (position, member) in index.members.iter().enumerate() {
        let differs = |what, expected: String, found: String| ContentError::Member {
            member: position,
            table: qualified(member.database.as_deref(), member.table.as_deref()),
            what,
            expected,
            found,
        };
        let Some(end) = ends.get(position) else {
            return Err(differs("its presence", "there".to_owned(), "missing".to_owned()));
        };
        if end.crc32 != member.crc32 {
            return Err(differs("its CRC-32", format!("{:08x}", member.crc32), format!("{:08x}", end.crc32)));
        }
        let size = member.offset + member.size_bytes;
        if end.offset != size {
            return Err(differs("its end", size.to_string(), end.offset.to_string()));
        }
        if rows[position] != member.rows {
            return Err(differs("its rows", member.rows.to_string(), rows[position].to_string()));
        }
    }
    if ends.len() > index.members.len() {
        return Err(ContentError::Inventory(format!(
            "{} gzip members instead of {}",
            ends.len(),
            index.members.len()
        )));
    }
    Ok(())
}

fn compare_inventory(contents: &mut Contents, index: &DumpIndex) -> Result<(), ContentError> {
    let counted = |inventory: &Inventory| {
        inventory.databases.values().flat_map(|d| d.tables.values()).any(|table| table.rows.is_some())
    };
    if counted(&index.inventory) {
        contents.rows_are_complete();
    }
    match index.inventory.compare(&contents.inventory).first() {
        None => Ok(()),
        Some(difference) => Err(ContentError::Inventory(difference.to_string())),
    }
}
