//! Where everything stands: boxes with words → rectangles and lines.

use indexmap::IndexMap;

use super::boxes::{Line, Scene, Tile};
use super::places::{Thing, Web, number};
use super::rows::{self, Boxes, Row};
use super::words::{fitted, width};

/// Sizes, in pixels of a picture that is not scaled.
pub(super) const MARGIN: f64 = 16.0;
pub(super) const LABEL_SIZE: f64 = 13.0;
pub(super) const SMALL_SIZE: f64 = 11.0;
/// What stands left of the words: the symbol of the effect.
pub(super) const SYMBOL: f64 = 32.0;
const PADDING: f64 = 10.0;
const WORDS_MOST: f64 = 216.0;
const WORDS_LEAST: f64 = 70.0;
const TWO_LINES: f64 = 44.0;
const THREE_LINES: f64 = 58.0;
const GAP: f64 = 20.0;
const BEND: f64 = 4.0;
const BAND_TITLE: f64 = 30.0;
const BAND_GAP: f64 = 14.0;
/// Between two rows: more where lines go far to the side.
const ROW_GAP: (f64, f64) = (34.0, 84.0);
/// Between two lines at one side of a box.
const PORT_GAP: f64 = 14.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A box with its place, and its words cut to what fits.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) rect: Rect,
    pub(super) label: String,
    pub(super) kind: String,
    pub(super) remark: String,
}

/// A line between two neighbouring rows, or straight across one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub(super) from: (f64, f64),
    pub(super) to: (f64, f64),
    pub(super) inferred: bool,
    pub(super) longest: bool,
    /// Whether it ends at a box.
    pub(super) head: bool,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) boxes: Vec<Placed>,
    pub(super) bands: Vec<(&'static str, Rect)>,
    pub(super) segments: Vec<Segment>,
    /// How many arrows are not drawn, since they are too many.
    pub(super) left_out: usize,
    pub(super) width: f64,
    pub(super) bottom: f64,
}

/// Gives everything its place, below `top`.
pub(super) fn layout(scene: &Scene, top: f64) -> Layout {
    let bands: Vec<usize> = scene.tiles.iter().map(|tile| tile.band).collect();
    let arrows: Vec<(usize, usize)> = scene.lines.iter().map(|line| (line.from, line.to)).collect();
    let rows = rows::rows(&Boxes { bands: &bands, arrows: &arrows, width: row_width(scene.tiles.len()) });
    let row_of = row_of(&rows, scene.tiles.len());
    // What would point upwards closes a circle, which no plan has.
    let lines: Vec<_> = scene.lines.iter().filter(|line| row_of[line.from] < row_of[line.to]).collect();
    let arrows: Vec<_> = lines.iter().map(|line| (line.from, line.to)).collect();
    let styles: Vec<_> = lines.iter().map(|line| line.inferred).collect();
    let web = Web::new(&rows, &arrows, &styles);

    let height = if scene.tiles.iter().any(|tile| !tile.remark.is_empty()) { THREE_LINES } else { TWO_LINES };
    let placed: Vec<Placed> = scene.tiles.iter().map(|tile| words(tile, height)).collect();
    let widths: Vec<f64> = web
        .things
        .iter()
        .map(|(thing, _)| match thing {
            Thing::Box(tile) => placed[*tile].rect.width,
            Thing::Bend => BEND,
        })
        .collect();
    let middle: Vec<f64> =
        web.places(&widths, GAP).into_iter().map(|place| place + MARGIN + PADDING).collect();
    let right = middle.iter().zip(&widths).map(|(middle, width)| middle + width / 2.0).fold(0.0, f64::max);
    let tops = tops(&web, &rows, &middle, top, height);

    let mut boxes = placed;
    for ((thing, row), middle) in web.things.iter().zip(&middle) {
        if let Thing::Box(tile) = thing {
            let rect = &mut boxes[*tile].rect;
            (rect.x, rect.y) = (middle - rect.width / 2.0, tops[*row]);
        }
    }
    let width = right + PADDING + MARGIN;
    let mut segments: IndexMap<(usize, usize, bool), Segment> = IndexMap::new();
    for (way, line) in web.ways.iter().zip(&lines) {
        for pair in way.windows(2) {
            let segment = segment(&web, &middle, &widths, &tops, height, pair);
            if web.things[pair[0]].0 == Thing::Bend {
                // A bend has one line across its row, whichever way it goes on.
                add(&mut segments, (pair[0], pair[0], true), across(&segment, height), line);
            }
            add(&mut segments, (pair[0], pair[1], false), segment, line);
        }
    }
    let segments = segments.into_values().collect();
    let left_out = web.ways.iter().filter(|way| way.is_empty()).count();
    let bottom = tops.last().map_or(top, |last| last + height);
    Layout { boxes, bands: frames(scene, &rows, &tops, height, width), segments, left_out, width, bottom }
}

