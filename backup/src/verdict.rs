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
    /// It was also loaded into a throw-away server, and what that holds is what the backup says.
    Restore,
}

impl Level {
    /// All levels, the mildest first.
    pub const ALL: [Self; 3] = [Self::Objects, Self::Content, Self::Restore];

    /// Gives the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Content => "content",
            Self::Restore => "restore",
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
    /// What a restore drill measured; only with [`Level::Restore`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
}

/// What a restore drill measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drill {
    /// How long the restore took, all attempts together, in milliseconds.
    pub restore_ms: u64,
    /// What the server then held: its data and indexes, in bytes, as `information_schema.tables` estimates them.
    pub data_bytes: u64,
    /// Tables whose checksums were compared.
    pub checksums: u64,
    /// The throw-away server's `VERSION()`.
    pub server: String,
}

impl Drill {
    /// Predicts how long a restore of so many bytes takes on a machine like the drill's, in milliseconds: in
    /// proportion. Nothing when the drill had nothing to restore.
    pub fn predict_ms(&self, data_bytes: u64) -> Option<u64> {
        let scaled = u128::from(self.restore_ms) * u128::from(data_bytes);
        u64::try_from(scaled.checked_div(u128::from(self.data_bytes))?).ok()
    }

    /// Gives the throughput in bytes of data and indexes per second; nothing when it took no time.
    pub fn bytes_per_second(&self) -> Option<u64> {
        let scaled = u128::from(self.data_bytes) * 1000;
        u64::try_from(scaled.checked_div(u128::from(self.restore_ms))?).ok()
    }
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
        Verdict { level, ok, at, by_run: "r".into(), problems: Vec::new(), drill: None }
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

    #[test]
    fn a_drill_predicts_in_proportion_to_what_it_restored() {
        let drill = Drill { restore_ms: 4_000, data_bytes: 2_000, checksums: 1, server: String::new() };
        assert_eq!(drill.predict_ms(2_000), Some(4_000));
        assert_eq!(drill.predict_ms(5_000), Some(10_000));
        assert_eq!(drill.bytes_per_second(), Some(500));
        let nothing = Drill { restore_ms: 0, data_bytes: 0, ..drill };
        assert_eq!((nothing.predict_ms(5), nothing.bytes_per_second()), (None, None));
    }
}
