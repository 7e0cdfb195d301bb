//! Verdicts of verifications, kept beside the backup as `verified/LEVEL.json`.

use jiff::Timestamp;
use rekindle_engine::id::RunId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The folder of verdicts below a backup's prefix, with its trailing `/`.
pub const VERDICTS: &str = "verified/";

/// How thoroughly a backup was looked at; a later level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every object is there, with its size and checksum.
    Objects,
    /// Every dump was also decompressed, its statements lexed, its trailer seen and its inventory counted.
    Content,
}

impl Level {
    /// All levels, the mildest first.
    pub const ALL: [Self; 2] = [Self::Objects, Self::Content];

    /// Gives the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Content => "content",
        }
    }

    /// Gives the name of its verdict below the backup's prefix: `verified/objects.json`.
    pub fn object_name(self) -> String {
        format!("{VERDICTS}{}.json", self.as_str())
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a verification found. Written as a sealed file (see [`crate::sealed`]); the next one of the same level
/// takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// What was looked at.
    pub level: Level,
    /// Whether everything was as it should be.
    pub ok: bool,
    /// When (UTC).
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The run that looked.
    pub by_run: RunId,
    /// What was wrong, one object or fact each.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// Gives the levels at which a backup is proven good, mildest first; empty when it is not.
///
/// A bad verdict counts until a later one of the same or a higher level is good.
pub fn proven(verdicts: &[Verdict]) -> Vec<Level> {
    if has_failed(verdicts) {
        return Vec::new();
    }
    let mut levels: Vec<Level> =
        verdicts.iter().filter(|verdict| verdict.ok).map(|verdict| verdict.level).collect();
    levels.sort_unstable();
    levels.dedup();
    levels
}

/// Tells whether a bad verdict stands that no later one of the same or a higher level has put right.
pub fn has_failed(verdicts: &[Verdict]) -> bool {
    verdicts
        .iter()
        .filter(|verdict| !verdict.ok)
        .any(|bad| !verdicts.iter().any(|other| other.ok && other.level >= bad.level && other.at > bad.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(level: Level, ok: bool, at: i64) -> Verdict {
        let at = Timestamp::from_second(at).unwrap();
        Verdict { level, ok, at, by_run: "r".into(), problems: Vec::new() }
    }

    #[test]
    fn good_verdicts_prove_their_levels() {
        let good = [verdict(Level::Content, true, 1), verdict(Level::Objects, true, 2)];
        assert_eq!(proven(&good), [Level::Objects, Level::Content]);
        assert_eq!(proven(&[]), []);
    }

    #[test]
    fn a_bad_verdict_outweighs_an_older_good_one() {
        let verdicts = [verdict(Level::Content, true, 1), verdict(Level::Objects, false, 2)];
        assert!(has_failed(&verdicts));
        assert_eq!(proven(&verdicts), []);
    }

    #[test]
    fn a_bad_verdict_is_put_right_by_a_later_one_of_a_higher_level_only() {
        assert!(!has_failed(&[verdict(Level::Objects, false, 1), verdict(Level::Content, true, 2)]));
        assert!(has_failed(&[verdict(Level::Content, false, 1), verdict(Level::Objects, true, 2)]));
    }
}