/// How many boxes stand side by side at most: about as wide as high, and never wider than a screen.
fn row_width(boxes: usize) -> usize {
    [(12, 4), (40, 5), (100, 6)].iter().find(|(most, _)| boxes <= *most).map_or(7, |(_, width)| *width)
}

fn row_of(rows: &[Row], boxes: usize) -> Vec<usize> {
    let mut row_of = vec![0; boxes];
    for (number, row) in rows.iter().enumerate() {
        for node in &row.boxes {
            row_of[*node] = number;
        }
    }
    row_of
}

fn words(tile: &Tile, height: f64) -> Placed {
    let label = fitted(&tile.label, LABEL_SIZE, WORDS_MOST);
    let kind = fitted(&tile.kind, SMALL_SIZE, WORDS_MOST);
    let remark = fitted(&tile.remark, SMALL_SIZE, WORDS_MOST);
    let widest = width(&label, LABEL_SIZE).max(width(&kind, SMALL_SIZE)).max(width(&remark, SMALL_SIZE));
    let rect = Rect { x: 0.0, y: 0.0, width: SYMBOL + widest.max(WORDS_LEAST).ceil() + PADDING, height };
    Placed { rect, label, kind, remark }
}

/// Gives the upper edge of every row.
fn tops(web: &Web, rows: &[Row], middle: &[f64], top: f64, height: f64) -> Vec<f64> {
    let mut tops: Vec<f64> = Vec::with_capacity(rows.len());
    let mut y = top;
    let mut farthest = vec![0.0_f64; rows.len()];
    for pair in web.ways.iter().flat_map(|way| way.windows(2)) {
        let row = web.things[pair[1]].1;
        farthest[row] = farthest[row].max((middle[pair[0]] - middle[pair[1]]).abs());
    }
    for (number, row) in rows.iter().enumerate() {
        let gap = (farthest[number] * 0.09).clamp(ROW_GAP.0, ROW_GAP.1);
        match number.checked_sub(1).map(|before| rows[before].band) {
            None => y += BAND_TITLE,
            Some(before) if before == row.band => y += gap,
            Some(_) => y += (PADDING + BAND_GAP + BAND_TITLE).max(gap),
        }
        tops.push(y);
        y += height;
    }
    tops
}

fn frames(scene: &Scene, rows: &[Row], tops: &[f64], height: f64, width: f64) -> Vec<(&'static str, Rect)> {
    let frame = |(band, title): (usize, &&'static str)| {
        let own = || rows.iter().zip(tops).filter(move |(row, _)| row.band == band).map(|(_, top)| *top);
        let (first, last) = (own().next()?, own().next_back()?);
        let y = first - BAND_TITLE;
        let rect = Rect { x: MARGIN, y, width: width - 2.0 * MARGIN, height: last + height + PADDING - y };
        Some((*title, rect))
    };
    scene.bands.iter().enumerate().filter_map(frame).collect()
}

/// The line from a thing to the next on an arrow's way.
fn segment(web: &Web, middle: &[f64], widths: &[f64], tops: &[f64], height: f64, pair: &[usize]) -> Segment {
    let (from, to) = (pair[0], pair[1]);
    let (above, below) = (tops[web.things[from].1], tops[web.things[to].1]);
    let is_box = |thing: usize| matches!(web.things[thing].0, Thing::Box(_));
    let port = |thing: usize, other: usize, others: &[usize]| {
        if is_box(thing) { port(thing, other, others, middle, widths) } else { middle[thing] }
    };
    let x = port(from, to, web.below(from));
    Segment {
        from: (x, above + height),
        to: (port(to, from, web.above(to)), below),
        inferred: false,
        longest: false,
        head: is_box(to),
    }
}

/// The line across the row that a segment starts from.
fn across(segment: &Segment, height: f64) -> Segment {
    let (x, y) = segment.from;
    Segment { from: (x, y - height), to: (x, y), head: false, ..*segment }
}

/// Where on the edge of a box the line to `other` is: side by side, in the order of where they come from.
fn port(thing: usize, other: usize, others: &[usize], middle: &[f64], widths: &[f64]) -> f64 {
    let left = others.iter().filter(|one| (middle[**one], **one) < (middle[other], other)).count();
    let room = (widths[thing] - 2.0 * PADDING) / number(others.len());
    let centre = (number(others.len()) - 1.0) / 2.0;
    middle[thing] + (number(left) - centre) * room.min(PORT_GAP)
}

/// Adds a segment once: arrows that share a way share its lines. Solid wins over dashed, the longest path over
/// both.
fn add(
    segments: &mut IndexMap<(usize, usize, bool), Segment>,
    key: (usize, usize, bool),
    segment: Segment,
    line: &Line,
) {
    let drawn = segments.entry(key).or_insert(Segment { inferred: true, longest: false, ..segment });
    drawn.inferred &= line.inferred;
    drawn.longest |= line.longest;
}
