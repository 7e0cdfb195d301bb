//! `mysql.replay-binlogs`: brings a server that was restored from a backup forward, by archived binary logs.

mod base;
mod feed;
mod goal;
mod marker;
mod params;
mod reach;
mod run;
mod select;
mod send;
mod step;
mod survey;
#[cfg(test)]
mod tests;

pub(crate) use marker::{Unfinished, await_replay};
pub use params::{ReplayBinlogsOutputs, ReplayBinlogsParams, Told, Until};
pub(crate) use reach::{Reach, reach};
pub(crate) use step::ReplayBinlogs;
