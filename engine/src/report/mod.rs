//! Events → a report for people: what ran, when, how often, what went wrong, and whether the promises were kept.
//!
//! Receives a plan and the journal's records; yields a [`Report`], and views of it. A pure fold: the same journal
//! always gives the same report.

mod approval;
