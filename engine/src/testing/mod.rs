//! Fakes of the world, for tests of the engine and of step kinds.
//!
//! [`world`] gives a [`crate::host::World`] in which time, processes, secrets and stores are scripted, with a
//! handle to each; [`context`] wraps it into what a step kind gets; [`ScriptedStep`] is a step kind whose every
//! answer is scripted, for tests of the engine itself.
//!
//! ```
//! # use rekindle_engine::testing;
//! let world = testing::world();
//! world.processes.answer("mariadb-dump", testing::Answer::success("-- Dump completed"));
//! let test = testing::context(&world).step("dump").build();
//! assert_eq!(test.cx.step().as_str(), "dump");
//! assert!(test.reporter.warnings().is_empty());
//! ```

mod bucket;
mod clock;
mod context;
mod processes;
mod scripted;
mod scripted_answers;
mod secrets;
mod store;
mod stores;
#[cfg(test)]
mod tests;
mod upload;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use bucket::MemoryBucket;
pub use clock::FakeClock;
pub use context::{ContextBuilder, RecordedReporter, TestContext, context};
pub use processes::{Answer, FakeProcesses};
pub use scripted::ScriptedStep;
pub use scripted_answers::Act;
pub use secrets::FakeSecrets;
pub use store::{MemoryStore, Operation};
pub use stores::MemoryStores;
pub use upload::{KeptStates, MemorySource};
pub use world::{FakeWorld, world};

/// Locks, also after another test thread panicked while it held the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
