//! A bound of a library that can only be set from outside of its process.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// How many buffers of up to 4 MiB the MySQL client library keeps for later. It keeps 128 by itself, takes them in turn,
/// and each grows to the largest statement that it ever carried: after one answer of 60 columns (`SHOW REPLICA STATUS`),
/// a restore would hold 60 of them. The library reads this once.
const BUFFERS: (&str, &str) = ("MYSQL_ASYNC_BUFFER_POOL_CAP", "8");

/// Replaces this process by itself with the bound set; does nothing when it is set already. To be called before
/// anything else is done. Where it can't be, rekindle works all the same, with more memory.
pub(crate) fn apply() {
    let (name, value) = BUFFERS;
    if std::env::var_os(name).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(called) = arguments.next() {
        command.arg0(called);
    }
    // It returns only when it failed.
    let _ = command.args(arguments).env(name, value).exec();
}
