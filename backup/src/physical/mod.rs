//! Physical backups as objects: the files of a server as one stream, compressed into gzip members.
//!
//! Receives the stream of `mariadb-backup`, `xtrabackup` or `tar` as it comes; yields what is in it and the proof
//! that it is whole. The object stays plain: `zcat base.mbstream.gz | mbstream -x` unpacks it by hand.

mod chain;
mod facts;
mod metadata;
mod stream;
mod tar;
mod writer;
mod xbstream;

#[cfg(test)]
mod tests;

pub use chain::{ChainError, Link, check_base, load_chain};
pub use facts::{Base, Method, Physical, StreamFormat};
pub use metadata::{Metadata, MetadataError};
pub use stream::{CheckError, StreamContents, StreamError, StreamWatch, check_stream};
pub use writer::{StreamWriteError, StreamWriter, WrittenStream};
