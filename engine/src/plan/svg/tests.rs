//! Pictures that read well: nothing overlaps, every line leads down, all words lie inside their boxes.

use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::boxes::{Scene, scene};
use super::layout::{LABEL_SIZE, Layout, Rect, SMALL_SIZE, SYMBOL, layout};
use super::svg;
use super::words::width;
use crate::estimate::fixture::estimates;
use crate::plan::{Beside, Plan, PlanStep, Section, fixture};
use crate::step::Effect;

const LINKS: [&str; 7] = ["prepare", "restore", "index", "warm", "check", "seal", "tag"];
const KINDS: [(&str, Effect); 5] = [
    ("mysql.wait-ready", Effect::Read),
    ("run", Effect::Write),
    ("mysql.restore", Effect::Destroy),
    ("backup.publish", Effect::Write),
    ("mysql.assert", Effect::Read),
];

fn step(id: &str, kind: usize, needs: &[String]) -> PlanStep {
    let (kind, effect) = KINDS[kind % KINDS.len()];
    let mut step = fixture::step(id, kind, effect, "do what it is for");
    step.needs = needs.iter().map(|need| fixture::needs(need)).collect();
    step
}

/// Shards that are brought back side by side, each in a chain with a diamond, between two steps that hold all
/// together, and replicas that are loaded at the end.
fn shards(shards: usize, chain: usize, replicas: usize) -> Plan {
    let mut steps = vec![step("find-backups", 0, &[]), step("provision", 1, &["find-backups".to_owned()])];
    let mut ends = Vec::new();
    for shard in 0..shards {
        let mut last = "provision".to_owned();
        for link in 0..chain {
            let id = format!("{}-shard-{shard}", LINKS[link % LINKS.len()]);
            let id = if link < 7 { id } else { format!("{id}-{link}") };
            steps.push(step(&id, shard + link, std::slice::from_ref(&last)));
            if link % 4 == 2 {
                let side = format!("log-{id}");
                steps.push(step(&side, 1, &[last]));
                ends.push(side);
            }
            last = id;
        }
        ends.push(last);
    }
    let mut verify = step("verify-all", 4, &ends);
    verify.needs.push(fixture::refers("find-backups", "steps.find_backups.outputs.uri"));
    steps.push(verify);
    for replica in 0..replicas {
        let mut reseed = step(&format!("reseed[{replica}]"), 2, &["verify-all".to_owned()]);
        reseed.max_parallel = Some(4);
        steps.push(reseed);
    }
    steps.push(step(
        "open-the-gates",
        1,
        &(0..replicas).map(|at| format!("reseed[{at}]")).collect::<Vec<_>>(),
    ));
    let mut report = step("report", 1, &[]);
    report.section = Section::Finally;
    steps.push(report);
    fixture::plan(steps)
}

/// Asserts what makes a picture readable.
fn check(scene: &Scene, layout: &Layout) {
    for (number, one) in layout.boxes.iter().enumerate() {
        for other in &layout.boxes[number + 1..] {
            assert!(apart(&one.rect, &other.rect), "{one:?} and {other:?} overlap");
        }
        let room = one.rect.width - SYMBOL;
        for (words, size) in [(&one.label, LABEL_SIZE), (&one.kind, SMALL_SIZE), (&one.remark, SMALL_SIZE)] {
            assert!(width(words, size) <= room, "`{words}` is wider than its box");
        }
        let frame = &layout.bands[scene.tiles[number].band].1;
        assert!(inside(&one.rect, frame), "{one:?} is not in its frame {frame:?}");
    }
    for (number, (_, one)) in layout.bands.iter().enumerate() {
        assert!(layout.bands[number + 1..].iter().all(|(_, other)| one.y + one.height < other.y));
        assert!(one.x + one.width <= layout.width && one.y + one.height <= layout.bottom + 20.0);
    }
    for line in &layout.segments {
        assert!(line.from.1 < line.to.1, "{line:?} does not lead down");
        // Between two rows nothing stands; across a row, boxes leave room.
        let crossed = layout.boxes.iter().filter(|placed| {
            let Rect { x, y, width, height } = placed.rect;
            line.from.1 < y + height && line.to.1 > y && line.from.0 > x && line.from.0 < x + width
        });
        assert_eq!(crossed.count(), 0, "{line:?} crosses a box");
    }
    for line in &scene.lines {
        assert!(layout.boxes[line.from].rect.y < layout.boxes[line.to].rect.y, "{line:?} does not lead down");
    }
}

fn apart(one: &Rect, other: &Rect) -> bool {
    one.x + one.width < other.x
        || other.x + other.width < one.x
        || one.y + one.height < other.y
        || other.y + other.height < one.y
}

fn inside(rect: &Rect, frame: &Rect) -> bool {
    rect.x >= frame.x
        && rect.y >= frame.y
        && rect.x + rect.width <= frame.x + frame.width
        && rect.y + rect.height <= frame.y + frame.height
}

fn checked(plan: &Plan) -> Layout {
    let scene = scene(plan, Beside::default());
    let layout = layout(&scene, 60.0);
    check(&scene, &layout);
    layout
}

#[test]
fn a_small_plan_as_a_picture() {
    let mut plan = fixture::recovery();
    plan.settings.policy.approve = vec![Effect::Destroy];
    // What a plan holds changes with its format; how it looks need not.
    plan.hash = "0123456789abcdef".to_owned();
    let estimates = estimates(&plan);
    insta::assert_snapshot!(svg(&plan, Beside { estimates: Some(&estimates), ..Beside::default() }));
}

