//! What the kinds that work on binary logs share: what a server says of its own, and the program that reads them.

pub(crate) mod program;
pub(crate) mod scratch;
pub(crate) mod server;
#[cfg(test)]
pub(crate) mod testing;
