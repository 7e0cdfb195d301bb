//! Why a text can't be split into statements.

/// Where and why a text can't be split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (line {line}, byte {offset} of the SQL text)")]
pub struct LexError {
    /// What is wrong.
    pub kind: LexErrorKind,
    /// Byte offset in the SQL text.
    pub offset: u64,
    /// Line, from 1.
    pub line: u64,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexErrorKind {
    /// A command for the `mysql` client program, which could run a shell or read a file there.
    #[error("the client command `{0}` is no SQL and is refused")]
    ClientCommand(String),
    /// The text ends before the statement does.
    #[error("the text ends inside {0}")]
    Unfinished(&'static str),
    /// A statement, comment or run of blanks is larger than the limit.
    #[error("a statement is larger than the limit of {0} bytes")]
    TooLong(usize),
    /// `DELIMITER` without one, or one that could not be found again.
    #[error("`DELIMITER` names no usable delimiter")]
    BadDelimiter,
}