#[test]
fn pictures_of_five_fifty_and_two_hundred_steps_are_no_wider_than_they_can_be_read() {
    let cases = [(fixture::recovery(), 700.0), (shards(6, 5, 12), 1600.0), (shards(16, 7, 50), 2000.0)];
    for (plan, most) in cases {
        let layout = checked(&plan);
        assert!(layout.width < most, "{} steps are {} wide", plan.steps.len(), layout.width);
    }
}

#[test]
fn a_wide_fan_is_wrapped_and_its_lines_are_bundled() {
    let layout = checked(&shards(60, 1, 3));
    assert!(layout.width < 2600.0, "{}", layout.width);
    // Each of the 60 has a line from the fan and one to where they meet, and each row two that pass it.
    assert!(layout.segments.len() < 200, "{}", layout.segments.len());
}

#[test]
fn many_instances_are_one_box_and_few_are_not() {
    let labels = |plan: &Plan| {
        let labels: Vec<_> =
            scene(plan, Beside::default()).tiles.into_iter().map(|tile| tile.label).collect();
        labels.into_iter().filter(|label| label.starts_with("reseed")).collect::<Vec<_>>()
    };
    assert_eq!(labels(&shards(1, 1, 40)), ["reseed ×40"]);
    assert_eq!(labels(&shards(1, 1, 2)), ["reseed[0]", "reseed[1]"]);
    assert_eq!(labels(&shards(16, 7, 3)), ["reseed ×3"]);
}

#[test]
fn names_cannot_become_markup() {
    let attack = "<script>alert(1)</script>\"'&]]>\u{0}\u{1b}";
    let mut plan = fixture::recovery();
    plan.runbook.name = attack.to_owned();
    plan.settings.name = attack.to_owned();
    for step in &mut plan.steps {
        step.name = Some(attack.to_owned());
        step.kind = attack.to_owned();
        step.intent.summary = attack.to_owned();
        step.when = Some(attack.to_owned());
        step.disabled = Some(attack.to_owned());
        step.skipped = true;
    }
    plan.steps[0].id = attack.into();
    plan.pinned[0].intent.summary = attack.to_owned();
    let text = svg(&plan, Beside::default());
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !text.contains("<script"), "{text}");
    assert!(!text.contains(['\u{0}', '\u{1b}']));
    // What remains of the markup is ours: every quote closes, every tag is one of these.
    for tag in text.split('<').skip(1) {
        let name = tag.trim_start_matches('/').split([' ', '>', '\n']).next().unwrap();
        assert!(["svg", "title", "desc", "style", "rect", "text", "path", "g"].contains(&name), "<{name}");
    }
}

#[test]
fn nothing_is_fetched_or_run() {
    let text = svg(&shards(3, 3, 3), Beside::default());
    for word in ["href", "url(", "@import", "@font-face", "<script", "onload", "<image", "<use"] {
        assert!(!text.contains(word), "{word}");
    }
    assert_eq!(text.matches("http").count(), 1, "only the name space");
}

#[test]
fn a_plan_without_steps_is_an_empty_picture() {
    let text = svg(&fixture::plan(Vec::new()), Beside::default());
    assert!(text.ends_with("</svg>\n") && !text.contains("NaN") && !text.contains("\"inf"), "{text}");
}

#[test]
fn a_circle_that_no_compiler_makes_is_drawn_without_the_line_that_closes_it() {
    let steps = vec![step("a", 0, &["b".to_owned()]), step("b", 1, &["a".to_owned()])];
    let scene = scene(&fixture::plan(steps), Beside::default());
    assert_eq!(layout(&scene, 0.0).segments.len(), 1);
}

#[test]
fn a_plan_with_far_too_many_arrows_says_that_they_are_not_all_drawn() {
    let ids: Vec<String> = (0..1500).map(|number| format!("s-{number}")).collect();
    let mut steps = vec![step(&ids[0], 0, &[])];
    for number in 1..ids.len() {
        let far: Vec<String> = (0..number).step_by(100).map(|at| ids[at].clone()).collect();
        steps.push(step(&ids[number], number, &[far, vec![ids[number - 1].clone()]].concat()));
    }
    let text = svg(&fixture::plan(steps), Beside::default());
    assert!(text.contains(" arrows are not drawn: they are too many to be read"));
}

/// Plans whose steps need any of the steps before them, in all sections.
fn any_plan(needs: &[Vec<prop::sample::Index>], sections: &[u8], long: bool) -> Plan {
    let mut steps: Vec<PlanStep> = Vec::new();
    for (number, chosen) in needs.iter().enumerate() {
        let section = match sections[number % sections.len()] % 8 {
            0 => Section::Finally,
            1 => Section::OnFailure,
            _ => Section::Main,
        };
        let before: Vec<String> =
            steps.iter().filter(|step| step.section == section).map(|step| step.id.to_string()).collect();
        let mut own: Vec<String> =
            chosen.iter().filter(|_| !before.is_empty()).map(|index| index.get(&before).clone()).collect();
        own.dedup();
        let name = if long { "a-very-long-name-that-goes-on-and-on" } else { "s" };
        let mut step = step(&format!("{name}-{number}"), number, &own);
        step.section = section;
        step.skipped = number % 7 == 3;
        steps.push(step);
    }
    fixture::plan(steps)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_overlaps_and_every_line_leads_down(
        needs in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..60),
        sections in prop::collection::vec(any::<u8>(), 1..9),
        long in any::<bool>(),
    ) {
        let plan = any_plan(&needs, &sections, long);
        checked(&plan);
        let text = svg(&plan, Beside::default());
        assert_eq!(text, svg(&plan, Beside::default()));
        assert!(!text.contains("NaN") && !text.contains("\"inf"));
    }
}
