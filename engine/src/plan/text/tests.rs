//! What a person on call sees.

use super::text;
use crate::diagnostic::Diagnostic;
use crate::document::{Location, Source, Span};
use crate::plan::{ApprovalRule, Beside, Style, fixture};
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

fn seen(preview: &Preview) -> Beside<'_> {
    Beside { preview: Some(preview), ..Beside::default() }
}

#[test]
fn a_plan_says_what_it_does_in_which_order_and_to_what() {
    insta::assert_snapshot!(text(&fixture::recovery(), Beside::default(), Style::Plain));
}

#[test]
fn a_preview_adds_commands_notes_ages_and_problems() {
    insta::assert_snapshot!(text(&fixture::recovery(), seen(&preview()), Style::Plain));
}

#[test]
fn colours_change_nothing_but_colours() {
    let plan = fixture::recovery();
    let coloured = text(&plan, seen(&preview()), Style::Ansi);
    let mut bare = String::new();
    for (position, part) in coloured.split("\x1b[").enumerate() {
        bare.push_str(if position == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_ne!(coloured, bare);
    assert_eq!(bare, text(&plan, seen(&preview()), Style::Plain));
}

#[test]
fn a_plan_without_its_plan_phase_results_is_not_ready() {
    let mut plan = fixture::recovery();
    plan.pinned.clear();
    plan.unpinned = vec![fixture::step("find", "backup.find", crate::step::Effect::Read, "find a backup")];
    let text = text(&plan, Beside::default(), Style::Plain);
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
    let text = text(&plan, seen(&preview()), Style::Plain);
    assert!(!text.contains('\x1b') && text.contains("x\\u{1b}[2J") && text.contains("a\\nb"), "{text}");
}

#[test]
fn a_disabled_step_is_shown_with_its_reason_in_every_view() {
    let mut plan = fixture::recovery();
    plan.steps[3].skipped = true;
    plan.steps[3].disabled = Some("replicas are \"managed\"".to_owned());
    let id = plan.steps[3].id.clone();
    let page = text(&plan, Beside::default(), Style::Plain);
    let line = format!("  - {id}  mysql.reset-replication  disabled: replicas are \"managed\", after ");
    assert!(page.contains(&line), "{page}");
    assert!(page.contains("1 skipped, 1 disabled"), "{page}");
    let dot = crate::plan::dot(&plan, Beside::default());
    assert!(dot.contains(r#"mysql.reset-replication\ndisabled: replicas are \"managed\"""#), "{dot}");
    let chart = crate::plan::mermaid(&plan, Beside::default());
    assert!(chart.contains("<br/>disabled: replicas are #34;managed#34;\"]:::skipped"), "{chart}");
    let json: serde_json::Value = serde_json::from_str(&crate::plan::json(&plan, Beside::default())).unwrap();
    assert_eq!(json["steps"][3]["disabled"], "replicas are \"managed\"");
    assert_eq!(json["steps"][4].get("disabled"), None);
}

#[test]
fn a_clear_preview_says_so() {
    let mut preview = preview();
    preview.problems.clear();
    let text = text(&fixture::recovery(), seen(&preview), Style::Plain);
    assert!(text.ends_with("checked: nothing speaks against running it\n"), "{text}");
}

fn with_estimates(change: impl FnOnce(&mut crate::plan::Plan)) -> String {
    let mut plan = fixture::recovery();
    change(&mut plan);
    let estimates = crate::estimate::fixture::estimates(&plan);
    let text = text(&plan, Beside { estimates: Some(&estimates), ..Beside::default() }, Style::Plain);
    let told =
        text.lines().filter(|line| ["≈", "RTO", "never", "waiting"].iter().any(|word| line.contains(word)));
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn estimates_say_what_they_are_from_and_what_they_leave_out() {
    insta::assert_snapshot!(with_estimates(|_| {}), @r"
              ≈ 2.0s, the median of 2 runs
              ≈ 3.0s, the median of 2 runs
              ≈ 7m 30s, the median of 2 runs
              ≈ 30.0s, the median of 4 attempts in 2 runs
              ≈ 30.0s, the median of 4 attempts in 2 runs
        longest path ≈ 8m 35s of RTO 1h 00m: provision → wait-ready → restore → reset-replication ×2
        1 of 6 steps has never run: not counted
        ");
}

#[test]
fn a_plan_that_would_miss_its_objective_warns() {
    insta::assert_snapshot!(
        with_estimates(|plan| {
            plan.settings.objectives.as_mut().unwrap().rto = Some(fixture::duration("5m"));
            plan.steps[1].approval = Some(ApprovalRule { needed: 2, timeout: None });
        }),
        @r"
                  ≈ 2.0s, the median of 2 runs
                  ≈ 3.0s, the median of 2 runs
                  ≈ 7m 30s, the median of 2 runs
                  ≈ 30.0s, the median of 4 attempts in 2 runs
                  ≈ 30.0s, the median of 4 attempts in 2 runs
            longest path ≈ 8m 35s of RTO 5m 00s: provision → wait-ready → restore → reset-replication ×2
            warning: would miss the RTO of 5m 00s by 3m 35s
            1 of 6 steps has never run: not counted
            waiting for approvals is not counted
            "
    );
}

#[test]
fn a_recovery_that_never_ran_here_says_that_nothing_tells_its_length() {
    let plan = fixture::recovery();
    let estimates = crate::estimate::estimate(&plan, &crate::estimate::History::default());
    let text = text(&plan, Beside { estimates: Some(&estimates), ..Beside::default() }, Style::Plain);
    assert!(
        text.ends_with("RTO 1h 00m: no step has run here before, so nothing tells how long it takes\n"),
        "{text}"
    );
}

#[test]
fn a_plan_whose_journal_is_in_a_store_says_so() {
    let mut plan = fixture::recovery();
    assert!(!text(&plan, Beside::default(), Style::Plain).contains("journal"));
    plan.settings.journal = Some(crate::environment::JournalConfig { store: "offsite".into() });
    let told = text(&plan, Beside::default(), Style::Plain);
    assert!(
        told.contains("its journal is kept in the store offsite: any machine can go on with it\n"),
        "{told}"
    );
}
