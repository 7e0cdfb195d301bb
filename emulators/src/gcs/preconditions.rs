//! What a request demands of an object in, whether it holds out ("Request preconditions").

use super::refusal::Refusal;

/// The four conditions of a request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Preconditions {
    /// 0: there is no live object.
    pub(super) generation: Option<i64>,
    /// 0: there is a live object.
    pub(super) not_generation: Option<i64>,
    pub(super) metageneration: Option<i64>,
    pub(super) not_metageneration: Option<i64>,
}

impl Preconditions {
    /// Compares with the generation and metageneration of what is there, for a request that changes it.
    pub(super) fn for_change(self, live: Option<(i64, i64)>) -> Result<(), Refusal> {
        if self.match_holds(live) && self.not_match_holds(live) { Ok(()) } else { Err(Refusal::condition()) }
    }

    /// Compares for a request that reads it: one that shouldn't match and does is answered with 304.
    pub(super) fn for_read(self, live: (i64, i64)) -> Result<(), Refusal> {
        if !self.match_holds(Some(live)) {
            return Err(Refusal::condition());
        }
        if self.not_match_holds(Some(live)) { Ok(()) } else { Err(Refusal::not_modified()) }
    }

    fn match_holds(self, live: Option<(i64, i64)>) -> bool {
        let generation = live.map_or(0, |(generation, _)| generation);
        self.generation.is_none_or(|wanted| wanted == generation)
            && self.metageneration.is_none_or(|wanted| live.is_some_and(|(_, meta)| meta == wanted))
    }

    fn not_match_holds(self, live: Option<(i64, i64)>) -> bool {
        let generation = live.map_or(0, |(generation, _)| generation);
        self.not_generation.is_none_or(|unwanted| unwanted != generation)
            && self.not_metageneration.is_none_or(|unwanted| live.is_none_or(|(_, meta)| meta != unwanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_zero_means_that_nothing_is_there() {
        let absent = Preconditions { generation: Some(0), ..Preconditions::default() };

        assert!(absent.for_change(None).is_ok());
        assert_eq!(absent.for_change(Some((7, 1))).unwrap_err().status, 412);
    }

    #[test]
    fn not_generation_zero_means_that_something_is_there() {
        let present = Preconditions { not_generation: Some(0), ..Preconditions::default() };

        assert!(present.for_change(Some((7, 1))).is_ok());
        assert_eq!(present.for_change(None).unwrap_err().status, 412);
    }

    #[test]
    fn a_metageneration_never_matches_what_is_not_there() {
        let meta = Preconditions { metageneration: Some(1), ..Preconditions::default() };

        assert!(meta.for_change(Some((7, 1))).is_ok());
        assert_eq!(meta.for_change(None).unwrap_err().status, 412);
    }

    #[test]
    fn a_read_of_what_should_not_match_is_not_modified() {
        let unchanged = Preconditions { not_generation: Some(7), ..Preconditions::default() };

        assert_eq!(unchanged.for_read((7, 1)).unwrap_err().status, 304);
        assert!(unchanged.for_read((8, 1)).is_ok());
    }
}
