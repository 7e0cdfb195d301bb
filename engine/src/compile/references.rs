//! Every reference exists and is in scope.

use std::collections::HashSet;

use crate::composite::Composite;
use crate::diagnostic::{Diagnostic, nearest};
use crate::plan::Section;
use crate::runbook::{Phase, Spanned};
use crate::template::ROOTS;

use super::absent;
use super::body::Owner;
use super::draft::{self, Draft, Drafts, Place, Tree, Use, template_name};
use super::report::Report;
use super::schema::{self, Closed, Property};

const ENVIRONMENT: [&str; 5] = ["name", "cluster", "objectives", "targets", "stores"];

/// Checks all references; a step with a wrong one is marked as broken.
pub(super) fn check(drafts: &mut Drafts<'_>, owner: Owner<'_>, report: &mut Report) {
    let values = names_of(owner);
    let mut broken = Vec::new();
    for (position, draft) in drafts.all.iter().enumerate() {
        let scope = Scope { drafts, values: &values, owner, draft: Some(draft) };
        for diagnostic in draft.uses.iter().filter_map(|used| scope.check(used)) {
            report.add(diagnostic);
            broken.push(position);
        }
    }
    for position in broken {
        drafts.all[position].broken = true;
    }
}

/// Checks the references of a composite's outputs.
pub(super) fn check_end(
    drafts: &Drafts<'_>,
    end: &mut Draft<'_>,
    composite: &Composite,
    report: &mut Report,
) {
    let owner = Owner::Composite(composite);
    let scope = Scope { drafts, values: &names_of(owner), owner, draft: Some(end) };
    let found: Vec<_> = end.uses.iter().filter_map(|used| scope.check(used)).collect();
    end.broken |= !found.is_empty();
    report.extend(found);
}

/// Checks the references of `concurrency.group`.
pub(super) fn check_group(
    drafts: &Drafts<'_>,
    owner: Owner<'_>,
    group: Option<&Tree<'_>>,
    report: &mut Report,
) {
    let mut uses = Vec::new();
    if let Some(group) = group {
        draft::collect(group, Place::Group, &mut uses);
    }
    let scope = Scope { drafts, values: &names_of(owner), owner, draft: None };
    report.extend(uses.iter().filter_map(|used| scope.check(used)).collect());
}

fn names_of(owner: Owner<'_>) -> HashSet<&str> {
    owner.values().iter().map(|value| value.name.value.as_str()).collect()
}

struct Scope<'s, 'a> {
    drafts: &'s Drafts<'a>,
    values: &'s HashSet<&'s str>,
    owner: Owner<'s>,
    /// None in `concurrency.group`.
    draft: Option<&'s Draft<'a>>,
}

impl Scope<'_, '_> {
    fn check(&self, used: &Use) -> Option<Diagnostic> {
        let field = used.path.get(1).map(String::as_str);
        match used.path[0].as_str() {
            "values" => self.value(used, field?),
            "environment" => one_of(used, field?, &ENVIRONMENT),
            "each" => self.each(used).or_else(|| one_of(used, field?, &["key", "value"])),
            "run" => self.run(used).or_else(|| one_of(used, field?, &["id", "started_at"])),
            "failure" => self.failure(used).or_else(|| one_of(used, field?, &["step", "message"])),
            "steps" => self.step(used, field?),
            other => {
                let known = ROOTS.iter().copied();
                let help = match nearest(other, known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("templates know {}", known.collect::<Vec<_>>().join(", ")),
                };
                let message = format!("there is no name `{other}` in templates");
                Some(
                    Diagnostic::new("rekindle::template::undefined", message)
                        .label(&used.at, "not defined")
                        .help(help),
                )
            }
        }
    }

    fn value(&self, used: &Use, name: &str) -> Option<Diagnostic> {
        if self.values.contains(name) || self.drafts.doubtful.values.contains(name) {
            return None;
        }
        let (who, otherwise) = match self.owner {
            Owner::Runbook(_) => {
                ("the runbook".to_owned(), "declare it under `values:` of the runbook".to_owned())
            }
            Owner::Composite(composite) => {
                let kind = &composite.name.value;
                let help = format!(
                    "it sees no values of runbooks: declare it under `values:` of `{kind}`, and pass it in with `with:`"
                );
                (format!("`{kind}`"), help)
            }
        };
        let help = match nearest(name, self.values.iter().copied()) {
            Some(near) => format!("did you mean `values.{near}`?"),
            None => otherwise,
        };
        let message = format!("{who} declares no value `{name}`");
        Some(
            Diagnostic::new("rekindle::runbook::unknown_value", message)
                .label(&used.at, "not declared")
                .help(help),
        )
    }

