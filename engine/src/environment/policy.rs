//! `policy:`: what must be agreed to before it is done.

use super::{Policy, SavedPlan};
use crate::document::{Node, Reader};
use crate::step::EFFECTS;
use crate::values::DurationText;

const SAVED_PLANS: [(&str, SavedPlan); 2] =
    [("optional", SavedPlan::Optional), ("required", SavedPlan::Required)];
/// More people than anybody can wake at night are a slip of the keyboard.
const MOST_APPROVALS: u32 = 10;

/// Reads the policy.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Policy> {
    let mut fields = reader.fields(node, "`policy`")?;
    let approve = fields.take("approve").map(|node| {
        let items = reader.items(node, "`approve`").unwrap_or_default();
        items.iter().filter_map(|item| reader.choice(item, "an item of `approve`", &EFFECTS)).collect()
    });
    let approvals = fields.take("approvals").map(|node| reader.count(node, "`approvals`", 1, MOST_APPROVALS));
    let approval_timeout =
        fields.take("approval_timeout").and_then(|node| reader.duration(node, "`approval_timeout`"));
    let saved_plan =
        fields.take("saved_plan").and_then(|node| reader.choice(node, "`saved_plan`", &SAVED_PLANS));
    let max_age =
        fields.take("saved_plan_max_age").and_then(|node| reader.duration(node, "`saved_plan_max_age`"));
    reader.close(&fields);
    let policy = Policy::default();
    Some(Policy {
        approve: approve.unwrap_or(policy.approve),
        approvals: approvals.flatten().unwrap_or(policy.approvals),
        approval_timeout: approval_timeout.map(DurationText),
        saved_plan: saved_plan.unwrap_or(policy.saved_plan),
        saved_plan_max_age: max_age.map(DurationText),
    })
}
