//! The real world behind [`rekindle_engine::host`]: receives the traits, yields a [`World`] that tells the
//! time, runs children that never outlive the run, and reads secrets.
//!
//! Linux only: process groups are watched through `/proc` (proc(5)).

mod clock;
mod identity;
mod proc_stat;
mod processes;
mod reaper;
mod secrets;

use std::sync::Arc;

use rekindle_engine::host::{Masker, NoOtherRuns, Stores, World};

pub use clock::SystemClock;
pub use identity::{identity, is_alive, is_of_this_host, liveness};
pub use proc_stat::{ProcStat, live_group_members};
pub use processes::{LivingChild, RecordedProcesses, SystemProcesses, living_children};
pub use reaper::{Reaper, reaper_main};
pub use secrets::SystemSecrets;

/// Puts a world together: system clock, processes and secrets, with the given stores.
///
/// Without a reaper everything works, but children survive when this program is killed with SIGKILL.
pub fn world(stores: Arc<dyn Stores>, reaper: Option<Arc<Reaper>>) -> World {
    let masker = Masker::default();
    let processes = SystemProcesses::new(reaper);
    World {
        clock: Arc::new(SystemClock),
        secrets: Arc::new(SystemSecrets::new(processes.clone(), masker.clone())),
        processes: Arc::new(processes),
        stores,
        masker,
        others: Arc::new(NoOtherRuns),
    }
}
