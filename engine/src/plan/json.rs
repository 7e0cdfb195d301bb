//! A plan as JSON for programs, with what a preview found.

use serde_json::{Value, json};

use super::Plan;
use crate::diagnostic::Diagnostic;
use crate::preview::Preview;

/// Writes the plan as [`Plan::to_json`] does, with `"preview"` added when there was one. A reader of plans
/// ignores that, so what `--format json` prints can be run.
pub fn json(plan: &Plan, preview: Option<&Preview>) -> String {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    if let Some(preview) = preview {
        value["preview"] = json!({
            "at": preview.at,
            "steps": preview.steps,
            "problems": preview.problems.iter().map(problem).collect::<Vec<_>>(),
        });
    }
    format!("{value:#}\n")
}

fn problem(problem: &Diagnostic) -> Value {
    json!({
        "code": problem.code,
        "message": problem.message,
        "help": problem.help,
        "at": problem.location().map(|at| at.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::json;
    use crate::diagnostic::Diagnostic;
    use crate::plan::{Plan, fixture};
    use crate::preview::Preview;

    #[test]
    fn what_is_printed_with_a_preview_can_be_read_as_a_plan() {
        let plan = fixture::recovery();
        let preview = Preview {
            at: jiff::Timestamp::UNIX_EPOCH,
            steps: [("restore".into(), crate::preview::StepPreview::default())].into_iter().collect(),
            problems: vec![Diagnostic::new("rekindle::a::b", "it is so").help("do this")],
        };
        let text = json(&plan, Some(&preview));
        assert_eq!(Plan::from_json(&text).unwrap().hash, plan.hash);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        insta::assert_snapshot!(
            value["preview"],
            @r#"{"at":"1970-01-01T00:00:00Z","steps":{"restore":{"commands":[],"notes":[],"problems":[]}},"problems":[{"code":"rekindle::a::b","message":"it is so","help":"do this","at":null}]}"#
        );
    }

    #[test]
    fn a_plan_alone_is_written_as_it_is_stored() {
        let plan = fixture::recovery();
        assert_eq!(json(&plan, None), plan.to_json());
    }
}
