//! `cargo xtask audit`: licences, sources, banned crates and known vulnerabilities, by `deny.toml`.

use crate::cargo::DENY;
use crate::lanes::Lanes;
use crate::stage::{Failure, Stage};

/// Checks the dependency graph. The advisory database is a git repository that may be out of reach: then that
/// part is left out, and said to be left out.
///
/// # Errors
/// What cargo-deny found, with its exit code.
pub(crate) fn audit() -> Result<(), Failure> {
    DENY.ensure()?;
    let mut lanes = Lanes::default();
    Stage::cargo([
        "deny",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ])
    .run()?;
    for lane in ["licences", "bans", "sources"] {
        lanes.ran(lane);
    }
    let checked = check_advisories(&mut lanes);
    println!("\n{lanes}");
    checked
}

fn check_advisories(lanes: &mut Lanes) -> Result<(), Failure> {
    if Stage::cargo(["deny", "fetch", "db"]).run().is_err() {
        lanes.left_out(
            "advisories",
            "their database is out of reach: nobody looked for known vulnerabilities",
        );
        return Ok(());
    }
    let checked = Stage::cargo([
        "deny",
        "--all-features",
        "check",
        "--disable-fetch",
        "--hide-inclusion-graph",
        "advisories",
    ])
    .run();
    match &checked {
        Ok(()) => lanes.ran("advisories"),
        Err(_) => lanes.left_out("advisories", "failed"),
    }
    checked
}
