//! `cargo xtask test`: format, lints, docs and every test, also those with real servers.

use crate::apt;
use crate::cargo::NEXTEST;
use crate::lanes::Lanes;
use crate::stage::{Failure, Stage};

/// Checks format, lints and docs, and runs every test, installing what is missing
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leaves the tests out that start a MariaDB server
    #[arg(long)]
    without_servers: bool,
}

/// The lanes whose tests start servers; `.config/nextest.toml` has the same filters.
const SERVER_LANES: [(&str, &str); 2] = [("mariadb", "package(rekindle-mysql)"), ("e2e", "binary(/^e2e$/)")];

/// Runs everything, stops at the first stage that fails, and ends with a line that says what ran.
///
/// # Errors
/// The failure of that stage, with its exit code.
pub(crate) fn test(args: &Args) -> Result<(), Failure> {
    let mut lanes = Lanes::default();
    let result = run_lanes(args, &mut lanes);
    println!("\n{lanes}");
    result
}

fn run_lanes(args: &Args, lanes: &mut Lanes) -> Result<(), Failure> {
    let mut stop = prepare(args).err().map(|failure| (first_line(&failure.message).to_owned(), failure));
    for (lane, stage) in stages(args) {
        if let Some((why, _)) = &stop {
            lanes.left_out(lane, why);
            continue;
        }
        let ran = stage.run().and_then(|()| note(lane, args, lanes));
        if let Err(failure) = ran {
            lanes.left_out(lane, "failed");
            stop = Some((format!("{lane} failed before"), failure));
        }
    }
    stop.map_or(Ok(()), |(_, failure)| Err(failure))
}

fn note(lane: &'static str, args: &Args, lanes: &mut Lanes) -> Result<(), Failure> {
    if lane == TESTS {
        return count_tests(args, lanes);
    }
    lanes.ran(lane);
    Ok(())
}

/// The stage that holds the lanes `unit`, `mariadb` and `e2e`.
const TESTS: &str = "tests";

fn prepare(args: &Args) -> Result<(), Failure> {
    if !args.without_servers {
        apt::ensure(&apt::MARIADB)?;
    }
    NEXTEST.ensure()
}

fn stages(args: &Args) -> Vec<(&'static str, Stage)> {
    let lints = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    let docs = ["doc", "--workspace", "--no-deps", "--all-features"];
    let doc_tests = ["test", "--workspace", "--all-features", "--doc"];
    vec![
        ("fmt", Stage::cargo(["fmt", "--all", "--check"])),
        ("clippy", Stage::cargo(lints)),
        ("docs", Stage::cargo(docs).variable("RUSTDOCFLAGS", "-D warnings")),
        (TESTS, Stage::cargo(nextest("run", &selection(args)))),
        ("doctests", Stage::cargo(doc_tests)),
    ]
}

fn nextest(verb: &str, filter: &str) -> Vec<String> {
    ["nextest", verb, "--workspace", "--all-features", "-E", filter].map(str::to_owned).to_vec()
}

fn selection(args: &Args) -> String {
    if args.without_servers { unit_filter() } else { "all()".to_owned() }
}

fn unit_filter() -> String {
    format!("not ({})", SERVER_LANES.map(|(_, filter)| filter).join(" or "))
}

/// Asks nextest how many tests each lane has, after all of them passed.
fn count_tests(args: &Args, lanes: &mut Lanes) -> Result<(), Failure> {
    lanes.tests("unit", count(&unit_filter())?);
    for (lane, filter) in SERVER_LANES {
        if args.without_servers {
            lanes.left_out(lane, "--without-servers was given");
        } else {
            lanes.tests(lane, count(filter)?);
        }
    }
    Ok(())
}

fn count(filter: &str) -> Result<u64, Failure> {
    let mut words = nextest("list", filter);
    words.extend(["--message-format", "json"].map(str::to_owned));
    let listing = Stage::cargo(words).read()?;
    matching_tests(&listing).ok_or_else(|| Failure::new("`cargo nextest list` gave no list of tests"))
}

/// Counts the tests of a listing that match its filter and are not ignored. `test-count` is no help: it counts
/// those that don't match too.
fn matching_tests(listing: &str) -> Option<u64> {
    let listing: serde_json::Value = serde_json::from_str(listing).ok()?;
    let suites = listing.get("rust-suites")?.as_object()?;
    let cases = suites.values().filter_map(|suite| suite.get("testcases")?.as_object());
    let runs = |case: &&serde_json::Value| {
        let matches = case.pointer("/filter-match/status").is_some_and(|status| status == "matches");
        matches && case.get("ignored").is_some_and(|ignored| ignored == false)
    };
    u64::try_from(cases.map(|cases| cases.values().filter(runs).count()).sum::<usize>()).ok()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_that_match_and_are_not_ignored_count() {
        let case = |status: &str, ignored: bool| serde_json::json!({ "filter-match": { "status": status }, "ignored": ignored });
        let cases = serde_json::json!({
            "a": case("matches", false), "b": case("mismatch", false), "c": case("matches", true),
        });
        let listing = serde_json::json!({ "rust-suites": { "one": { "testcases": cases }, "two": {} } });
        assert_eq!(matching_tests(&listing.to_string()), Some(1));
        assert_eq!(matching_tests("{}"), None);
        assert_eq!(matching_tests("no json"), None);
    }

    #[test]
    fn without_servers_only_unit_tests_are_chosen() {
        let filter = selection(&Args { without_servers: true });
        assert_eq!(filter, "not (package(rekindle-mysql) or binary(/^e2e$/))");
        assert_eq!(selection(&Args { without_servers: false }), "all()");
    }
}
