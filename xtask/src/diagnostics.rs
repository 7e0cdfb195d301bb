//! Keeps `docs/diagnostics.md` equal to the program, and every diagnostic shown by a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/diagnostics.md";
const SOURCES: [&str; 6] = ["engine", "backup", "host", "step-plugins", "cli", "tests"];
const PREFIX: &str = "rekindle::";

#[test]
fn the_page_lists_every_code_that_there_is_and_no_other() {
    let (used, listed) = (used(), listed());
    let missing: Vec<_> = used.iter().filter(|(code, _)| !listed.contains(*code)).collect();
    assert!(missing.is_empty(), "add a line for each to {PAGE}: {missing:#?}");
    let gone: Vec<_> = listed.iter().filter(|code| !used.contains_key(*code)).collect();
    assert!(gone.is_empty(), "these are in {PAGE} and nowhere else: {gone:#?}");
}

#[test]
fn every_code_is_shown_by_a_snapshot() {
    let shown = shown();
    let unshown: Vec<_> = used().into_iter().filter(|(code, _)| !shown.contains(code)).collect();
    assert!(unshown.is_empty(), "no snapshot shows these codes: {unshown:#?}");
}

#[test]
fn codes_are_found_whole_and_snapshots_in_any_quotes() {
    assert_eq!(
        codes("a rekindle::a::b_c, `rekindle::a::b`").collect::<Vec<_>>(),
        ["rekindle::a::b_c", "rekindle::a::b"]
    );
    assert_eq!(codes("rekindle::a, use rekindle::step::Registry;").count(), 0);
    let source = "x!(a, @\"one \\\" two\"); x!(b, @r##\"three \"# four\"##); // @ five";
    assert_eq!(snapshots(source), ["one \\\" two", "three \"# four"]);
}

/// Gives the codes of the program, each with a file that has it.
fn used() -> BTreeMap<String, PathBuf> {
    let mut used = BTreeMap::new();
    for path in files("rs").into_iter().filter(|path| !is_test(path)) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        // By convention the tests of a file are at its end.
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let quoted = program.split('"').skip(1).filter(|literal| literal.starts_with(PREFIX));
        for literal in quoted.filter(|literal| codes(literal).next().is_some_and(|code| code == *literal)) {
            used.insert(literal.to_owned(), path.clone());
        }
    }
    used
}

fn listed() -> BTreeSet<String> {
    codes(&fs::read_to_string(root().join(PAGE)).unwrap()).map(str::to_owned).collect()
}

/// Gives the codes in all snapshots, inline and in files.
fn shown() -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for path in files("rs") {
        let text = fs::read_to_string(root().join(path)).unwrap();
        shown.extend(snapshots(&text).into_iter().flat_map(codes).map(str::to_owned));
    }
    for path in files("snap") {
        let text = fs::read_to_string(root().join(path)).unwrap();
        shown.extend(codes(&text).map(str::to_owned));
    }
    shown
}

/// Gives what stands in quotes after an `@`, as insta's inline snapshots do.
fn snapshots(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find('@') {
        rest = &rest[at + 1..];
        let raw = rest.strip_prefix('r');
        let marks = raw.map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
        let opened = &raw.unwrap_or(rest)[marks..];
        let Some(text) = opened.strip_prefix('"') else { continue };
        let end =
            if raw.is_some() { text.find(&format!("\"{}", "#".repeat(marks))) } else { closing_quote(text) };
        let Some(end) = end else { continue };
        found.push(&text[..end]);
        rest = &text[end..];
    }
    found
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// Finds `rekindle::area::name` in a text.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PREFIX).filter_map(|(at, _)| {
        let rest = &text[at..];
        let end =
            rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == ':')).unwrap_or(rest.len());
        let code = rest[..end].trim_end_matches(':');
        let is_path = rest[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
        (code.split("::").count() == 3 && !is_path).then_some(code)
    })
}

fn is_test(path: &Path) -> bool {
    let in_tests = |part: &str| part == "tests" || part == "testing" || part.ends_with("_tests");
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    in_tests(stem)
        || path.iter().filter_map(|part| part.to_str()).any(in_tests)
        || ["fixture", "rendering", "properties"].contains(&stem)
}

/// Gives the files of the program and its tests with this extension, from the root of the repository.
fn files(extension: &str) -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = SOURCES.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == extension) {
                found.push(path.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} files below {}", root.display());
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
