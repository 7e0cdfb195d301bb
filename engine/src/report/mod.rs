//! Events → a report for people.
