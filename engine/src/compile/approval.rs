//! Who must agree before a step: receives the environment's policy and what the kind itself asks for, yields the
//! rule of the step.

use crate::diagnostic::Diagnostic;
use crate::environment::Policy;
use crate::plan::{ApprovalRule, Section};
use crate::runbook::Phase;
use crate::step::{AskedApproval, Effect, StepError};

use super::draft::Draft;
use super::report::Report;

/// Gives the rule of a step that will run.
///
/// The policy goes by effect and holds in all sections: a policy that looked away from `finally` would be one line
/// from being none. Steps that run while planning only read, and before there is a plan to agree to.
pub(super) fn rule(
    policy: &Policy,
    draft: &Draft<'_>,
    effect: Effect,
    asked: Option<AskedApproval>,
) -> Option<ApprovalRule> {
    let by_effect = policy.approve.contains(&effect) && draft.definition.phase != Phase::Plan;
    if !by_effect && asked.is_none() {
        return None;
    }
    let AskedApproval { needed, timeout } = asked.unwrap_or_default();
    // A runbook can be stricter than the policy, never laxer.
    let floor = if by_effect { policy.approvals } else { 1 };
    Some(ApprovalRule {
        needed: needed.unwrap_or(policy.approvals).max(floor),
        timeout: timeout.or(policy.approval_timeout),
    })
}

/// Refuses a step that asks for approval where a refusal would stop nothing. `section` is where it ends up: that of a
/// composite is where the composite is used.
pub(super) fn check_place(draft: &Draft<'_>, section: Section, report: &mut Report) {
    let id = draft.id();
    let wrong = |why: String, label: &str, help: &str| {
        Diagnostic::new("rekindle::runbook::approval_guards_nothing", why)
            .label(&draft.definition.id.location, label)
            .help(help)
    };
    if section != Section::Main {
        report.add(wrong(
            format!("`{id}` would guard nothing: after a failure, what follows it runs all the same"),
            "not among `steps`",
            "put it among `steps:`, or let the environment's `policy` ask before such steps",
        ));
    }
    if draft.definition.phase == Phase::Plan {
        report.add(wrong(
            format!("`{id}` can't wait for approval while planning: there is no plan to agree to yet"),
            "has `phase: plan`",
            "remove `phase: plan`",
        ));
    }
    if draft.definition.continue_on_error {
        report.add(wrong(
            format!("`{id}` would guard nothing: its refusal would only be a warning"),
            "has `continue_on_error`",
            "remove `continue_on_error`",
        ));
    }
}

/// Tells that what a step asks for is not known while planning, or makes no sense.
pub(super) fn refused(draft: &Draft<'_>, error: StepError, report: &mut Report) {
    let diagnostic = Diagnostic::new("rekindle::runbook::approval", error.message)
        .label(&draft.definition.with.location, "asks for approval");
    report.add(match error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    });
}
