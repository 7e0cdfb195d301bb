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
/// An arrow that would close a circle is ignored: the compiler lets none through.
pub(super) fn rows(boxes: &Boxes<'_>) -> Vec<Row> {
    let count = boxes.bands.len();
    let mut row_of: Vec<Option<usize>> = vec![None; count];
    let mut rows: Vec<Row> = Vec::new();
    let last = boxes.bands.iter().max().map_or(0, |band| band + 1);
    for band in 0..last {
        let mut left: BTreeSet<usize> = (0..count).filter(|node| boxes.bands[*node] == band).collect();
        while !left.is_empty() {
            let mut ready = ready(boxes, &left, &row_of);
            if ready.is_empty() {
                ready.extend(left.first());
            }
            ready.sort_by_key(|node| (std::cmp::Reverse(latest_need(boxes, *node, &row_of)), *node));
            ready.truncate(boxes.width.max(1));
            ready.sort_unstable();
            for node in &ready {
                left.remove(node);
                row_of[*node] = Some(rows.len());
            }
            rows.push(Row { band, boxes: ready });
        }
    }
    sink(boxes, &mut rows, &mut row_of);
    rows.retain(|row| !row.boxes.is_empty());
    rows
}

fn ready(boxes: &Boxes<'_>, left: &BTreeSet<usize>, row_of: &[Option<usize>]) -> Vec<usize> {
    let mut waits: BTreeSet<usize> = BTreeSet::new();
    for (from, to) in boxes.arrows {
        if row_of[*from].is_none() && left.contains(from) {
            waits.insert(*to);
        }
    }
    left.iter().copied().filter(|node| !waits.contains(node)).collect()
}

fn latest_need(boxes: &Boxes<'_>, node: usize, row_of: &[Option<usize>]) -> Option<usize> {
    boxes.arrows.iter().filter(|(_, to)| *to == node).filter_map(|(from, _)| row_of[*from]).max()
}

/// Moves boxes that few wait before and many wait for down to those: shorter arrows.
fn sink(boxes: &Boxes<'_>, rows: &mut [Row], row_of: &mut [Option<usize>]) {
    for from in (0..rows.len()).rev() {
        for node in rows[from].boxes.clone() {
            let into = boxes.arrows.iter().filter(|(_, to)| *to == node).count();
            let out: Vec<usize> = boxes
                .arrows
                .iter()
                .filter(|(start, _)| *start == node)
                .filter_map(|(_, to)| row_of[*to])
                .collect();
            let Some(first) = out.iter().min() else { continue };
            let free = (from + 1..*first)
                .rev()
                .find(|row| rows[*row].band == rows[from].band && rows[*row].boxes.len() < boxes.width);
            if let Some(to) = free
                && out.len() > into
            {
                rows[from].boxes.retain(|other| *other != node);
                rows[to].boxes.push(node);
                row_of[node] = Some(to);
            }
        }
    }
}
