//! One step of a runbook.

use super::{LIMITS, OnCrash, Phase, Spanned, StepDefinition, retry};
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Fields, Node, NodeValue, Reader};
use crate::step::EFFECTS;

/// Where in a runbook a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Steps,
    OnFailure,
    Finally,
}

impl Section {
    /// Gives the field that holds it.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::OnFailure => "on_failure",
            Self::Finally => "finally",
        }
    }
}

const PHASES: [(&str, Phase); 2] = [("plan", Phase::Plan), ("run", Phase::Run)];
const ON_CRASH: [(&str, OnCrash); 3] =
    [("probe", OnCrash::Probe), ("rerun", OnCrash::Rerun), ("ask", OnCrash::Ask)];

/// Reads a step; `None` when it has no usable id or kind, which is reported.
pub(super) fn read(reader: &mut Reader, node: &Node, section: Section) -> Option<StepDefinition> {
    let mut fields = reader.fields(node, "a step")?;
    let id = reader.require(&mut fields, "id").and_then(|node| read_id(reader, node));
    let name = fields.take("name").and_then(|node| reader.text(node, "`name`")).map(str::to_owned);
    let action = read_action(reader, &mut fields);
    let needs = fields.take("needs").map(|node| read_needs(reader, node)).unwrap_or_default();
    let when = fields.take("when").and_then(|node| read_when(reader, node));
    let for_each = fields.take("for_each").and_then(|node| read_for_each(reader, node));
    let max_parallel = read_max_parallel(reader, &mut fields);
    let retry = fields.take("retry").and_then(|node| retry::read(reader, node));
    let timeout = fields.take("timeout").and_then(|node| reader.duration(node, "`timeout`"));
    let deadline = fields.take("deadline").and_then(|node| reader.duration(node, "`deadline`"));
    let phase = fields.take("phase").and_then(|node| read_phase(reader, node, section));
    let on_crash = fields.take("on_crash").and_then(|node| reader.choice(node, "`on_crash`", &ON_CRASH));
    let effect = fields.take("effect").and_then(|node| {
        let value = reader.choice(node, "`effect`", &EFFECTS)?;
        Some(Spanned { value, location: node.location.clone() })
    });
    let continue_on_error = fields
        .take("continue_on_error")
        .and_then(|node| reader.boolean(node, "`continue_on_error`"))
        .unwrap_or_default();
    reader.close(&fields);
    let (uses, with) = action?;
    Some(StepDefinition {
        id: id?,
        name,
        uses,
        with,
        needs,
        when,
        for_each,
        max_parallel,
        retry,
        timeout,
        deadline,
        phase: phase.unwrap_or_default(),
        on_crash,
        effect,
        continue_on_error,
        disabled: None,
        location: node.location.clone(),
    })
}

fn read_id(reader: &mut Reader, node: &Node) -> Option<Spanned<String>> {
    let text = reader.text(node, "`id`")?;
    let word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let fits = text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('-').all(word);
    if !fits {
        return reader.wrong_value(
            node,
            format!("`{text}` is no step id"),
            "ids are kebab-case: small letters and digits, a letter first, words joined by one `-`, at most 63",
        );
    }
    Some(Spanned { value: text.to_owned(), location: node.location.clone() })
}

/// Reads what the step does: `uses:` and `with:`, or the shorthand `run:` and `env:`.
fn read_action(reader: &mut Reader, fields: &mut Fields<'_>) -> Option<(Spanned<String>, Node)> {
    let uses = fields.take_entry("uses");
    let with = fields.take_entry("with");
    let run = fields.take_entry("run");
    let env = fields.take_entry("env");
    match (uses, run) {
        (Some(uses), None) => {
            if let Some(env) = env {
                reader.report(
                    Diagnostic::new(
                        "rekindle::runbook::env_without_run",
                        "`env` belongs to a step with `run`",
                    )
                    .label(&env.key_location(), "there is no `run` here")
                    .help("give parameters of this kind under `with:`"),
                );
            }
            let with = with.map_or_else(|| Some(empty_map(fields)), |entry| read_with(reader, &entry.value));
            let kind = reader.filled_text(&uses.value, "`uses`")?;
            Some((Spanned { value: kind.to_owned(), location: uses.value.location.clone() }, with?))
        }
        (None, Some(run)) => read_run(reader, run, env, with),
        (Some(uses), Some(run)) => {
            reader.report(
                Diagnostic::new("rekindle::runbook::uses_and_run", "a step has `uses` or `run`, not both")
                    .label(&run.key_location(), "short for `uses: run`")
                    .label(&uses.key_location(), "the kind is named here")
                    .help("make two steps of it"),
            );
            None
        }
        (None, None) => {
            reader.report(
                Diagnostic::new("rekindle::runbook::missing_field", "a step has no `uses`")
                    .label(&fields.first_key(), "this step does nothing")
                    .help("name a step kind with `uses:` (`rekindle steps` lists them), or a command with `run:`"),
            );
            None
        }
    }
}

