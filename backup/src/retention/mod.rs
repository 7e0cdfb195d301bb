//! Which backups stay: backups and rules in, one decision with its reasons for each out. Pure.
//!
//! Calendar rules count in UTC and keep the newest backup of each of the last N hours (days, ISO 8601 weeks,
//! months, years) that have any, as restic's do. A backup stays when any rule wants it. Whatever the rules say,
//! these stay: the newest backup, the last verified one, marked ones, what a run works with, what a promised window
//! stands on, and those whose manifest can't be read, which a person should look at.
//!
//! Each [`Series`] is counted by itself: a physical backup is not what a logical one was promised for, and a backup of
//! one database brings no server back. A partial one is no longer its series' newest or last verified, which would stay
//! for ever, once a newer one that is verified has all that it has.
//!
//! A backup whose verification failed takes no good one's place: rules that count are applied to all backups
//! and once more to those that have not failed.

mod rules;
mod series;
mod window;

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rekindle_engine::host::StoreErrorKind;
use rekindle_engine::id::RunId;

pub use rules::KeepRules;
pub use series::{Only, Series};
pub use window::{Promise, Window};

use crate::catalogue::{CatalogueError, Listed};
use crate::layout::BackupUri;

/// What pruning needs to know of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub uri: BackupUri,
    /// The point in time that it restores.
    pub at: Timestamp,
    /// What it is counted with; absent when its manifest can't be read.
    pub series: Option<Series>,
    /// What is known of its health.
    pub standing: Standing,
    /// Why it is marked to be kept; absent when it is not.
    pub kept: Option<String>,
    /// The id of the backup that it is an increment to.
    pub base: Option<String>,
    /// A run that works with it now, or goes on with it later.
    pub used_by: Option<RunId>,
}

/// What is known of a backup's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Proven good at some level.
    Verified,
    /// Nobody looked.
    Unverified,
    /// A verification found it bad.
    Failed,
    /// Its manifest is not what was written.
    Damaged,
    /// Its manifest has to be brought back first, and no index tells what it says.
    Archived,
    /// Its manifest may not be read, and no index tells what it says.
    Denied,
}

impl Standing {
    /// Says why a backup stays of which nobody knows what it is; nothing when its manifest was read.
    fn unread(self) -> Option<&'static str> {
        match self {
            Self::Verified | Self::Unverified | Self::Failed => None,
            Self::Damaged => Some("its manifest can't be read: look at it, then remove it by hand"),
            Self::Archived => Some(
                "its manifest is archived: bring that back to a class that is read at once, or remove it by hand",
            ),
            Self::Denied => Some(
                "its manifest may not be read: let the user that runs rekindle read it, or remove it by hand",
            ),
        }
    }
}

impl From<&Listed> for Candidate {
    fn from(listed: &Listed) -> Self {
        let standing = match &listed.summary {
            Err(CatalogueError::Store(error)) if error.kind == StoreErrorKind::Archived => Standing::Archived,
            Err(CatalogueError::Store(_)) => Standing::Denied,
            Err(_) => Standing::Damaged,
            Ok(_) if listed.has_failed() => Standing::Failed,
            Ok(_) if listed.proven().is_empty() => Standing::Unverified,
            Ok(_) => Standing::Verified,
        };
        let summary = listed.summary.as_ref().ok();
        Self {
            uri: listed.uri.clone(),
            at: listed.recovery_point(),
            series: summary.map(|summary| Series { kind: summary.kind, covers: summary.covers.clone() }),
            standing,
            kept: listed.kept(),
            base: summary.and_then(|summary| summary.base.clone()),
            used_by: None,
        }
    }
}

/// Whether a backup stays, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which.
    pub uri: BackupUri,
    /// Whether it stays.
    pub keep: bool,
    /// Every reason why it stays, or why it goes.
    pub reason: String,
}

