//! The order of what stands in a row, so that few arrows cross, and how far right each thing stands.
//!
//! A row holds boxes, and bends: the places where an arrow passes on its way to a later row. Arrows from one box
//! share their bends, or arrows to one box do, so that a fan of forty arrows is one line that branches.

use std::collections::{HashMap, HashSet};

use super::rows::Row;

/// Something that stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    Box(usize),
    Bend,
}

/// Rows of things, and lines between the things of neighbouring rows.
#[derive(Debug, Default)]
pub(super) struct Web {
    /// Every thing with its row.
    pub(super) things: Vec<(Thing, usize)>,
    /// The things of each row, from left to right.
    pub(super) rows: Vec<Vec<usize>>,
    /// The things that each arrow visits, from its start to its end; empty for one that is left out.
    pub(super) ways: Vec<Vec<usize>>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
}

/// How many rows all arrows together may pass: beyond that a picture of them would be black, and take long.
const PASSED_ROWS_LIMIT: usize = 100_000;
/// How often all rows are put in order, to find one with few crossings.
const SWEEPS: usize = 12;
/// How many pairs of lines are compared in all while doing so.
const PAIRS_LIMIT: usize = 40_000_000;
/// How often all things are moved to where they would stand best.
const MOVES: usize = 80;
/// How much of its distance from the middle a box keeps when it is free to move.
const TO_THE_MIDDLE: f64 = 0.8;

impl Web {
    /// Lays the arrows (all pointing to a later row) through the rows.
    pub(super) fn new(rows: &[Row], arrows: &[(usize, usize)], dashed: &[bool]) -> Self {
        let mut web = Self { rows: vec![Vec::new(); rows.len()], ..Self::default() };
        let mut of_box = HashMap::new();
        for (number, row) in rows.iter().enumerate() {
            for &node in &row.boxes {
                of_box.insert(node, web.add(Thing::Box(node), number));
            }
        }
        let mut degrees: HashMap<usize, (usize, usize)> = HashMap::new();
        for (from, to) in arrows {
            degrees.entry(*from).or_default().0 += 1;
            degrees.entry(*to).or_default().1 += 1;
        }
        let mut passed = 0;
        let mut shared: HashMap<(bool, usize, bool, usize), usize> = HashMap::new();
        for (number, (from, to)) in arrows.iter().enumerate() {
            let (start, end) = (of_box[from], of_box[to]);
            let (first, last) = (web.things[start].1, web.things[end].1);
            passed += last - first;
            if passed > PASSED_ROWS_LIMIT {
                web.ways.push(Vec::new());
                continue;
            }
            let by_start = degrees[from].0 >= degrees[to].1;
            let owner = if by_start { *from } else { *to };
            let mut way = vec![start];
            for row in first + 1..last {
                let key = (by_start, owner, dashed[number], row);
                let bend = match shared.get(&key) {
                    Some(bend) => *bend,
                    None => web.add(Thing::Bend, row),
                };
                shared.insert(key, bend);
                way.push(bend);
            }
            way.push(end);
            web.ways.push(way);
        }
        web.connect();
        web.order();
        web
    }

    /// The things that lines come from, in the row above.
    pub(super) fn above(&self, thing: usize) -> &[usize] {
        &self.above[thing]
    }

    /// The things that lines go to, in the row below.
    pub(super) fn below(&self, thing: usize) -> &[usize] {
        &self.below[thing]
    }

    fn add(&mut self, thing: Thing, row: usize) -> usize {
        let number = self.things.len();
        self.things.push((thing, row));
        self.rows[row].push(number);
        number
    }

    fn connect(&mut self) {
        self.above = vec![Vec::new(); self.things.len()];
        self.below = vec![Vec::new(); self.things.len()];
        let mut known = HashSet::new();
        for pair in self.ways.iter().flat_map(|way| way.windows(2)) {
            if known.insert((pair[0], pair[1])) {
                self.below[pair[0]].push(pair[1]);
                self.above[pair[1]].push(pair[0]);
            }
        }
    }