fn empty_map(fields: &Fields<'_>) -> Node {
    Node { value: NodeValue::Map(Vec::new()), location: fields.first_key() }
}

fn read_with(reader: &mut Reader, node: &Node) -> Option<Node> {
    match node.value {
        NodeValue::Map(_) => Some(node.clone()),
        _ => reader.wrong_type(node, "`with`", "a map"),
    }
}

/// `run: [argv…]` is `with: { command: […] }`, `run: text` is `with: { script: "…" }`; `env:` goes along.
fn read_run(
    reader: &mut Reader,
    run: &Entry,
    env: Option<&Entry>,
    with: Option<&Entry>,
) -> Option<(Spanned<String>, Node)> {
    let parameter = match &run.value.value {
        NodeValue::List(_) => "command",
        NodeValue::String { .. } => "script",
        _ => return reader.wrong_type(&run.value, "`run`", "a list of arguments or a script"),
    };
    let mut parameters =
        vec![Entry { key: parameter.to_owned(), key_span: run.key_span, value: run.value.clone() }];
    if let Some(env) = env {
        if env.value.entries().is_none() {
            return reader.wrong_type(&env.value, "`env`", "a map");
        }
        parameters.push(env.clone());
    }
    for entry in with.map(|with| read_with(reader, &with.value)).into_iter().flatten() {
        let NodeValue::Map(entries) = entry.value else { continue };
        for entry in entries {
            let given = parameters.iter().find(|parameter| parameter.key == entry.key);
            if let Some(given) = given {
                let message = format!("`{}` is given twice", entry.key);
                reader.report(
                    Diagnostic::new("rekindle::runbook::parameter_twice", message)
                        .label(&entry.key_location(), "given again under `with`")
                        .label(&given.key_location(), "first given here")
                        .help("keep one of them"),
                );
            } else {
                parameters.push(entry);
            }
        }
    }
    let location = run.value.location.clone();
    let uses = Spanned { value: "run".to_owned(), location: run.key_location() };
    Some((uses, Node { value: NodeValue::Map(parameters), location }))
}

/// Reads one id or a list of them; whether they exist is checked when all steps are known.
fn read_needs(reader: &mut Reader, node: &Node) -> Vec<Spanned<String>> {
    let items = match &node.value {
        NodeValue::String { .. } => std::slice::from_ref(node),
        _ => reader.items(node, "`needs`").unwrap_or_default(),
    };
    items
        .iter()
        .filter_map(|item| {
            let value = reader.text(item, "an item of `needs`")?.to_owned();
            Some(Spanned { value, location: item.location.clone() })
        })
        .collect()
}

fn read_when(reader: &mut Reader, node: &Node) -> Option<Node> {
    match &node.value {
        NodeValue::Bool(_) => Some(node.clone()),
        NodeValue::String { text, .. } if !text.trim().is_empty() => Some(node.clone()),
        _ => reader.wrong_type(node, "`when`", "an expression, `true` or `false`"),
    }
}

fn read_for_each(reader: &mut Reader, node: &Node) -> Option<Node> {
    match &node.value {
        NodeValue::String { .. } | NodeValue::List(_) | NodeValue::Map(_) => Some(node.clone()),
        _ => reader.wrong_type(node, "`for_each`", "a list, a map or a template that gives one"),
    }
}

fn read_max_parallel(reader: &mut Reader, fields: &mut Fields<'_>) -> Option<u32> {
    let repeated = fields.take("for_each").is_some();
    let entry = fields.take_entry("max_parallel")?;
    if !repeated {
        reader.report(
            Diagnostic::new(
                "rekindle::runbook::max_parallel_without_for_each",
                "`max_parallel` belongs to a step with `for_each`",
            )
            .label(&entry.key_location(), "there is no `for_each` here")
            .help("remove it; `--jobs` limits how many steps run at once"),
        );
    }
    reader.count(&entry.value, "`max_parallel`", 1, LIMITS.max_parallel)
}

fn read_phase(reader: &mut Reader, node: &Node, section: Section) -> Option<Phase> {
    let phase = reader.choice(node, "`phase`", &PHASES)?;
    if phase == Phase::Plan && section != Section::Steps {
        return reader.wrong_value(
            node,
            format!("a step of `{}` cannot run while planning", section.field()),
            "put the step under `steps:`; this section may use its outputs",
        );
    }
    Some(phase)
}

impl Spanned<String> {
    /// Reads the id or reference of a node that may be wrong in any other way.
    pub(super) fn of_text(node: &Node) -> Option<Self> {
        Some(Self { value: node.text()?.to_owned(), location: node.location.clone() })
    }
}
