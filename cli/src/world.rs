//! Puts the program together: every step kind, and the real world behind the engine's traits.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rekindle_engine::composite;
use rekindle_engine::host::World;
use rekindle_engine::step::Registry;
use rekindle_external::Found;
use rekindle_storage::{EveryStore, FileStores};

use crate::failure::Failure;
use crate::project;

/// Where plugins are looked for when nobody says: beside the runbooks.
const PLUGIN_FOLDER: &str = "plugins";

/// The plugins that this process may use. Written once, before any command begins; tests have none.
static PLUGINS: OnceLock<Vec<Found>> = OnceLock::new();

/// Looks for plugins in the folders of `path` (joined by `:`), or in `plugins/`. Starts none of them.
pub(crate) fn use_plugins(path: Option<&OsStr>) -> Result<(), Failure> {
    let folders: Vec<PathBuf> = match path {
        Some(path) => std::env::split_paths(path).filter(|folder| !folder.as_os_str().is_empty()).collect(),
        None if Path::new(PLUGIN_FOLDER).is_dir() => vec![PLUGIN_FOLDER.into()],
        None => Vec::new(),
    };
    let found = rekindle_external::search(&folders).map_err(|error| {
        Failure::input(error.to_string())
            .help("--plugin-path and REKINDLE_PLUGIN_PATH name folders, joined by `:`")
    })?;
    PLUGINS
        .set(found)
        .map_err(|_| Failure::failed("the plugin path was set twice: this is a defect, please report it"))
}

/// Lists the plugins that were found.
pub(crate) fn plugins() -> &'static [Found] {
    PLUGINS.get().map_or(&[], Vec::as_slice)
}

/// Gives every step kind this program knows, with the composites of the project. Plugins are described when somebody
/// asks for their kind.
pub(crate) fn registry() -> Registry {
    let mut registry = built_in();
    let asking: OnceLock<Result<World, String>> = OnceLock::new();
    let start: rekindle_external::Start = Arc::new(move || {
        let world = asking.get_or_init(|| world().map_err(|failure| failure.message()));
        world
            .as_ref()
            .map(|world| (Arc::clone(&world.processes), Arc::clone(&world.clock)))
            .map_err(Clone::clone)
    });
    rekindle_external::register(&mut registry, plugins().to_vec(), &start);
    composite::register(&mut registry, project::composites());
    registry
}

/// Gives every step kind that is part of this program.
pub(crate) fn built_in() -> Registry {
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
    let files = FileStores::from_working_directory()
        .map_err(|error| Failure::failed(format!("failed to find the working directory: {error}")))?;
    Ok(rekindle_host::world(Arc::new(EveryStore::new(files)), Some(Arc::new(reaper))))
}