    /// Orders every row by the mean place of what its things are connected with (the barycenter heuristic of
    /// Sugiyama, Tagawa and Toda, 1981), and keeps the order with the fewest crossings.
    fn order(&mut self) {
        let pairs: usize = self.rows.iter().map(|row| self.lines_below(row).count().pow(2)).sum();
        let mut best = (usize::MAX, self.rows.clone());
        let mut place = self.relative_places();
        for sweep in 0..SWEEPS.min(PAIRS_LIMIT / pairs.max(1)) {
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
            let down = sweep % 2 == 0;
            let count = self.rows.len();
            for step in 1..count {
                let row = if down { step } else { count - 1 - step };
                let neighbours = if down { &self.above } else { &self.below };
                let wanted: HashMap<usize, f64> = self.rows[row]
                    .iter()
                    .map(|thing| {
                        let mean = mean(neighbours[*thing].iter().map(|other| place[*other]));
                        (*thing, mean.unwrap_or(place[*thing]))
                    })
                    .collect();
                self.rows[row].sort_by(|one, other| wanted[one].total_cmp(&wanted[other]));
                note_places(&self.rows[row], &mut place);
            }
        }
        // Where counting would take long nothing was moved either.
        if pairs <= PAIRS_LIMIT && self.crossings() > best.0 {
            self.rows = best.1;
        }
    }

    fn lines_below<'w>(&'w self, row: &'w [usize]) -> impl Iterator<Item = (usize, usize)> + 'w {
        row.iter().flat_map(|thing| self.below[*thing].iter().map(|other| (*thing, *other)))
    }

    /// Where each thing stands in its row, from 0 to 1: rows are of different length.
    fn relative_places(&self) -> Vec<f64> {
        let mut places = vec![0.0; self.things.len()];
        for row in &self.rows {
            note_places(row, &mut places);
        }
        places
    }

    fn crossings(&self) -> usize {
        let mut place = vec![0; self.things.len()];
        for row in &self.rows {
            for (at, thing) in row.iter().enumerate() {
                place[*thing] = at;
            }
        }
        let mut crossings = 0;
        for row in &self.rows {
            let lines: Vec<(usize, usize)> =
                self.lines_below(row).map(|(from, to)| (place[from], place[to])).collect();
            for (position, one) in lines.iter().enumerate() {
                crossings += lines[position + 1..]
                    .iter()
                    .filter(|other| {
                        (one.0 < other.0 && one.1 > other.1) || (one.0 > other.0 && one.1 < other.1)
                    })
                    .count();
            }
        }
        crossings
    }

    /// Gives every run of bends one place as far down as all of its rows have room there.
    fn straighten(&self, middle: &mut [f64], widths: &[f64], gap: f64) {
        let mut seen = vec![false; self.things.len()];
        let is_bend = |thing: usize| self.things[thing].0 == Thing::Bend;
        let mut at = vec![0; self.things.len()];
        for row in &self.rows {
            for (place, thing) in row.iter().enumerate() {
                at[*thing] = place;
            }
        }
        for first in 0..self.things.len() {
            let mut run = Vec::new();
            let mut next = Some(first);
            while let Some(thing) = next.filter(|thing| is_bend(*thing) && !seen[*thing]) {
                seen[thing] = true;
                run.push(thing);
                next = self.below[thing].iter().copied().find(|other| is_bend(*other));
            }
            let mut rest = run.as_slice();
            while !rest.is_empty() {
                let (room, length) = self.common_room(rest, &at, middle, widths, gap);
                let (straight, after) = rest.split_at(length.max(1));
                let wanted = mean(straight.iter().map(|thing| middle[*thing])).unwrap_or_default();
                for thing in straight.iter().filter(|_| length > 1) {
                    middle[*thing] = wanted.clamp(room.0, room.1);
                }
                rest = after;
            }
        }
    }

    /// Gives from where to where all of the first things of a run can stand, and how many those are.
    fn common_room(
        &self,
        run: &[usize],
        at: &[usize],
        middle: &[f64],
        widths: &[f64],
        gap: f64,
    ) -> ((f64, f64), usize) {
        let mut room = (f64::NEG_INFINITY, f64::INFINITY);
        for (length, &thing) in run.iter().enumerate() {
            let row = &self.rows[self.things[thing].1];
            let at = at[thing];
            let space = |other: usize| f64::midpoint(widths[other], widths[thing]) + gap;
            let left = at.checked_sub(1).map(|left| middle[row[left]] + space(row[left]));
            let right = row.get(at + 1).map(|right| middle[*right] - space(*right));
            let narrowed =
                (room.0.max(left.unwrap_or(f64::NEG_INFINITY)), room.1.min(right.unwrap_or(f64::INFINITY)));
            if narrowed.0 > narrowed.1 {
                return (room, length);
            }
            room = narrowed;
        }
        (room, run.len())
    }

