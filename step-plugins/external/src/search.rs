//! Where plugins are: receives folders, yields the executables named `rekindle-step-KIND` in them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What the name of every plugin begins with.
pub const PREFIX: &str = "rekindle-step-";
/// How long the name of a kind may be.
const KIND_LENGTH: usize = 63;

/// An executable that says by its name which kind it carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The kind: what follows [`PREFIX`].
    pub kind: String,
    /// Where it is.
    pub path: PathBuf,
    /// Why it does not count, when it does not.
    pub ignored: Option<String>,
}

/// A folder of plugins that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to look for plugins in {path}: {source}")]
pub struct SearchError {
    /// Which folder.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Lists the plugins in these folders by kind. Of two with the same kind, the one in the earlier folder counts.
///
/// # Errors
/// A folder that can't be read.
pub fn search(folders: &[PathBuf]) -> Result<Vec<Found>, SearchError> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for folder in folders {
        let mut names = names_in(folder).map_err(|source| SearchError { path: folder.clone(), source })?;
        names.sort();
        for name in names {
            let kind = name[PREFIX.len()..].to_owned();
            let ignored = match check_kind(&kind) {
                Err(why) => Some(why),
                Ok(()) if !seen.insert(kind.clone()) => Some("an earlier folder has this kind".to_owned()),
                Ok(()) => None,
            };
            all.push(Found { kind, path: folder.join(name), ignored });
        }
    }
    all.sort_by(|one, other| one.kind.cmp(&other.kind));
    Ok(all)
}

fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        if let Ok(name) = entry?.file_name().into_string()
            && name.starts_with(PREFIX)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Checks the name of a kind: kebab-case parts joined by dots, two at least, so that it is never mistaken for one
/// of the plain names that rekindle keeps for itself.
pub(crate) fn check_kind(kind: &str) -> Result<(), String> {
    let kebab = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.split('-').all(|word| {
                !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            })
    };
    if kind.len() > KIND_LENGTH {
        return Err(format!("the name of a kind has at most {KIND_LENGTH} characters"));
    }
    if kind.contains('.') && kind.split('.').all(kebab) {
        return Ok(());
    }
    Err(format!(
        "`{kind}` is no name for a kind: write kebab-case parts joined by dots, such as `acme.notify`"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn kinds_are_kebab_case_with_a_dot() {
        for good in ["acme.notify", "a.b.c", "acme-corp.send-mail2"] {
            assert_eq!(check_kind(good), Ok(()), "{good}");
        }
        for bad in
            ["notify", "", ".", "acme.", ".a", "Acme.notify", "acme.1x", "a..b", "a.b-", "a.b_c", "a.b c"]
        {
            assert!(check_kind(bad).is_err(), "{bad}");
        }
        assert!(check_kind(&format!("a.{}", "b".repeat(62))).is_err());
    }

    #[test]
    fn the_earlier_folder_wins_and_what_does_not_count_says_why() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, name) in [
            (&one, "rekindle-step-acme.b"),
            (&one, "rekindle-step-plain"),
            (&one, "README.md"),
            (&two, "rekindle-step-acme.b"),
            (&two, "rekindle-step-acme.a"),
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = search(&[one.path().to_owned(), two.path().to_owned()]).unwrap();
        let shown = |found: &Found| {
            let place = if found.path.starts_with(one.path()) { "one" } else { "two" };
            format!("{} in {place}: {}", found.kind, found.ignored.as_deref().unwrap_or("counts"))
        };
        insta::assert_snapshot!(found.iter().map(shown).collect::<Vec<_>>().join("\n"), @"
        acme.a in two: counts
        acme.b in one: counts
        acme.b in two: an earlier folder has this kind
        plain in one: `plain` is no name for a kind: write kebab-case parts joined by dots, such as `acme.notify`
        ");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = search(&[PathBuf::from("/no/such/folder")]).unwrap_err();
        assert!(error.to_string().starts_with("failed to look for plugins in /no/such/folder: "), "{error}");
    }
}
