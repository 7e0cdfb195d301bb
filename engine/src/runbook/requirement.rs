//! `requires:`: which versions of this program a runbook is for.

use semver::{BuildMetadata, Prerelease, Version, VersionReq};

use crate::diagnostic::Diagnostic;
use crate::document::{Node, Reader};

/// The only thing that can be required.
const PROGRAM: &str = "rekindle";

/// Checks `requires: "rekindle >= 0.2"`: the program's name, and a requirement as Cargo has it
/// (<https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html>).
///
/// Gives `None` when it is not met, and reports only that: what else such a runbook says may be of a later version.
pub(super) fn check(reader: &mut Reader, node: &Node) -> Option<()> {
    let this = Version::parse(env!("CARGO_PKG_VERSION")).ok()?;
    check_against(reader, node, &this)
}

fn check_against(reader: &mut Reader, node: &Node, this: &Version) -> Option<()> {
    let text = reader.text(node, "`requires`")?;
    let Some(required) = parse(text) else {
        return reader.wrong_value(
            node,
            format!("`{text}` is no requirement"),
            "write `rekindle` and the versions it is for: `rekindle >= 0.2`, or `rekindle >= 0.2, < 2`",
        );
    };
    // What is about to become 0.2.0 can do what 0.2.0 can.
    let this = Version { pre: Prerelease::EMPTY, build: BuildMetadata::EMPTY, ..this.clone() };
    if required.matches(&this) {
        return Some(());
    }
    reader.report(
        Diagnostic::new("rekindle::runbook::requires", format!("this runbook requires `{text}`"))
            .label(&node.location, format!("this is rekindle {this}"))
            .help("use a version of rekindle that it is for; what else it says was not looked at"),
    );
    None
}

fn parse(text: &str) -> Option<VersionReq> {
    let required = text.trim().strip_prefix(PROGRAM)?;
    if !required.starts_with(char::is_whitespace) {
        return None;
    }
    VersionReq::parse(required.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::{check_against, parse};
    use crate::document::{Reader, Source, parse as parse_document};
    use crate::runbook::CODES;

    /// Tells what is said to a requirement by a version.
    fn said(requires: &str, version: &str) -> String {
        let node = parse_document(&Source::new("book.yaml", requires)).unwrap();
        let mut reader = Reader::new(&CODES);
        let met = check_against(&mut reader, &node, &version.parse().unwrap());
        match reader.finish(met) {
            Ok(()) => "met".to_owned(),
            Err(mistakes) => mistakes
                .iter()
                .map(|mistake| format!("{}: {mistake}; {}", mistake.code, mistake.help.clone().unwrap()))
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }

    #[test]
    fn a_requirement_is_met_by_the_versions_it_names() {
        for requires in
            ["rekindle >= 0.2", "rekindle >=0.2, <2", "rekindle ^0.2", "rekindle 0.2.3", "rekindle *"]
        {
            assert_eq!(said(requires, "0.2.3"), "met", "{requires}");
        }
        assert_eq!(said("rekindle >= 0.2", "0.2.0-dev.1"), "met");
        assert_eq!(said("rekindle >= 0.2", "1.0.0"), "met");
    }

    #[test]
    fn a_requirement_that_is_not_met_says_what_this_is() {
        insta::assert_snapshot!(said("rekindle >= 0.2", "0.1.9"), @"rekindle::runbook::requires: this runbook requires `rekindle >= 0.2`; use a version of rekindle that it is for; what else it says was not looked at");
        assert!(said("rekindle ^0.2", "0.3.0").starts_with("rekindle::runbook::requires"));
    }

    #[test]
    fn what_is_no_requirement_is_told() {
        insta::assert_snapshot!(said("rekindel >= 0.2", "0.2.0"), @"rekindle::runbook::wrong_value: `rekindel >= 0.2` is no requirement; write `rekindle` and the versions it is for: `rekindle >= 0.2`, or `rekindle >= 0.2, < 2`");
        for text in ["rekindle", "rekindle>=0.2", "rekindle at least 2", ">= 0.2", "rekindle >= 0.2 || 1"] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(said("0.2", "0.2.0").contains("wrong_type"));
    }
}
