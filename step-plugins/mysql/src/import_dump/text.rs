//! The text of a foreign dump → a dump of ours: system databases left out, and a database where it names none.

use std::io::Read;

use rekindle_backup::dump::{Contents, DumpWriteError, DumpWriter, TRAILER, WriterOptions, WrittenDump};
use rekindle_backup::sql::{
    DEFAULT_STATEMENT_LIMIT, Kind, Piece, PieceError, PieceKind, Pieces, quote_identifier,
};

use crate::body_sink::BodySink;
use crate::flavour::ServerVersion;

/// Databases that belong to a server, not to its users: those of another one would break it.
const OF_SERVERS: [&str; 4] = ["mysql", "sys", "information_schema", "performance_schema"];
/// The header of a dump is far smaller.
const HEADER_BYTES: usize = 64 << 10;

/// What is to be made of the text.
pub(super) struct Wanted {
    pub(super) database: Option<String>,
    pub(super) allow_missing_trailer: bool,
    pub(super) options: WriterOptions,
}

/// Why the text can't be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum TextError {
    #[error("{0}")]
    Read(#[from] PieceError),
    #[error("{0}")]
    Write(#[from] DumpWriteError),
    #[error("its last line is not `-- Dump completed`: it was cut off, or made without comments")]
    NoTrailer,
    #[error("it says nothing of the database that its tables belong to")]
    NoDatabase,
    #[error("it names the database `{0}` itself")]
    OwnDatabase(String),
    #[error("there is no table in it")]
    Empty,
    #[error("the import was cancelled")]
    Cancelled,
}

/// What was made.
pub(super) struct Rewritten {
    pub(super) dump: WrittenDump,
    /// What the header says of the server.
    pub(super) server: Option<ServerVersion>,
    /// Whether something of a system database was left out.
    pub(super) left_out: bool,
    pub(super) sink: BodySink,
}

/// Reads a text to its end. `look` is told where it is; it ends the work by `false`.
pub(super) fn rewrite(
    text: impl Read,
    sink: BodySink,
    wanted: &Wanted,
    mut look: impl FnMut(&Contents) -> bool,
) -> Result<Rewritten, TextError> {
    let mut pieces = Pieces::new(text, DEFAULT_STATEMENT_LIMIT);
    let mut writer = DumpWriter::new(sink, wanted.options).map_err(DumpWriteError::from)?;
    let mut seen = Contents::default();
    let (mut header, mut left_out, mut is_entered) = (Vec::new(), false, wanted.database.is_none());
    while let Some(piece) = pieces.next_piece()? {
        if header.len() < HEADER_BYTES && piece.kind == PieceKind::Comment {
            header.extend_from_slice(&piece.raw[..piece.raw.len().min(HEADER_BYTES)]);
        }
        let kind = follow(&mut seen, &piece);
        if let (Some(database), false) = (&wanted.database, is_entered)
            && begins_data(&piece, kind.as_ref())
        {
            writer.write(enter(database).as_bytes())?;
            is_entered = true;
        }
        if let (Some(_), Some(Kind::Use(own) | Kind::CreateDatabase(own))) = (&wanted.database, &kind) {
            return Err(TextError::OwnDatabase(own.clone()));
        }
        if is_of_server(&seen, &piece, kind.as_ref()) {
            left_out = true;
            continue;
        }
        writer.write(piece.raw)?;
        if !look(writer.contents()) {
            return Err(TextError::Cancelled);
        }
    }
    if !seen.trailer_is_last() {
        if !wanted.allow_missing_trailer {
            return Err(TextError::NoTrailer);
        }
        writer.write(b"\n")?;
        writer.write(TRAILER)?;
        writer.write(b"\n")?;
    }
    let (sink, dump) = writer.finish()?;
    match dump.inventory.databases.get("") {
        Some(_) => return Err(TextError::NoDatabase),
        None if dump.tables == 0 => return Err(TextError::Empty),
        None => {}
    }
    Ok(Rewritten { dump, server: server(&header), left_out, sink })
}

fn follow(seen: &mut Contents, piece: &Piece<'_>) -> Option<Kind> {
    if piece.kind == PieceKind::Statement { Some(seen.accept_head(piece)) } else { seen.accept(piece) }
}

/// Tells whether the header is over: what comes now belongs to a database.
fn begins_data(piece: &Piece<'_>, kind: Option<&Kind>) -> bool {
    Contents::begins_section(piece)
        || kind.is_some_and(|kind| {
            !matches!(kind, Kind::Set | Kind::SetGtid(_) | Kind::ChangeMaster | Kind::Account)
        })
}

/// Makes a database the one in use, as dumps of several do it.
fn enter(database: &str) -> String {
    let quoted = quote_identifier(database);
    format!(
        "--\n-- Current Database: {quoted}\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ {quoted};\n\nUSE {quoted};\n\n"
    )
}

/// Tells whether a piece is about a system database. What sets the session, and the trailer, always stays.
fn is_of_server(seen: &Contents, piece: &Piece<'_>, kind: Option<&Kind>) -> bool {
    let is_system = |name: &str| OF_SERVERS.iter().any(|system| system.eq_ignore_ascii_case(name));
    match kind {
        Some(Kind::CreateDatabase(name) | Kind::DropDatabase(name)) => is_system(name),
        Some(Kind::Set | Kind::SetGtid(_) | Kind::ChangeMaster) => false,
        Some(_) => seen.database.as_deref().is_some_and(is_system),
        None => {
            piece.kind == PieceKind::Comment
                && !seen.trailer_is_last()
                && seen.database.as_deref().is_some_and(is_system)
        }
    }
}

/// Reads `-- Server version`, a tab, and `10.11.6-MariaDB`.
fn server(header: &[u8]) -> Option<ServerVersion> {
    let text = String::from_utf8_lossy(header);
    let line = text.lines().find_map(|line| line.strip_prefix("-- Server version"))?;
    ServerVersion::read(line.trim(), "")
}
