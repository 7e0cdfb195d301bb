//! A plan as a picture: one SVG file without fonts, scripts or style sheets of others.
//!
//! Receives a plan and what is told beside it; yields text. On the way: `boxes` decides what is shown, `rows`
//! which row each box stands in, `places` in which order and how far right, `layout` puts numbers to it, `draw`
//! writes it down. Decision 0012 says why the layout is our own.

mod boxes;
mod draw;
mod layout;
mod places;
mod rows;
#[cfg(test)]
mod tests;
mod words;

use std::fmt::Write as _;

use super::graph::Look;
use super::{Beside, Plan, short_hash};
use crate::estimate::Estimates;
use crate::report::duration;
use crate::step::Effect;

use boxes::Scene;
use draw::{px, symbol, text};
use layout::MARGIN;
use words::{escaped, fitted, width};

/// No picture is narrower: its title and legend need room.
const LEAST_WIDTH: f64 = 460.0;

/// Draws the plan. Colours and symbols tell effects; dashed lines are inferred from a reference; the longest
/// path is thick. The same plan always gives the same text.
pub fn svg(plan: &Plan, beside: Beside<'_>) -> String {
    let scene = boxes::scene(plan, beside);
    let mut lines = header(plan, beside.estimates);
    let below = |lines: usize| MARGIN + 30.0 + 16.0 * places::number(lines);
    let mut layout = layout::layout(&scene, below(lines.len()));
    if layout.left_out > 0 {
        let words = format!("{} arrows are not drawn: they are too many to be read", layout.left_out);
        lines.push(("warn", words));
        layout = layout::layout(&scene, below(lines.len()));
    }
    let whole = layout.width.max(LEAST_WIDTH);
    let mut legend = String::new();
    let bottom = draw_legend(&mut legend, &scene, whole, layout.bottom + 36.0);
    let mut page = String::new();
    open(&mut page, plan, &scene, whole, bottom);
    let room = whole - 2.0 * MARGIN;
    text(&mut page, "title", (MARGIN, MARGIN + 14.0), &fitted(&name(plan), 16.0, room));
    for (number, (class, line)) in lines.iter().enumerate() {
        let y = MARGIN + 34.0 + 16.0 * places::number(number);
        text(&mut page, class, (MARGIN, y), &fitted(line, 11.0, room));
    }
    draw::frames(&mut page, &layout);
    draw::lines(&mut page, &layout);
    draw::titles(&mut page, &layout);
    draw::tiles(&mut page, &scene, &layout);
    page.push_str(&legend);
    page.push_str("</svg>\n");
    page
}

fn name(plan: &Plan) -> String {
    format!("{} {} on {}", plan.runbook.name, plan.runbook.version, plan.settings.name)
}

fn open(page: &mut String, plan: &Plan, scene: &Scene, width: f64, height: f64) {
    let (width, height) = (px(width), px(height));
    // Writing to a `String` can't fail: the results below are dropped.
    let _ = writeln!(
        page,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"plan-title plan-description\">"
    );
    let _ = writeln!(page, "  <title id=\"plan-title\">{}</title>", escaped(&name(plan)));
    let mut description = format!("The plan {}. ", short_hash(&plan.hash));
    for (band, title) in scene.bands.iter().enumerate() {
        let labels = scene.tiles.iter().filter(|tile| tile.band == band).map(|tile| tile.label.as_str());
        let _ = write!(description, "{title}: {}. ", labels.collect::<Vec<_>>().join(", "));
    }
    let _ = writeln!(page, "  <desc id=\"plan-description\">{}</desc>", escaped(description.trim_end()));
    let _ = writeln!(page, "  <style>{}</style>", draw::STYLE);
    let _ = writeln!(page, "  <rect width=\"{width}\" height=\"{height}\" fill=\"var(--paper)\"/>");
}

/// What stands above the picture, with the class of each line.
fn header(plan: &Plan, estimates: Option<&Estimates>) -> Vec<(&'static str, String)> {
    let hash = short_hash(&plan.hash);
    let mut lines = vec![("small", format!("plan {hash}: {}", super::text::counts(plan)))];
    let Some(estimates) = estimates else { return lines };
    let Some(path) = &estimates.longest_path else { return lines };
    let rto = estimates.rto_ms.map(|rto| format!(" of RTO {}", duration(rto))).unwrap_or_default();
    let mut line = format!("longest path ≈ {}{rto}", duration(path.typical_ms));
    if !estimates.never_run.is_empty() {
        let (few, all) = (estimates.never_run.len(), estimates.steps_in_all);
        let _ = write!(line, "; not counted: {few} of {all} steps, which have never run");
    }
    lines.push(("small", line));
    if let Some(over) = estimates.rto_missed_by_ms() {
        lines.push(("warn", format!("would miss the RTO by {}", duration(over))));
    }
    lines
}

/// Says what the signs mean, only those that are there. Gives how far down the picture goes.
fn draw_legend(into: &mut String, scene: &Scene, whole: f64, top: f64) -> f64 {
    let has = |look: Look| scene.tiles.iter().any(|tile| tile.look == look);
    let (mut x, mut y) = (MARGIN, top);
    let mut place = |words: &str| {
        let needs = 26.0 + width(words, 11.0) + 18.0;
        if x > MARGIN && x + needs > whole - MARGIN {
            (x, y) = (MARGIN, y + 22.0);
        }
        let at = (x, y);
        x += needs;
        at
    };
    let looks = [
        (Look::Runs(Effect::Read), "reads"),
        (Look::Runs(Effect::Write), "writes"),
        (Look::Runs(Effect::Destroy), "replaces or removes"),
        (Look::Skipped, "does not run"),
    ];
    for (look, words) in looks.into_iter().filter(|(look, _)| has(*look)) {
        let (x, y) = place(words);
        let _ = writeln!(into, "  <g class=\"{}\">", draw::class(look));
        symbol(into, look, (x + 10.0, y));
        into.push_str("  </g>\n");
        text(into, "small", (x + 26.0, y + 4.0), words);
    }
    let styles = [
        ("line", "waits for", scene.lines.iter().any(|line| !line.inferred)),
        ("line inferred", "uses its outputs", scene.lines.iter().any(|line| line.inferred)),
        ("line longest", "longest path", scene.tiles.iter().any(|tile| tile.longest)),
    ];
    for (class, words, _) in styles.into_iter().filter(|(_, _, there)| *there) {
        let (x, y) = place(words);
        let _ = writeln!(into, "  <path class=\"{class}\" d=\"M{} {} h20\"/>", px(x), px(y));
        text(into, "small", (x + 26.0, y + 4.0), words);
    }
    y + 24.0
}
