//! What other runs are at, for steps that must not take away what those work with.

use async_trait::async_trait;

use crate::environment::Settings;
use crate::id::RunId;

/// A run that has not come to its end: it goes on, waits for a person, or was cut off and still has its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Which.
    pub run: RunId,
    /// All that its plans and its journal say, as one text.
    pub says: String,
}

impl AtWork {
    /// Tells whether it names something, and not only something longer that begins so.
    pub fn names(&self, what: &str) -> bool {
        let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        self.says.match_indices(what).any(|(at, _)| !self.says[at + what.len()..].starts_with(goes_on))
    }
}

/// Tells of the runs whose journals are where those of an environment are.
#[async_trait]
pub trait OtherRuns: Send + Sync {
    /// Gives all that are at work, one's own too.
    ///
    /// # Errors
    /// What stands in the way of knowing.
    async fn at_work(&self, settings: &Settings) -> Result<Vec<AtWork>, String>;
}

/// Where there are no journals, there are no other runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOtherRuns;

#[async_trait]
impl OtherRuns for NoOtherRuns {
    async fn at_work(&self, _: &Settings) -> Result<Vec<AtWork>, String> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::AtWork;

    #[test]
    fn a_longer_name_is_another_one() {
        let says = r#"{"uri":"backup://p/shop/ab","other":"backup://p/shop/b/full.sql.gz"}"#.to_owned();
        let run = AtWork { run: "r".into(), says };
        let named =
            ["backup://p/shop/ab", "backup://p/shop/a", "backup://p/shop/b"].map(|what| run.names(what));
        assert_eq!(named, [true, false, false]);
    }
}
