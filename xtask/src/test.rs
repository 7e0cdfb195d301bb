//! `cargo xtask test`: format, lints, docs, every test, also those with real servers, and the demo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::apt;
use crate::cargo::NEXTEST;
use crate::lanes::Lanes;
use crate::mysql;
use crate::python::{MOTO, MOTO_VARIABLE};
use crate::stage::{Failure, Stage};

/// Checks format, lints and docs, and runs every test and the demo, installing what is missing
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leaves the tests out that start servers of other projects: MariaDB, MySQL, moto
    #[arg(long)]
    without_servers: bool,
}

/// The lanes whose tests start servers; `.config/nextest.toml` has the same filters.
const SERVER_LANES: [(&str, &str); 6] = [
    (MARIADB, "package(rekindle-mysql) and not test(/::mysql$/)"),
    MYSQL_LANE,
    ("e2e", "binary(/^e2e$/) and not test(/^moto::|::mysql$/)"),
    MOTO_LANE,
    ("real-s3", "package(rekindle-storage) and test(/^real::s3::/)"),
    ("real-gcs", "package(rekindle-storage) and test(/^real::gcs::/)"),
];
/// Tests of this lane start MariaDB, as the demo does.
const MARIADB: &str = "mariadb";
/// Lanes on buckets of a provider, and the variables that name the URL to test below.
const REAL_LANES: [(&str, &str); 2] = [("real-s3", "REKINDLE_REAL_S3"), ("real-gcs", "REKINDLE_REAL_GCS")];
/// Tests of this name start MySQL; most of them have a sibling called `mariadb`.
const MYSQL_LANE: (&str, &str) =
    ("mysql", "(package(rekindle-mysql) or binary(/^e2e$/)) and test(/::mysql$/)");
/// Tests in a module of this name start moto.
const MOTO_LANE: (&str, &str) =
    ("moto", "(package(rekindle-storage) or binary(/^e2e$/)) and test(/(^|::)moto::/)");

/// Which tests of servers can run here.
#[derive(Default)]
struct Servers {
    /// The lanes that can't, each with the reason.
    left_out: Vec<(&'static str, String)>,
    /// Where moto is.
    moto: Option<PathBuf>,
    /// The folder with MySQL's programs.
    mysql: Option<PathBuf>,
}

impl Servers {
    /// Looks what is there, and installs what is missing. Without moto or MySQL its lane is left out; without MariaDB
    /// there is too little to test.
    fn ensure(args: &Args) -> Result<Self, Failure> {
        if args.without_servers {
            let why = "--without-servers was given";
            let left_out = SERVER_LANES.map(|(lane, _)| (lane, why.to_owned())).to_vec();
            return Ok(Self { left_out, ..Self::default() });
        }
        apt::ensure(&apt::MARIADB)?;
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|url| !url.is_empty());
        Ok(Self::with(MOTO.ensure(), mysql::ensure(), is_set))
    }

    fn with(
        moto: Result<PathBuf, Failure>,
        mysql: Result<PathBuf, Failure>,
        is_set: impl Fn(&str) -> bool,
    ) -> Self {
        let missing = REAL_LANES.iter().filter(|(_, variable)| !is_set(variable));
        let mut left_out: Vec<(&'static str, String)> =
            missing.map(|(lane, variable)| (*lane, format!("{variable} names no bucket"))).collect();
        let mut or_leave_out = |lane: (&'static str, &str), there: Result<PathBuf, Failure>| {
            there.map_err(|failure| left_out.push((lane.0, first_line(&failure.message).to_owned()))).ok()
        };
        let moto = or_leave_out(MOTO_LANE, moto);
        let mysql = or_leave_out(MYSQL_LANE, mysql);
        Self { left_out, moto, mysql }
    }

    fn why_left_out(&self, lane: &str) -> Option<&str> {
        self.left_out.iter().find(|(left_out, _)| *left_out == lane).map(|(_, why)| why.as_str())
    }

    /// Gives the filter of everything that can run.
    fn selection(&self) -> String {
        let filters = SERVER_LANES.iter().filter(|(lane, _)| self.why_left_out(lane).is_some());
        let filters: Vec<&str> = filters.map(|(_, filter)| *filter).collect();
        if filters.is_empty() { "all()".to_owned() } else { format!("not ({})", filters.join(" or ")) }
    }
}

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
    let (servers, mut stop) =
        match Servers::ensure(args).and_then(|servers| NEXTEST.ensure().map(|()| servers)) {
            Ok(servers) => (servers, None),
            // None of its stages will run.
            Err(failure) => (Servers::default(), Some((first_line(&failure.message).to_owned(), failure))),
        };
    for (lane, stage) in stages(&servers) {
        if let Some((why, _)) = &stop {
            lanes.left_out(lane, why);
            continue;
        }
        let ran = stage.run().and_then(|()| note(lane, &servers, lanes));
        if let Err(failure) = ran {
            lanes.left_out(lane, "failed");
            stop = Some((format!("{lane} failed before"), failure));
        }
    }
    if let Some(why) = servers.why_left_out(MARIADB) {
        lanes.left_out(DEMO, why);
    }
    stop.map_or(Ok(()), |(_, failure)| Err(failure))
}

fn note(lane: &'static str, servers: &Servers, lanes: &mut Lanes) -> Result<(), Failure> {
    if lane == TESTS {
        return count_tests(servers, lanes);
    }
    lanes.ran(lane);
    Ok(())
}

