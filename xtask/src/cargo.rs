//! Cargo's own plugins: receives a name, yields an installed one.

use crate::stage::{Failure, Stage};

/// A plugin of cargo and the version that was tried with this repository.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plugin {
    crate_name: &'static str,
    subcommand: &'static str,
    version: &'static str,
}

/// Runs tests, each in a process of its own.
pub(crate) const NEXTEST: Plugin =
    Plugin { crate_name: "cargo-nextest", subcommand: "nextest", version: "0.9.143" };

/// Checks the dependency graph against `deny.toml`.
pub(crate) const DENY: Plugin = Plugin { crate_name: "cargo-deny", subcommand: "deny", version: "0.20.2" };

impl Plugin {
    /// Installs the plugin unless some version of it is there.
    pub(crate) fn ensure(self) -> Result<(), Failure> {
        if Stage::cargo([self.subcommand, "--version"]).read().is_ok() {
            return Ok(());
        }
        let install = ["install", self.crate_name, "--locked", "--version", self.version];
        Stage::cargo(install).run().map_err(|failure| Failure {
            message: format!(
                "{}\n{} is missing and could not be installed; `cargo install {} --locked` does it by hand",
                failure.message, self.crate_name, self.crate_name
            ),
            ..failure
        })
    }
}
