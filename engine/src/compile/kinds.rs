//! What a step's kind allows: that it exists, its effect, its phase.

use crate::diagnostic::{Diagnostic, nearest};
use crate::plan::Section;
use crate::runbook::{OnCrash, Phase};
use crate::step::{Effect, KindInfo, Registry};

use super::draft::{Draft, Drafts};
use super::report::Report;

pub(super) fn check(drafts: &Drafts<'_>, registry: &Registry, report: &mut Report) {
    for draft in &drafts.all {
        if let Some(mistakes) = registry.composite_refusal(&draft.definition.uses.value) {
            report.extend(mistakes.to_vec());
            continue;
        }
        match draft.kind {
            None => report.add(unknown_kind(draft, registry)),
            Some(_) if draft.composite.is_some() => check_composite(draft, report),
            Some(kind) => {
                check_effect(draft, kind.info(), report);
                check_phase(draft, kind.info(), report);
                check_probe(draft, kind.info(), report);
            }
        }
    }
}

/// Gives the effect a step has: the declared one where its kind lets it be declared.
pub(super) fn effect(draft: &Draft<'_>, info: &KindInfo) -> Effect {
    match &draft.definition.effect {
        Some(declared) if info.effect_is_declared => declared.value,
        _ => info.effect,
    }
}

fn unknown_kind(draft: &Draft<'_>, registry: &Registry) -> Diagnostic {
    let uses = &draft.definition.uses;
    if let Some(problem) = registry.refusal(&uses.value) {
        let refused =
            Diagnostic::new(problem.code, problem.message.clone()).label(&uses.location, "can't be used");
        return match &problem.help {
            Some(help) => refused.help(help.clone()),
            None => refused,
        };
    }
    let help = match nearest(&uses.value, registry.names()) {
        Some(near) => format!("did you mean `{near}`? `rekindle steps` lists all kinds"),
        None => "`rekindle steps` lists all kinds".to_owned(),
    };
    Diagnostic::new("rekindle::runbook::unknown_step_kind", format!("there is no step kind `{}`", uses.value))
        .label(&uses.location, "not a known kind")
        .help(help)
}

/// What a whole group can't have: each attempt, limit and decision is that of one step.
fn check_composite(draft: &Draft<'_>, report: &mut Report) {
    let definition = draft.definition;
    let wrong = [
        ("retry", definition.retry.is_some()),
        ("timeout", definition.timeout.is_some()),
        ("deadline", definition.deadline.is_some()),
        ("on_crash", definition.on_crash.is_some()),
        ("effect", definition.effect.is_some()),
        ("phase: plan", definition.phase == Phase::Plan),
        ("continue_on_error", definition.continue_on_error),
    ];
    for (field, _) in wrong.into_iter().filter(|(_, given)| *given) {
        let kind = &definition.uses.value;
        report.add(
            Diagnostic::new(
                "rekindle::composite::not_for_a_group",
                format!("`{}` can't have `{field}`: `{kind}` is a group of steps", draft.id()),
            )
            .label(&definition.uses.location, "a composite step kind")
            .help(format!("give `{field}` to the steps in the file of `{kind}` that need it")),
        );
    }
}

fn check_effect(draft: &Draft<'_>, info: &KindInfo, report: &mut Report) {
    let Some(declared) = &draft.definition.effect else { return };
    if !info.effect_is_declared {
        report.add(
            Diagnostic::new(
                "rekindle::runbook::effect_is_given",
                format!("the effect of `{}` is always `{}`", info.kind, info.effect),
            )
            .label(&declared.location, "can't be declared here")
            .help("remove `effect`; it is for `run` and external kinds, whose effect nobody else knows"),
        );
    }
}

/// What only a probe makes possible must not be promised without one.
fn check_probe(draft: &Draft<'_>, info: &KindInfo, report: &mut Report) {
    if info.probes {
        return;
    }
    let definition = draft.definition;
    let kind = &info.kind;
    let wrong = |message: String, help: &str| {
        Diagnostic::new("rekindle::runbook::no_probe", message)
            .label(&definition.id.location, format!("`{kind}` can't look whether its effect is there"))
            .help(help)
    };
    if definition.on_crash == Some(OnCrash::Probe) {
        let help = "write `on_crash: ask`, or `rerun` where doing it twice does no harm";
        report.add(wrong(format!("`{}` can't be probed after a crash", draft.id()), help));
    }
    let repeats = definition.retry.as_ref().is_some_and(|retry| retry.attempts > 1);
    if repeats && effect(draft, info) == Effect::Destroy {
        let help = "remove `retry`, or give the step another effect if it destroys nothing";
        let message = format!("`{}` destroys, and can't be tried again without a probe", draft.id());
        report.add(wrong(message, help));
    }
}

fn check_phase(draft: &Draft<'_>, info: &KindInfo, report: &mut Report) {
    if draft.definition.phase != Phase::Plan {
        return;
    }
    let wrong = |message: String, label: &str, help: &str| {
        Diagnostic::new("rekindle::runbook::plan_phase", message)
            .label(&draft.definition.id.location, label)
            .help(help)
    };
    let id = draft.id();
    if draft.section != Section::Main {
        report.add(wrong(
            format!("`{id}` can't run while planning"),
            "not among `steps`",
            "only `steps:` can have `phase: plan`; remove it",
        ));
    }
    if effect(draft, info) != Effect::Read {
        report.add(wrong(
            format!("`{id}` can't run while planning: `{}` may change the world", info.kind),
            "does more than read",
            "remove `phase: plan`; a plan changes nothing",
        ));
    }
    if draft.for_each.is_some() {
        report.add(wrong(
            format!("`{id}` can't run while planning for each of several items"),
            "has `for_each`",
            "write one step per item, or remove `phase: plan`",
        ));
    }
}
