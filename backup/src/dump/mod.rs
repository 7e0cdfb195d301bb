//! SQL dumps as objects: text to gzip members with an index, and back, with proof that nothing is missing.

mod assembly;
mod check;
mod contents;
mod gzip;
mod hashing;
mod late_views;
mod member_text;
mod members;
mod outline;
mod pool;
mod row_text;
mod verified;
mod writer;

#[cfg(test)]
mod tests;

pub use check::{ContentError, ContentReport, check_content};
pub use contents::{Contents, TRAILER};
pub use gzip::{GzipError, GzipText, MemberEnd};
pub use hashing::HashingReader;
pub use member_text::{MemberDamage, MemberStatement, MemberText};
pub(crate) use members::Members;
pub use members::WrittenMembers;
pub use outline::{Outline, TableMembers};
pub use row_text::RowText;
pub use verified::VerifiedText;
pub use writer::{DumpWriteError, DumpWriter, WriterOptions, WrittenDump};