    /// Where a thing would stand best, and how much that matters: between what it is connected with. Lines that
    /// run far are to run straight (the weights of Gansner et al., "A technique for drawing directed graphs",
    /// 1993), and everything is drawn to the middle, lest row after row drifts to one side.
    fn wanted(&self, thing: usize, middle: &[f64]) -> (f64, f64) {
        let both = self.above[thing].iter().chain(&self.below[thing]);
        let bend = |thing: usize| self.things[thing].0 == Thing::Bend;
        let (mut sum, mut weights) = (0.0, 0.0);
        for &other in both {
            let weight = match (bend(thing), bend(other)) {
                (true, true) => 8.0,
                (true, false) | (false, true) => 2.0,
                (false, false) => 1.0,
            };
            sum += middle[other] * weight;
            weights += weight;
        }
        if weights == 0.0 {
            return (0.0, 0.5);
        }
        let pull = if bend(thing) { 0.96 } else { TO_THE_MIDDLE };
        (sum / weights * pull, weights)
    }

    /// Gives the middle of every thing, none left of half its own width. `widths` are those of the things,
    /// `gap` is what must stay free between two.
    pub(super) fn places(&self, widths: &[f64], gap: f64) -> Vec<f64> {
        let mut middle = vec![0.0; self.things.len()];
        for row in &self.rows {
            let whole: f64 = row.iter().map(|thing| widths[*thing] + gap).sum();
            let mut left = -whole / 2.0;
            for thing in row {
                middle[*thing] = left + widths[*thing] / 2.0;
                left += widths[*thing] + gap;
            }
        }
        for sweep in 0..MOVES {
            let count = self.rows.len();
            for step in 0..count {
                let row = &self.rows[if sweep % 2 == 0 { step } else { count - 1 - step }];
                let wanted: Vec<(f64, f64)> = row.iter().map(|thing| self.wanted(*thing, &middle)).collect();
                let half: Vec<f64> = row.iter().map(|thing| widths[*thing] / 2.0).collect();
                for (thing, place) in row.iter().zip(apart(&wanted, &half, gap)) {
                    middle[*thing] = place;
                }
            }
        }
        self.straighten(&mut middle, widths, gap);
        let edges = (0..middle.len()).map(|thing| middle[thing] - widths[thing] / 2.0);
        let left = edges.fold(f64::INFINITY, f64::min);
        middle.iter().map(|place| place - left).collect()
    }
}

/// Moves things so far apart that they do not touch, in this order, each as near to its wanted place as that
/// allows: least squares with weights, by pooling adjacent violators (isotonic regression).
fn apart(wanted: &[(f64, f64)], half: &[f64], gap: f64) -> Vec<f64> {
    // Less what must lie to the left of it, each place must only be no smaller than the one before.
    let mut offsets = Vec::with_capacity(wanted.len());
    let mut offset = 0.0;
    for (position, own) in half.iter().enumerate() {
        if position > 0 {
            offset += half[position - 1] + gap + own;
        }
        offsets.push(offset);
    }
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((place, weight), offset) in wanted.iter().zip(&offsets) {
        let mut pool = (place - offset, *weight, 1);
        while let Some(before) = pools.pop_if(|before| before.0 > pool.0) {
            let weight = before.1 + pool.1;
            pool = ((before.0 * before.1 + pool.0 * pool.1) / weight, weight, before.2 + pool.2);
        }
        pools.push(pool);
    }
    let level = pools.iter().flat_map(|(place, _, count)| std::iter::repeat_n(*place, *count));
    level.zip(offsets).map(|(place, offset)| place + offset).collect()
}

fn note_places(row: &[usize], places: &mut [f64]) {
    for (place, thing) in row.iter().enumerate() {
        places[*thing] = (number(place) + 0.5) / number(row.len());
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / number(count))
}

/// A count as a number to reckon with; exact up to 2^53.
#[expect(clippy::cast_precision_loss)]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}
