//! The point that a replay begins at: what a backup says of itself.

use jiff::Timestamp;
use rekindle_backup::binlog::{GtidSet, LogPoint, Place, Segment, Transaction};
use rekindle_backup::manifest::{Flavour, Manifest};

/// The point of a backup's data.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// The family of its server.
    pub(super) flavour: Flavour,
    /// The folder of that server's logs.
    pub(super) server: String,
    /// When.
    pub(super) at: Timestamp,
    /// The GTIDs of everything in it; none when its server keeps none.
    pub(super) gtids: Option<GtidSet>,
    /// Where that is in its server's logs.
    pub(super) place: Option<Place>,
}

impl Base {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let flavour = manifest.server.flavour;
        let point = LogPoint::from(manifest);
        Self {
            flavour,
            at: manifest.recovery_point(),
            gtids: point.gtids(flavour),
            place: point.place(),
            server: point.server,
        }
    }

    /// Tells whether its point has a name that no other has: GTIDs of something that was written.
    pub(super) fn is_named(&self) -> bool {
        self.gtids.as_ref().is_some_and(|gtids| !gtids.is_empty())
    }

    /// Tells whether a transaction is in the backup.
    pub(super) fn has(&self, segment: &Segment, transaction: &Transaction) -> bool {
        match (&self.gtids, &transaction.gtid, &self.place) {
            (Some(gtids), Some(gtid), _) => gtids.contains(gtid),
            (_, _, Some(Place { number, position, .. })) => {
                (segment.number, transaction.start) < (*number, *position)
            }
            (_, _, None) => false,
        }
    }

    /// Tells whether all of a segment is in the backup.
    pub(super) fn has_all_of(&self, segment: &Segment) -> bool {
        match (&self.gtids, segment.after_it(), &self.place) {
            (Some(gtids), Some(after), _) => gtids.covers(&after),
            (_, _, Some(Place { number, position, .. })) => {
                (segment.number, segment.to) <= (*number, *position)
            }
            (_, _, None) => false,
        }
    }

    /// Tells whether nothing is missing between the backup and a segment.
    pub(super) fn reaches(&self, segment: &Segment) -> bool {
        match (&self.gtids, segment.before(), &self.place) {
            (Some(gtids), Some(before), _) => gtids.covers(&before),
            (_, _, Some(Place { number, position, .. })) => {
                (segment.number, segment.from) <= (*number, *position)
                    || (segment.number == number + 1 && segment.from == 4)
            }
            (_, _, None) => false,
        }
    }
}