/// Decides for backups of one cluster; the newest comes first in the answer. Where `only` says which backups the rules
/// are for, all others stay. What the windows need stays, whatever the rules say.
pub fn decide(
    backups: &[Candidate],
    rules: &KeepRules,
    only: Option<&Only>,
    windows: &[Window],
    now: Timestamp,
) -> Vec<Decision> {
    let mut newest_first: Vec<Judged<'_>> =
        backups.iter().map(|backup| Judged { backup, reasons: Vec::new() }).collect();
    newest_first
        .sort_by(|one, other| (other.backup.at, &other.backup.uri).cmp(&(one.backup.at, &one.backup.uri)));
    let all: BTreeSet<&Series> = backups.iter().filter_map(|backup| backup.series.as_ref()).collect();
    // Where there is one only, everybody knows which.
    let which = |series: &Series| if all.len() > 1 { format!(" ({series})") } else { String::new() };
    for series in &all {
        keep_last_ones(&mut newest_first, series, &which(series));
    }
    keep_always(&mut newest_first);
    for series in all.iter().filter(|series| only.is_none_or(|only| only.has(series))) {
        keep_within(&mut newest_first, series, rules, now);
        keep_counted(&mut newest_first, series, &which(series), rules, |standing| {
            standing.unread().is_none()
        });
        keep_counted(&mut newest_first, series, &which(series), rules, |standing| {
            matches!(standing, Standing::Verified | Standing::Unverified)
        });
    }
    for window in windows {
        keep_for_window(&mut newest_first, window, now);
    }
    if let Some(only) = only {
        keep_others(&mut newest_first, only);
    }
    keep_bases(&mut newest_first);
    newest_first.into_iter().map(Judged::decision).collect()
}

struct Judged<'a> {
    backup: &'a Candidate,
    reasons: Vec<String>,
}

impl Judged<'_> {
    fn keep(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn decision(self) -> Decision {
        let uri = self.backup.uri.clone();
        if self.reasons.is_empty() {
            let reason = match self.backup.standing {
                Standing::Failed => "no rule keeps it, and its verification failed",
                Standing::Verified
                | Standing::Unverified
                | Standing::Damaged
                | Standing::Archived
                | Standing::Denied => "no rule keeps it",
            };
            Decision { uri, keep: false, reason: reason.to_owned() }
        } else {
            Decision { uri, keep: true, reason: self.reasons.join(", ") }
        }
    }
}

impl Judged<'_> {
    fn is_of(&self, series: &Series) -> bool {
        self.backup.series.as_ref() == Some(series)
    }
}

/// Keeps the newest and the last verified of a series, unless something newer has all that they have.
fn keep_last_ones(newest_first: &mut [Judged<'_>], series: &Series, which: &str) {
    let newest = newest_first.iter().position(|judged| judged.is_of(series));
    let verified = newest_first
        .iter()
        .position(|judged| judged.is_of(series) && judged.backup.standing == Standing::Verified);
    for (at, reason) in [(newest, "the newest"), (verified, "the last verified")] {
        let Some(at) = at else { continue };
        let stands_in = |other: &Judged<'_>| {
            other.backup.standing == Standing::Verified
                && other.backup.series.as_ref().is_some_and(|other| other.stands_in_for(series))
        };
        if !newest_first[..at].iter().any(stands_in) {
            newest_first[at].keep(format!("{reason}{which}"));
        }
    }
}

