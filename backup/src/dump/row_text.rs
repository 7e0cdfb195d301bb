//! Rows in other words than those of the program that dumps.

use std::io;

/// Gives what stands in a dump in the place of an `INSERT`, when that would lose something.
pub trait RowText: Send {
    /// Gives statements, without their delimiters, that insert the next `rows` rows of a table; nothing when the program's
    /// own one is to stay.
    ///
    /// # Errors
    /// When there are none any more.
    fn instead(&mut self, database: &str, table: &str, rows: u64) -> io::Result<Option<Vec<Vec<u8>>>>;

    /// Says that the program has no more rows of any table.
    ///
    /// # Errors
    /// When nobody listens any more.
    fn over(&mut self) -> io::Result<()>;
}