    fn each(&self, used: &Use) -> Option<Diagnostic> {
        match self.draft {
            Some(draft) if draft.for_each.is_some() && used.place != Place::ForEach => None,
            Some(draft) if draft.doubtful => None,
            Some(draft) if draft.for_each.is_some() => {
                Some(out_of_scope(used, "`each` is not there yet", "refer to values or plan-phase steps"))
            }
            _ => {
                let help = match self.owner {
                    Owner::Runbook(_) => "add `for_each` to the step",
                    Owner::Composite(_) => {
                        "add `for_each` to the step, or pass the item in with `with:`, as a value of its own"
                    }
                };
                Some(out_of_scope(used, "there is no `each` here", help))
            }
        }
    }

    fn run(&self, used: &Use) -> Option<Diagnostic> {
        let planning = match self.draft {
            None => true,
            Some(draft) => draft.definition.phase == Phase::Plan || used.place == Place::ForEach,
        };
        let message = "there is no run yet when this is needed";
        planning.then(|| out_of_scope(used, message, "refer to values or the environment"))
    }

    fn failure(&self, used: &Use) -> Option<Diagnostic> {
        if let Owner::Composite(_) = self.owner {
            let help = "declare a value for it, and pass it in with `with:`";
            return Some(out_of_scope(used, "a composite step kind does not see `failure`", help));
        }
        let Some(draft) = self.draft.filter(|draft| draft.section != Section::Main) else {
            let help = "use it in `on_failure:` or `finally:`";
            return Some(out_of_scope(used, "`failure` is known in `on_failure` and `finally` only", help));
        };
        let guarded = |path: &[String]| draft.uses.iter().any(|other| other.guarded && other.path == path);
        if draft.section != Section::Finally || guarded(&used.path) {
            return None;
        }
        let name = used.path.join(".");
        Some(
            Diagnostic::new(
                "rekindle::template::undefined",
                format!("`{name}` is undefined when nothing has failed"),
            )
            .label(&used.at, "`finally` runs after success too")
            .help(format!("write `{name} | default(\"nothing\")`, or move the step to `on_failure:`")),
        )
    }

    fn step(&self, used: &Use, name: &str) -> Option<Diagnostic> {
        let Some(position) = self.drafts.find(name) else {
            return (!self.drafts.is_doubtful(name)).then(|| self.unknown_step(used, name));
        };
        let step = &self.drafts.all[position];
        if let Some(reason) = &step.definition.disabled {
            return Some(disabled(used, step.id(), reason));
        }
        let Some(draft) = self.draft else {
            return Some(out_of_scope(
                used,
                "a group can't depend on a step",
                "refer to values or the environment",
            ));
        };
        if draft.definition.phase == Phase::Plan && step.definition.phase != Phase::Plan {
            let message = format!("`{}` runs while planning, `{}` only later", draft.id(), step.id());
            return Some(
                Diagnostic::new("rekindle::runbook::plan_phase", message)
                    .label(&used.at, "not known while planning")
                    .help(format!(
                        "refer to values or other plan-phase steps, or give `{}` `phase: plan`",
                        step.id()
                    )),
            );
        }
        if step.section > draft.section {
            let message = format!("`{}` runs after `{}`", step.id(), draft.id());
            return Some(out_of_scope(
                used,
                &message,
                "refer to a step of the same section or an earlier one",
            ));
        }
        outputs(used, step).or_else(|| absent::check(used, step, draft, self.drafts))
    }

    fn unknown_step(&self, used: &Use, name: &str) -> Diagnostic {
        let wanted = template_name(name);
        let names: Vec<String> = self.drafts.all.iter().map(|draft| template_name(draft.id())).collect();
        let help = match (nearest(&wanted, names.iter().map(String::as_str)), self.owner) {
            (Some(near), _) => format!("did you mean `steps.{near}`?"),
            (None, Owner::Runbook(_)) => "name a step of this runbook by its id".to_owned(),
            (None, Owner::Composite(composite)) => format!(
                "`{}` sees its own steps only: pass outputs of others in through its `values:`",
                composite.name.value
            ),
        };
        Diagnostic::new("rekindle::runbook::unknown_step", format!("there is no step `{name}`"))
            .label(&used.at, "not a step")
            .help(help)
    }
}

