//! SQL text → statements: bytes of a dump in, statements and the comments between them out, byte for byte.
//!
//! This is a lexer, not a grammar: it knows quotes, comments, `DELIMITER` and the executable comments of
//! MySQL (Reference Manual 11.7 "Comments") and MariaDB (`/*M! … */`), which is what it takes never to split
//! inside a string or a routine's body. It never runs anything, and it refuses client commands by name.

mod between;
mod classify;
mod definer;
mod error;
mod name;
mod piece;
mod pieces;
mod rows;
mod splitter;
mod tokens;

#[cfg(test)]
mod tests;

pub use classify::Kind;
pub use definer::{definer, granted_everywhere, is_undeclared_function};
pub use error::{LexError, LexErrorKind};
pub use name::{Name, quote_identifier, quote_string, unquote_identifier};
pub use piece::{Escapes, Piece, PieceKind};
pub use pieces::{PieceError, Pieces};
pub use splitter::{DEFAULT_STATEMENT_LIMIT, Splitter};
pub use tokens::{Token, Tokens};
