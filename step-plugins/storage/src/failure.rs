//! What a store could not do, before store, operation and key are named; and operating-system errors into it.

use std::io;

use rekindle_engine::host::{StoreError, StoreErrorKind};
use rustix::io::Errno;

/// What was being done, as [`StoreError::operation`] words it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    Read,
    Write,
    List,
    Delete,
    LookAt,
    /// Any object, to see whether it can be done.
    WriteTo,
    /// The store itself.
    Open,
    /// The place that the store lies in.
    Change,
}

/// Why it failed, before store, operation and key are named.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: StoreErrorKind,
    pub(crate) why: String,
}

impl Failure {
    pub(crate) fn new(kind: StoreErrorKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into() }
    }

    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Invalid, why)
    }

    /// The stream that was to be stored failed.
    pub(crate) fn of_source(error: impl Into<io::Error>) -> Self {
        Self::new(StoreErrorKind::Source, error.into().to_string())
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StoreErrorKind::NotFound, "there is no such object")
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.kind == StoreErrorKind::NotFound
    }

    pub(crate) fn into_error(self, store: &str, operation: Operation, key: &str) -> StoreError {
        let operation = match operation {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::List => "list",
            Operation::Delete => "delete",
            Operation::LookAt => "look at",
            Operation::WriteTo => "write to",
            Operation::Open => "open",
            Operation::Change => "change",
        };
        StoreError { kind: self.kind, store: store.to_owned(), operation, key: key.to_owned(), why: self.why }
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        let kind = match errno {
            Errno::NOENT => StoreErrorKind::NotFound,
            Errno::EXIST => StoreErrorKind::AlreadyExists,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => StoreErrorKind::Denied,
            Errno::NOSPC | Errno::DQUOT => StoreErrorKind::Full,
            Errno::NAMETOOLONG | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::INVAL | Errno::FBIG => {
                StoreErrorKind::Invalid
            }
            _ => StoreErrorKind::Unavailable,
        };
        Self::new(kind, io::Error::from(errno).to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => Self::new(StoreErrorKind::Unavailable, error.to_string()),
        }
    }
}
