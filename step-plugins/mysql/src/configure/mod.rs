//! `mysql.configure`: sets server variables, keeps them over a restart where that can be done, and reads them back.

mod file;
mod params;
mod run;
mod setting;
mod step;
#[cfg(test)]
mod tests;

pub use params::{Change, ConfigureOutputs, ConfigureParams, Kept};
pub(crate) use step::Configure;