fn keep_always(newest_first: &mut [Judged<'_>]) {
    for judged in newest_first {
        match judged.backup.kept.as_deref() {
            Some("") => judged.keep("marked"),
            Some(why) => judged.keep(format!("marked: {why}")),
            None => {}
        }
        if let Some(run) = &judged.backup.used_by {
            judged.keep(format!("in use by run {run}"));
        }
        if let Some(why) = judged.backup.standing.unread() {
            judged.keep(why);
        }
    }
}

/// Keeps what the rules are not for.
fn keep_others(newest_first: &mut [Judged<'_>], only: &Only) {
    for judged in newest_first {
        let is_other = judged.backup.series.as_ref().is_some_and(|series| !only.has(series));
        if is_other && judged.reasons.is_empty() {
            judged.keep(format!("the rules are for {only}"));
        }
    }
}

/// Keeps what the window stands on, and what it will stand on next.
fn keep_for_window(newest_first: &mut [Judged<'_>], window: &Window, now: Timestamp) {
    let start = window.start(now);
    let backups: Vec<_> = newest_first.iter().map(|judged| judged.backup).collect();
    for group in window::groups(&backups, start) {
        let mut usable: Vec<_> = newest_first.iter_mut().filter(|judged| group.has(judged.backup)).collect();
        let inside = usable.iter().take_while(|judged| judged.backup.at > start).count();
        if let Some(next) = inside.checked_sub(1).and_then(|last| usable.get_mut(last)) {
            next.keep(format!("the next start of the {window}"));
        }
        if let Some(begin) = usable.get_mut(inside) {
            begin.keep(format!("the start of the {window}"));
        }
    }
}

/// Keeps what increments that stay build on, and what that builds on. The newest comes first, and a base is older than
/// its increments; where clocks say otherwise, another round finds it.
fn keep_bases(newest_first: &mut [Judged<'_>]) {
    loop {
        let needed: Vec<(String, String)> = newest_first
            .iter()
            .filter(|judged| !judged.reasons.is_empty())
            .filter_map(|judged| Some((judged.backup.base.clone()?, judged.backup.uri.id.clone())))
            .collect();
        let mut changed = false;
        for (base, increment) in needed {
            for judged in newest_first.iter_mut().filter(|judged| judged.backup.uri.id == base) {
                changed |= judged.reasons.is_empty();
                judged.keep(format!("the base of {increment}"));
            }
        }
        if !changed {
            return;
        }
    }
}

fn keep_within(newest_first: &mut [Judged<'_>], series: &Series, rules: &KeepRules, now: Timestamp) {
    let Some(within) = rules.keep_within else { return };
    let age = SignedDuration::try_from(within.0).unwrap_or(SignedDuration::MAX);
    let oldest = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let young = |judged: &&mut Judged<'_>| judged.is_of(series) && judged.backup.at >= oldest;
    for judged in newest_first.iter_mut().filter(young) {
        judged.keep(format!("within {within}"));
    }
}

/// Applies the rules that count to the backups of a series that `counts` lets take a place.
fn keep_counted(
    newest_first: &mut [Judged<'_>],
    series: &Series,
    which: &str,
    rules: &KeepRules,
    counts: fn(Standing) -> bool,
) {
    let takes_place = |judged: &&mut Judged<'_>| judged.is_of(series) && counts(judged.backup.standing);
    if let Some(last) = rules.keep_last {
        for judged in newest_first.iter_mut().filter(takes_place).take(places(last)) {
            judged.keep(format!("last {last}{which}"));
        }
    }
    let calendars: [(Option<NonZeroU32>, &str, Bucket); 5] = [
        (rules.keep_hourly, "hourly", |at| text_of(at, "%Y-%m-%dT%H")),
        (rules.keep_daily, "daily", |at| text_of(at, "%Y-%m-%d")),
        (rules.keep_weekly, "weekly", |at| text_of(at, "%G-W%V")),
        (rules.keep_monthly, "monthly", |at| text_of(at, "%Y-%m")),
        (rules.keep_yearly, "yearly", |at| text_of(at, "%Y")),
    ];
    for (count, word, bucket) in calendars {
        let Some(count) = count else { continue };
        let mut left = places(count);
        let mut last_bucket = None;
        for judged in newest_first.iter_mut().filter(takes_place) {
            let this = bucket(judged.backup.at);
            if last_bucket.as_ref() != Some(&this) {
                if left == 0 {
                    break;
                }
                left -= 1;
                judged.keep(format!("{word} {this}{which}"));
                last_bucket = Some(this);
            }
        }
    }
}

/// Names the hour, day, … of a time.
type Bucket = fn(Timestamp) -> String;

fn text_of(at: Timestamp, format: &str) -> String {
    at.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

fn places(count: NonZeroU32) -> usize {
    usize::try_from(count.get()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
