//! Which row each box stands in: below everything it needs, and no more boxes in a row than fit.

use std::collections::BTreeSet;

/// A row of boxes; `band` is the frame it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) band: usize,
    pub(super) boxes: Vec<usize>,
}

/// What is put into rows: boxes by number, each in a band, and arrows between them.
pub(super) struct Boxes<'g> {
    /// The band of each box; bands are stacked in the order of their numbers.
    pub(super) bands: &'g [usize],
    /// Arrows from box to box.
    pub(super) arrows: &'g [(usize, usize)],
    /// How many boxes a row may hold.
    pub(super) width: usize,
}

/// Puts every box into a row (list scheduling, after Coffman and Graham: "Optimal scheduling for two-processor
/// systems", 1972). While a row has room, a box stands as high as its needs allow. When more boxes are ready
/// than fit, those that follow the latest row come first, so that long chains that run side by side are drawn
/// a few at a time to their ends, and not as one very wide row after the other.
///
/// An arrow that would close a circle, or lead to an earlier band, is ignored: the compiler lets none through.
pub(super) fn rows(boxes: &Boxes<'_>) -> Vec<Row> {
    let mut places = Places::new(boxes);
    let last = boxes.bands.iter().max().map_or(0, |band| band + 1);
    for band in 0..last {
        places.band(boxes, band);
    }
    places.sink(boxes);
    places.rows.retain(|row| !row.boxes.is_empty());
    places.rows
}

/// The rows so far, and what each box waits for.
struct Places {
    rows: Vec<Row>,
    row_of: Vec<Option<usize>>,
    needs: Vec<Vec<usize>>,
    followers: Vec<Vec<usize>>,
}

impl Places {
    fn new(boxes: &Boxes<'_>) -> Self {
        let count = boxes.bands.len();
        let mut places = Self {
            rows: Vec::new(),
            row_of: vec![None; count],
            needs: vec![Vec::new(); count],
            followers: vec![Vec::new(); count],
        };
        for (from, to) in boxes.arrows {
            places.needs[*to].push(*from);
            places.followers[*from].push(*to);
        }
        places
    }

    fn band(&mut self, boxes: &Boxes<'_>, band: usize) {
        let inside = |node: &usize| boxes.bands[*node] == band;
        let mut left: BTreeSet<usize> = (0..boxes.bands.len()).filter(inside).collect();
        let waits = |node: usize| self.needs[node].iter().filter(|need| inside(need)).count();
        let mut waits: Vec<usize> = (0..boxes.bands.len()).map(waits).collect();
        let mut ready: Vec<usize> = left.iter().copied().filter(|node| waits[*node] == 0).collect();
        while !left.is_empty() {
            if ready.is_empty() {
                ready.extend(left.first());
            }
            ready.sort_by_cached_key(|node| (std::cmp::Reverse(self.latest_need(*node)), *node));
            let later = ready.split_off(ready.len().min(boxes.width.max(1)));
            let mut row = std::mem::replace(&mut ready, later);
            row.sort_unstable();
            for node in &row {
                left.remove(node);
                self.row_of[*node] = Some(self.rows.len());
            }
            for follower in row.iter().flat_map(|node| &self.followers[*node]).filter(|node| inside(node)) {
                waits[*follower] = waits[*follower].saturating_sub(1);
                if waits[*follower] == 0 && left.contains(follower) && !ready.contains(follower) {
                    ready.push(*follower);
                }
            }
            self.rows.push(Row { band, boxes: row });
        }
    }

    fn latest_need(&self, node: usize) -> Option<usize> {
        self.needs[node].iter().filter_map(|need| self.row_of[*need]).max()
    }

    /// Moves boxes that few wait before and many wait for down to those: shorter arrows.
    fn sink(&mut self, boxes: &Boxes<'_>) {
        for from in (0..self.rows.len()).rev() {
            for node in self.rows[from].boxes.clone() {
                let followers = &self.followers[node];
                let Some(first) = followers.iter().filter_map(|next| self.row_of[*next]).min() else {
                    continue;
                };
                if followers.len() <= self.needs[node].len() {
                    continue;
                }
                let has_room = |row: &usize| {
                    self.rows[*row].band == self.rows[from].band && self.rows[*row].boxes.len() < boxes.width
                };
                if let Some(to) = (from + 1..first).rev().find(has_room) {
                    self.rows[from].boxes.retain(|other| *other != node);
                    self.rows[to].boxes.push(node);
                    self.row_of[node] = Some(to);
                }
            }
        }
    }
}
