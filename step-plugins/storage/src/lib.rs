//! Object stores, the catalogue of backups, and the step kinds that work on backups.

#[cfg(test)]
mod contract;
pub mod file;

pub use file::{FileStore, FileStores};
