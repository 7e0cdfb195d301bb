//! Puts the program together: every step kind, and the real world behind the engine's traits.

use std::sync::Arc;

use rekindle_engine::host::World;
use rekindle_engine::step::Registry;
use rekindle_storage::FileStores;

use crate::failure::Failure;

/// Gives every step kind this program knows.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    rekindle_general::register(&mut registry);
    rekindle_mysql::register(&mut registry);
    rekindle_storage::register(&mut registry);
    registry
}

/// Gives the real world, with a reaper that ends our children should we be killed.
pub(crate) fn world() -> Result<World, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("failed to find my own program: {error}")))?;
    let reaper = rekindle_host::Reaper::start(program, [crate::REAPER])
        .map_err(|error| Failure::failed(format!("failed to start the reaper: {error}")))?;
    let stores = FileStores::from_working_directory()
        .map_err(|error| Failure::failed(format!("failed to find the working directory: {error}")))?;
    Ok(rekindle_host::world(Arc::new(stores), Some(Arc::new(reaper))))
}