fn out_of_scope(used: &Use, message: &str, help: &str) -> Diagnostic {
    Diagnostic::new("rekindle::runbook::out_of_scope", message).label(&used.at, "not here").help(help)
}

fn one_of(used: &Use, field: &str, known: &[&str]) -> Option<Diagnostic> {
    if known.contains(&field) {
        return None;
    }
    let root = &used.path[0];
    let help = match nearest(field, known.iter().copied()) {
        Some(near) => format!("did you mean `{root}.{near}`?"),
        None => format!("`{root}` has {}", known.join(", ")),
    };
    Some(
        Diagnostic::new("rekindle::template::undefined", format!("`{root}` has no `{field}`"))
            .label(&used.at, "not defined")
            .help(help),
    )
}

/// Checks `steps.NAME.outputs.…` against the schema of the kind's outputs.
fn outputs(used: &Use, step: &Draft<'_>) -> Option<Diagnostic> {
    let info = step.kind?.info();
    let schema = info.outputs.as_value();
    let name = &used.path[1];
    let unknown = |message: String, help: String| {
        Diagnostic::new("rekindle::runbook::unknown_output", message)
            .label(&used.at, "not an output")
            .help(help)
    };
    match used.path.get(2).map(String::as_str) {
        Some("outputs") => {}
        Some(other) => {
            let help = match schema::property(schema, other, Closed::WhenNamed) {
                Property::Known(_) => format!("write `steps.{name}.outputs.{other}`"),
                Property::Open | Property::Unknown => format!("write `steps.{name}.outputs.FIELD`"),
            };
            return Some(unknown(format!("a step has `outputs`, no `{other}`"), help));
        }
        None => {
            let help = format!("write `steps.{name}.outputs`");
            return Some(unknown("a step itself is no value".to_owned(), help));
        }
    }
    let mut path = &used.path[3..];
    if step.for_each.is_some()
        && let Some((first, rest)) = path.split_first()
    {
        // A key may have the name of an output, but a list of instances is what is usually there.
        if schema::property_names(schema).contains(&first.as_str()) {
            return Some(unknown(
                format!(
                    "`{}` runs for each of several items, so its outputs are a list or a map of outputs",
                    step.id()
                ),
                format!(
                    "write `steps.{name}.outputs[0].{first}`, or `steps.{name}.outputs | map(attribute=\"{first}\")`"
                ),
            ));
        }
        path = rest;
    }
    let missing = first_missing(schema, path)?;
    let parent = lookup(schema, &path[..missing])?;
    let names = schema::property_names(parent);
    let wrong = &path[missing];
    let help = match nearest(wrong, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => format!("`{}` has no outputs there", info.kind),
        None => format!("its outputs are {}", names.join(", ")),
    };
    Some(unknown(format!("`{}` has no output `{}`", info.kind, path[..=missing].join(".")), help))
}

fn first_missing(schema: &serde_json::Value, path: &[String]) -> Option<usize> {
    let mut schema = schema;
    for (position, part) in path.iter().enumerate() {
        if part.parse::<usize>().is_ok()
            && let Some(items) = schema::items(schema)
        {
            schema = items;
            continue;
        }
        match schema::property(schema, part, Closed::WhenNamed) {
            Property::Known(inner) => schema = inner,
            Property::Open => return None,
            Property::Unknown => return Some(position),
        }
    }
    None
}

fn disabled(used: &Use, id: &str, reason: &Spanned<String>) -> Diagnostic {
    Diagnostic::new(
        "rekindle::patch::disabled_is_used",
        format!("`{id}` is disabled, and its outputs are used"),
    )
    .label(&used.at, "there will be no such outputs")
    .help(format!(
        "it is disabled at {} (\"{}\"): disable or change this step as well, or `replace` that one",
        reason.location, reason.value
    ))
}

/// Gives the schema at a path of outputs, when it says something about it.
pub(super) fn lookup<'s>(schema: &'s serde_json::Value, path: &[String]) -> Option<&'s serde_json::Value> {
    path.iter().try_fold(schema, |schema, part| {
        if part.parse::<usize>().is_ok()
            && let Some(items) = schema::items(schema)
        {
            return Some(items);
        }
        match schema::property(schema, part, Closed::WhenNamed) {
            Property::Known(inner) => Some(inner),
            Property::Open | Property::Unknown => None,
        }
    })
}