/// The stage that holds the lanes of tests.
const TESTS: &str = "tests";
/// The stage that is `cargo xtask demo`, with the program that the tests were run with.
const DEMO: &str = "demo";

fn stages(servers: &Servers) -> Vec<(&'static str, Stage)> {
    let lints = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    let docs = ["doc", "--workspace", "--no-deps", "--all-features"];
    let doc_tests = ["test", "--workspace", "--all-features", "--doc"];
    let mut tests = Stage::cargo(nextest("run", &servers.selection()));
    if let Some(folder) = &servers.moto {
        tests = tests.variable(MOTO_VARIABLE, folder.to_string_lossy());
    }
    if let Some(folder) = &servers.mysql {
        tests = tests.variable("PATH", before_path(folder));
    }
    let mut stages = vec![
        ("fmt", Stage::cargo(["fmt", "--all", "--check"])),
        ("clippy", Stage::cargo(lints)),
        ("docs", Stage::cargo(docs).variable("RUSTDOCFLAGS", "-D warnings")),
        (TESTS, tests),
        ("doctests", Stage::cargo(doc_tests)),
    ];
    if servers.why_left_out(MARIADB).is_none() {
        stages.push((DEMO, demo()));
    }
    stages
}

fn demo() -> Stage {
    let this = std::env::current_exe().unwrap_or_else(|_| "xtask".into());
    let rekindle = this.with_file_name(format!("rekindle{}", std::env::consts::EXE_SUFFIX));
    Stage::new(this, [OsString::from("demo"), "--program".into(), rekindle.into()])
}

/// Gives `PATH` with a folder before all others.
fn before_path(folder: &Path) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    format!("{}:{}", folder.display(), path.to_string_lossy())
}

fn nextest(verb: &str, filter: &str) -> Vec<String> {
    // What the configuration leaves out by itself is what needs the preparations made here.
    let words = ["nextest", verb, "--workspace", "--all-features", "--ignore-default-filter", "-E", filter];
    words.map(str::to_owned).to_vec()
}

fn unit_filter() -> String {
    format!("not ({})", SERVER_LANES.map(|(_, filter)| filter).join(" or "))
}

/// Asks nextest how many tests each lane has, after all of them passed.
fn count_tests(servers: &Servers, lanes: &mut Lanes) -> Result<(), Failure> {
    lanes.tests("unit", count(&unit_filter())?);
    for (lane, filter) in SERVER_LANES {
        match servers.why_left_out(lane) {
            Some(why) => lanes.left_out(lane, why),
            None => lanes.tests(lane, count(filter)?),
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
        let servers = Servers::ensure(&Args { without_servers: true }).unwrap();
        assert_eq!(
            servers.selection(),
            "not (package(rekindle-mysql) and not test(/::mysql$/) \
             or (package(rekindle-mysql) or binary(/^e2e$/)) and test(/::mysql$/) \
             or binary(/^e2e$/) and not test(/^moto::|::mysql$/) \
             or (package(rekindle-storage) or binary(/^e2e$/)) and test(/(^|::)moto::/) \
             or package(rekindle-storage) and test(/^real::s3::/) \
             or package(rekindle-storage) and test(/^real::gcs::/))"
        );
        assert_eq!(servers.selection(), unit_filter());
        assert!(stages(&servers).iter().all(|(lane, _)| *lane != DEMO));
    }

    fn servers(moto: Result<&str, &str>, mysql: Result<&str, &str>, buckets: &[&str]) -> Servers {
        let found = |there: Result<&str, &str>| there.map(PathBuf::from).map_err(Failure::new);
        Servers::with(found(moto), found(mysql), |name| buckets.contains(&name))
    }

    const BUCKETS: &[&str] = &["REKINDLE_REAL_S3", "REKINDLE_REAL_GCS"];

    #[test]
    fn without_moto_its_lane_is_left_out_with_the_reason_and_nothing_else_is() {
        let without = servers(Err("no network\nmore"), Ok("m"), BUCKETS);
        assert_eq!(
            without.selection(),
            "not ((package(rekindle-storage) or binary(/^e2e$/)) and test(/(^|::)moto::/))"
        );
        assert_eq!(without.why_left_out("moto"), Some("no network"));
        assert_eq!(without.why_left_out("e2e"), None);
        assert_eq!(servers(Ok("m"), Ok("m"), BUCKETS).selection(), "all()");
    }

    #[test]
    fn without_mysql_its_lane_is_left_out_with_the_reason_and_nothing_else_is() {
        let without = servers(Ok("m"), Err("no network"), BUCKETS);
        assert_eq!(
            without.selection(),
            "not ((package(rekindle-mysql) or binary(/^e2e$/)) and test(/::mysql$/))"
        );
        assert_eq!(without.why_left_out("mysql"), Some("no network"));
        assert_eq!(without.why_left_out("mariadb"), None);
    }

    #[test]
    fn real_buckets_are_tested_where_a_variable_names_one() {
        let some = servers(Ok("m"), Ok("m"), &BUCKETS[..1]);
        assert_eq!(some.why_left_out("real-s3"), None);
        assert_eq!(some.why_left_out("real-gcs"), Some("REKINDLE_REAL_GCS names no bucket"));
        assert_eq!(some.selection(), "not (package(rekindle-storage) and test(/^real::gcs::/))");
    }
}
