//! A plan as JSON for programs, with what a preview found.

use serde_json::{Value, json};

use super::{Beside, Plan};
use crate::diagnostic::Diagnostic;

/// Writes the plan as [`Plan::to_json`] does, with `"preview"`, `"estimates"` and `"unknowns"` added when there
/// are any. A reader of plans ignores them, so what `--format json` prints can be run.
pub fn json(plan: &Plan, beside: Beside<'_>) -> String {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    if let Some(preview) = beside.preview {
        value["preview"] = json!({
            "at": preview.at,
            "steps": preview.steps,
            "problems": preview.problems.iter().map(problem).collect::<Vec<_>>(),
        });
    }
    if let Some(estimates) = beside.estimates {
        value["estimates"] = json!(estimates);
        value["estimates"]["rto_missed_by_ms"] = json!(estimates.rto_missed_by_ms());
    }
    if let Some(unknowns) = beside.unknowns {
        value["unknowns"] = json!(unknowns);
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
    use crate::compile::UnknownTypes;
    use crate::diagnostic::Diagnostic;
    use crate::estimate::fixture::estimates;
    use crate::plan::{Beside, Plan, fixture};
    use crate::preview::Preview;

    #[test]
    fn what_is_printed_beside_a_plan_can_be_read_as_a_plan() {
        let plan = fixture::recovery();
        let preview = Preview {
            at: jiff::Timestamp::UNIX_EPOCH,
            steps: [("restore".into(), crate::preview::StepPreview::default())].into_iter().collect(),
            problems: vec![Diagnostic::new("rekindle::a::b", "it is so").help("do this")],
        };
        let estimates = estimates(&plan);
        let text = json(
            &plan,
            Beside {
                preview: Some(&preview),
                estimates: Some(&estimates),
                unknowns: Some(&UnknownTypes::new()),
            },
        );
        assert_eq!(Plan::from_json(&text).unwrap().hash, plan.hash);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        insta::assert_snapshot!(
            value["preview"],
            @r#"{"at":"1970-01-01T00:00:00Z","steps":{"restore":{"commands":[],"notes":[],"problems":[]}},"problems":[{"code":"rekindle::a::b","message":"it is so","help":"do this","at":null}]}"#
        );
    }

    #[test]
    fn estimates_stand_beside_the_plan() {
        let plan = fixture::recovery();
        let estimates = estimates(&plan);
        let beside = Beside { estimates: Some(&estimates), ..Beside::default() };
        let value: serde_json::Value = serde_json::from_str(&json(&plan, beside)).unwrap();
        insta::assert_snapshot!(value["estimates"], @r#"{"runs":2,"steps":{"provision":{"typical_ms":2000,"attempts":2,"runs":2},"wait-ready":{"typical_ms":3000,"attempts":2,"runs":2},"restore":{"typical_ms":450000,"attempts":2,"runs":2},"reset-replication[0]":{"typical_ms":30000,"attempts":4,"runs":2},"reset-replication[1]":{"typical_ms":30000,"attempts":4,"runs":2}},"never_run":["verify"],"steps_in_all":6,"longest_path":{"steps":["provision","wait-ready","restore","reset-replication[0]","reset-replication[1]"],"typical_ms":515000},"rto_ms":3600000,"waits_for_approval":false,"rto_missed_by_ms":null}"#);
    }

    #[test]
    fn a_plan_alone_is_written_as_it_is_stored() {
        let plan = fixture::recovery();
        assert_eq!(json(&plan, Beside::default()), plan.to_json());
    }
}
