//! `mysql.archive-binlogs`: copies what a server has logged since the last archived log into a store.

mod capture;
mod cut;
mod lag;
mod params;
mod preview;
mod resume;
mod step;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use capture::run;
pub use params::{ArchiveBinlogsOutputs, ArchiveBinlogsParams};
pub(crate) use step::ArchiveBinlogs;
