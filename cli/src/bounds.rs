//! Bounds on memory that can only be set from outside of the process.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Variables that are read once, at the beginning.
///
/// - How many buffers of up to 4 MiB the MySQL client library keeps for later. It keeps 128 by itself, takes them in turn,
///   and each grows to the largest statement that it ever carried: after one answer of 60 columns (`SHOW REPLICA STATUS`), a
///   restore would hold 60 of them.
/// - From which size on blocks go back to the system as soon as they are freed, in bytes. glibc raises that by itself to the
///   largest block that was freed, and keeps those of parts and members of 4 and more MiB for each thread (mallopt(3)).
const BOUNDS: [(&str, &str); 2] =
    [("MYSQL_ASYNC_BUFFER_POOL_CAP", "8"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];

/// Replaces this process by itself with the bounds set; does nothing when they are set already. To be called before
/// anything else is done. Where it can't be, rekindle works all the same, with more memory.
pub(crate) fn apply() {
    let missing: Vec<_> = BOUNDS.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(called) = arguments.next() {
        command.arg0(called);
    }
    // It returns only when it failed.
    let _ = command.args(arguments).envs(missing).exec();
}
