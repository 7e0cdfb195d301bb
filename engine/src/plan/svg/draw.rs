//! Rectangles and lines → SVG (<https://www.w3.org/TR/SVG2/>).

use std::fmt::Write as _;

use super::super::graph::Look;
use super::boxes::{Scene, Tile};
use super::layout::{LABEL_SIZE, Layout, Placed, Rect, SMALL_SIZE, SYMBOL, Segment};
use super::words::escaped;
use crate::step::Effect;

/// How the effect of a box is told: by colour, and by a symbol for those who don't see the colour. The colours
/// are those of Okabe and Ito, "Color Universal Design" (2008).
pub(super) const STYLE: &str = "
    svg { --paper: #ffffff; --ink: #1b1f23; --quiet: #57606a; --frame: #f6f8fa; --rim: #d0d7de; --line: #6e7781;
      --read: #0072b2; --read-fill: #e6f2fa; --write: #008060; --write-fill: #e4f5ef;
      --destroy: #c2410c; --destroy-fill: #fdece3; --longest: #7b2d8e; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #0d1117; --ink: #e6edf3; --quiet: #9aa4af; --frame: #151b23; --rim: #3d444d; --line: #8b949e;
        --read: #56b4e9; --read-fill: #10293b; --write: #2fc59a; --write-fill: #0d2b23;
        --destroy: #ff8c5a; --destroy-fill: #3b1c10; --longest: #d69be6; }
    }
    text { font-family: ui-monospace, Menlo, Consolas, \"DejaVu Sans Mono\", monospace; fill: var(--ink); }
    .title { font-size: 16px; font-weight: 600; }
    .label { font-size: 13px; font-weight: 600; }
    .small { font-size: 11px; fill: var(--quiet); }
    .band { font-size: 12px; fill: var(--quiet); paint-order: stroke; stroke: var(--frame); stroke-width: 5px; }
    .warn { font-size: 11px; font-weight: 600; fill: var(--destroy); }
    .frame { fill: var(--frame); stroke: var(--rim); }
    .line { fill: none; stroke: var(--line); stroke-width: 1.4; }
    .head { fill: var(--line); stroke: none; }
    .line.longest { stroke: var(--longest); stroke-width: 3; }
    .head.longest { fill: var(--longest); }
    .inferred { stroke-dasharray: 5 3; }
    .tile { stroke-width: 1.4; }
    .read .tile { fill: var(--read-fill); stroke: var(--read); }
    .write .tile { fill: var(--write-fill); stroke: var(--write); }
    .destroy .tile { fill: var(--destroy-fill); stroke: var(--destroy); stroke-width: 2.4; }
    .skipped .tile { fill: var(--frame); stroke: var(--quiet); stroke-dasharray: 2 3; }
    .skipped text, .skipped .symbol { opacity: 0.6; }
    .symbol { stroke-width: 1.8; stroke-linecap: round; fill: none; }
    .read .symbol { stroke: var(--read); }
    .write .symbol { stroke: var(--write); }
    .destroy .symbol { stroke: var(--destroy); }
    .skipped .symbol { stroke: var(--quiet); }
    .halo { fill: none; stroke: var(--longest); stroke-width: 3; }
";

/// A number as short as it can be, to a tenth of a pixel.
pub(super) fn px(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// Writing to a `String` can't fail: the results below are dropped.
pub(super) fn text(into: &mut String, class: &str, (x, y): (f64, f64), words: &str) {
    let _ =
        writeln!(into, "  <text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", px(x), px(y), escaped(words));
}

pub(super) fn frames(into: &mut String, layout: &Layout) {
    for (_, rect) in &layout.bands {
        let _ = writeln!(into, "  <rect class=\"frame\" {} rx=\"8\"/>", position(rect));
    }
}

/// The titles of the frames, above the lines that may pass behind them.
pub(super) fn titles(into: &mut String, layout: &Layout) {
    for (title, rect) in &layout.bands {
        text(into, "band", (rect.x + 10.0, rect.y + 19.0), title);
    }
}

pub(super) fn lines(into: &mut String, layout: &Layout) {
    // The longest path last, so that nothing covers it.
    for longest in [false, true] {
        for segment in layout.segments.iter().filter(|segment| segment.longest == longest) {
            line(into, segment);
        }
    }
}

fn line(into: &mut String, segment: &Segment) {
    let Segment { from: (x, y), to: (end_x, end_y), inferred, longest, head } = *segment;
    let (dashed, strong) = (if inferred { " inferred" } else { "" }, if longest { " longest" } else { "" });
    let stop = if head { end_y - 6.0 } else { end_y };
    let turn = f64::midpoint(y, stop);
    // The difference is one of columns: what differs less than a tenth of a pixel is drawn straight.
    let way = if px(x) == px(end_x) {
        format!("V{}", px(stop))
    } else {
        format!("C{0} {2} {1} {2} {1} {3}", px(x), px(end_x), px(turn), px(stop))
    };
    let _ = writeln!(into, "  <path class=\"line{dashed}{strong}\" d=\"M{} {} {way}\"/>", px(x), px(y));
    if head {
        let _ =
            writeln!(into, "  <path class=\"head{strong}\" d=\"M{} {} l-4 -8 h8 z\"/>", px(end_x), px(end_y));
    }
}

pub(super) fn tiles(into: &mut String, scene: &Scene, layout: &Layout) {
    for (tile, placed) in scene.tiles.iter().zip(&layout.boxes) {
        draw(into, tile, placed);
    }
}

fn draw(into: &mut String, tile: &Tile, placed: &Placed) {
    let rect = &placed.rect;
    let _ = writeln!(into, "  <g class=\"{}\">", class(tile.look));
    let _ = writeln!(into, "  <title>{}</title>", escaped_lines(&tile.tooltip));
    let round = if tile.look == Look::WhilePlanning { 14 } else { 4 };
    let shape = |rect: &Rect| format!("<rect class=\"tile\" {} rx=\"{round}\"/>", position(rect));
    if tile.instances > 1 {
        for offset in [6.0, 3.0] {
            let _ = writeln!(into, "  {}", shape(&Rect { x: rect.x + offset, y: rect.y + offset, ..*rect }));
        }
    }
    let _ = writeln!(into, "  {}", shape(rect));
    if tile.longest {
        let _ =
            writeln!(into, "  <rect class=\"halo\" {} rx=\"{}\"/>", position(&grown(rect, 3.0)), round + 3);
    }
    let middle = rect.y + rect.height / 2.0;
    symbol(into, tile.look, (rect.x + SYMBOL / 2.0, middle));
    let words = [
        ("label", LABEL_SIZE, &placed.label),
        ("small", SMALL_SIZE, &placed.kind),
        ("small", SMALL_SIZE, &placed.remark),
    ];
    let shown: Vec<_> = words.iter().filter(|(_, _, words)| !words.is_empty()).collect();
    let whole: f64 = shown.iter().map(|(_, size, _)| size + 3.0).sum();
    let mut y = middle - whole / 2.0;
    for (class, size, words) in shown {
        y += size + 3.0;
        text(into, class, (rect.x + SYMBOL, y - 4.0), words);
    }
    into.push_str("  </g>\n");
}

pub(super) fn class(look: Look) -> &'static str {
    match look {
        Look::Runs(Effect::Read) | Look::WhilePlanning => "read",
        Look::Runs(Effect::Write) => "write",
        Look::Runs(Effect::Destroy) => "destroy",
        Look::Skipped => "skipped",
    }
}

/// An eye of a lens for what reads, a plus for what writes, a warning triangle for what destroys, a bar for what
/// does not run; about 18 pixels wide, around a point.
pub(super) fn symbol(into: &mut String, look: Look, (x, y): (f64, f64)) {
    let at = |dx: f64, dy: f64| format!("{} {}", px(x + dx), px(y + dy));
    let shape = match look {
        Look::Runs(Effect::Read) | Look::WhilePlanning => {
            format!("M{} a5 5 0 1 0 10 0 a5 5 0 1 0 -10 0 M{} l4 4", at(-7.0, -2.0), at(2.0, 2.0))
        }
        Look::Runs(Effect::Write) => format!("M{} v12 M{} h12", at(0.0, -6.0), at(-6.0, 0.0)),
        Look::Runs(Effect::Destroy) => {
            format!("M{} l8 14 h-16 z M{} v4 M{} v0.1", at(0.0, -8.0), at(0.0, -2.5), at(0.0, 4.0))
        }
        Look::Skipped => format!("M{} h10", at(-5.0, 0.0)),
    };
    let _ = writeln!(into, "  <path class=\"symbol\" d=\"{shape}\"/>");
}

fn position(rect: &Rect) -> String {
    let Rect { x, y, width, height } = rect;
    format!("x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", px(*x), px(*y), px(*width), px(*height))
}

fn grown(rect: &Rect, by: f64) -> Rect {
    Rect { x: rect.x - by, y: rect.y - by, width: rect.width + 2.0 * by, height: rect.height + 2.0 * by }
}

fn escaped_lines(lines: &[String]) -> String {
    lines.iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\n")
}
