//! What a person on call sees.

use super::text;
use crate::diagnostic::Diagnostic;
use crate::document::{Location, Source, Span};
use crate::plan::{Style, fixture};
use crate::preview::{Preview, StepPreview};

fn preview() -> Preview {
    let source = Source::new("runbooks/dr.yaml", "with: { target: primary }\n");
    let at = Location { source, span: Span::new(16, 23) };
    let restore = StepPreview {
        commands: vec!["SET SESSION sql_log_bin = 0\nCREATE DATABASE shop".to_owned()],
        notes: vec!["the backup has 3 databases".to_owned()],
        problems: vec!["primary can't be reached".to_owned()],
    };
    Preview {
        at: "2026-11-22T15:00:10Z".parse().unwrap(),
        steps: [("restore".into(), restore)].into_iter().collect(),
        problems: vec![
            Diagnostic::new("rekindle::target::unreachable", "primary can't be reached")
                .label(&at, "this target")
                .help("start the server, or correct its address"),
        ],
    }
}

#[test]
fn a_plan_says_what_it_does_in_which_order_and_to_what() {
    insta::assert_snapshot!(text(&fixture::recovery(), None, Style::Plain));
}

#[test]
fn a_preview_adds_commands_notes_ages_and_problems() {
    insta::assert_snapshot!(text(&fixture::recovery(), Some(&preview()), Style::Plain));
}

#[test]
fn colours_change_nothing_but_colours() {
    let plan = fixture::recovery();
    let coloured = text(&plan, Some(&preview()), Style::Ansi);
    let mut bare = String::new();
    for (position, part) in coloured.split("\x1b[").enumerate() {
        bare.push_str(if position == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_ne!(coloured, bare);
    assert_eq!(bare, text(&plan, Some(&preview()), Style::Plain));
}

#[test]
fn a_plan_without_its_plan_phase_results_is_not_ready() {
    let mut plan = fixture::recovery();
    plan.pinned.clear();
    plan.unpinned = vec![fixture::step("find", "backup.find", crate::step::Effect::Read, "find a backup")];
    let text = text(&plan, None, Style::Plain);
    assert!(
        text.contains("Not looked up yet: this plan is not ready to run\n  · find  backup.find\n"),
        "{text}"
    );
}

#[test]
fn names_cannot_move_the_cursor() {
    let mut plan = fixture::recovery();
    plan.settings.name = "x\x1b[2J".to_owned();
    plan.steps[0].intent.commands = vec!["echo \x1b[2J".to_owned()];
    plan.steps[0].intent.summary = "a\nb".to_owned();
    let text = text(&plan, Some(&preview()), Style::Plain);
    assert!(!text.contains('\x1b') && text.contains("x\\u{1b}[2J") && text.contains("a\\nb"), "{text}");
}

#[test]
fn a_disabled_step_is_shown_with_its_reason_in_every_view() {
    let mut plan = fixture::recovery();
    plan.steps[3].skipped = true;
    plan.steps[3].disabled = Some("replicas are \"managed\"".to_owned());
    let id = plan.steps[3].id.clone();
    let page = text(&plan, None, Style::Plain);
    let line = format!("  - {id}  mysql.reset-replication  disabled: replicas are \"managed\"\n");
    assert!(page.contains(&line), "{page}");
    assert!(page.contains("1 skipped, 1 disabled"), "{page}");
    let dot = crate::plan::dot(&plan);
    assert!(dot.contains(r#"mysql.reset-replication\ndisabled: replicas are \"managed\"""#), "{dot}");
    let chart = crate::plan::mermaid(&plan);
    assert!(chart.contains("<br/>disabled: replicas are #34;managed#34;\"]:::skipped"), "{chart}");
    let json: serde_json::Value = serde_json::from_str(&crate::plan::json(&plan, None)).unwrap();
    assert_eq!(json["steps"][3]["disabled"], "replicas are \"managed\"");
    assert_eq!(json["steps"][4].get("disabled"), None);
}

#[test]
fn a_clear_preview_says_so() {
    let mut preview = preview();
    preview.problems.clear();
    let text = text(&fixture::recovery(), Some(&preview), Style::Plain);
    assert!(text.ends_with("checked: nothing speaks against running it\n"), "{text}");
}
