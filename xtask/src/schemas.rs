//! `cargo xtask schemas`: receives what `rekindle schema NAME` prints, yields `schemas/NAME.schema.json`.

use std::fs;

use crate::stage::{Failure, Stage, workspace_root};

/// Builds the program and writes every schema that it prints. A golden test in `cli` keeps them equal.
///
/// # Errors
/// A command that failed, or a file that can't be written.
pub(crate) fn schemas() -> Result<(), Failure> {
    Stage::cargo(["build", "--quiet", "--package", "rekindle"]).run()?;
    let folder = workspace_root().join("schemas");
    let unwritable = |error| Failure::new(format!("failed to write into {}: {error}", folder.display()));
    fs::create_dir_all(&folder).map_err(unwritable)?;
    for name in print(&[])?.lines() {
        let path = folder.join(format!("{name}.schema.json"));
        fs::write(&path, print(&[name])?).map_err(unwritable)?;
        println!("wrote schemas/{name}.schema.json");
    }
    Ok(())
}

/// Gives what `rekindle schema` prints.
fn print(words: &[&str]) -> Result<String, Failure> {
    let run = ["run", "--quiet", "--package", "rekindle", "--", "schema"];
    Stage::cargo(run.iter().chain(words)).read()
}
