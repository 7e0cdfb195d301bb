//! Node → [`Patch`].

use super::{Operation, Patch, Side};
use crate::diagnostic::Diagnostic;
use crate::document::{Entry, Fields, Node, Reader};
use crate::runbook::Spanned;

const OPERATIONS: &str =
    "write one of `set: {…}`, `disable: true` with a `reason`, `replace: {…}` and `insert: […]`";

/// Reads one patch.
pub(crate) fn read(reader: &mut Reader, node: &Node) -> Option<Patch> {
    let mut fields = reader.fields(node, "a patch")?;
    let step = fields.take("step").map(|node| read_id(reader, node, "`step`"));
    let after = fields.take_entry("after");
    let before = fields.take_entry("before");
    let set = fields.take_entry("set");
    let disable = fields.take_entry("disable");
    let replace = fields.take_entry("replace");
    let insert = fields.take_entry("insert");
    let reason = fields.take_entry("reason");
    let known = reader.close(&fields);
    let given: Vec<&Entry> = [set, disable, replace, insert].into_iter().flatten().collect();
    let [operation] = given.as_slice() else {
        // A misspelt operation is told already.
        return if known || !given.is_empty() { wrong_count(reader, &fields, &given) } else { None };
    };
    if disable.is_none()
        && let Some(reason) = reason
    {
        misplaced(reader, reason, "`reason` belongs to `disable`");
    }
    let operation = if let Some(insert) = insert {
        let sides = after.map(|entry| (Side::After, entry)).into_iter();
        let sides: Vec<_> = sides.chain(before.map(|entry| (Side::Before, entry))).collect();
        read_insert(reader, &fields, step.is_some(), &sides, insert)
    } else {
        for entry in [after, before].into_iter().flatten() {
            misplaced(reader, entry, &format!("`{}` belongs to `insert`", entry.key));
        }
        let Some(step) = step else {
            return missing(
                reader,
                &fields,
                "step",
                &format!("`{}` does not say to which step", operation.key),
            );
        };
        match operation.key.as_str() {
            "set" => read_set(reader, step, &operation.value),
            "disable" => read_disable(reader, step, operation, reason),
            _ => read_replace(reader, step, &operation.value),
        }
    };
    Some(Patch { operation: operation?, location: node.location.clone() })
}

fn read_id(reader: &mut Reader, node: &Node, what: &str) -> Option<Spanned<String>> {
    let value = reader.filled_text(node, what)?.to_owned();
    Some(Spanned { value, location: node.location.clone() })
}

fn read_set(reader: &mut Reader, step: Option<Spanned<String>>, node: &Node) -> Option<Operation> {
    let fields = reader.fields(node, "`set`")?;
    if fields.is_empty() {
        return reader.wrong_value(node, "`set` sets nothing", "write the fields that are to be others");
    }
    if let Some(id) = node.entries().and_then(|entries| entries.iter().find(|entry| entry.key == "id")) {
        reader.report(
            Diagnostic::new("rekindle::patch::set_id", "the id of a step can't be changed")
                .label(&id.key_location(), "not by a patch")
                .help("other steps and other patches call it by this id; `name` is for people"),
        );
        return None;
    }
    Some(Operation::Set { step: step?, fields: node.clone() })
}

fn read_disable(
    reader: &mut Reader,
    step: Option<Spanned<String>>,
    disable: &Entry,
    reason: Option<&Entry>,
) -> Option<Operation> {
    let said = reader.boolean(&disable.value, "`disable`")?;
    if !said {
        return reader.wrong_value(
            &disable.value,
            "`disable: false` changes nothing",
            "remove the patch: steps run unless they are disabled",
        );
    }
    let Some(reason) = reason else {
        reader.report(
            Diagnostic::new("rekindle::patch::missing_reason", "a step is disabled without a reason")
                .label(&disable.key_location(), "needs a `reason`")
                .help("add `reason: TEXT`: plans and reports show it to whoever wonders where the step went"),
        );
        return None;
    };
    let text = reader.filled_text(&reason.value, "`reason`")?.to_owned();
    let reason = Spanned { value: text, location: reason.value.location.clone() };
    Some(Operation::Disable { step: step?, reason })
}

fn read_replace(reader: &mut Reader, step: Option<Spanned<String>>, node: &Node) -> Option<Operation> {
    let step = step?;
    reader.fields(node, "`replace`")?;
    if let Some(id) = node.get("id")
        && id.text() != Some(step.value.as_str())
    {
        reader.report(
            Diagnostic::new("rekindle::patch::set_id", "the id of a step can't be changed")
                .label(&id.location, format!("replaces `{}`", step.value))
                .help(format!("leave `id` out: what stands in the place of `{}` has its id", step.value)),
        );
        return None;
    }
    Some(Operation::Replace { step, with: node.clone() })
}

fn read_insert(
    reader: &mut Reader,
    fields: &Fields<'_>,
    has_step: bool,
    sides: &[(Side, &Entry)],
    insert: &Entry,
) -> Option<Operation> {
    let steps = reader.items(&insert.value, "`insert`");
    let &[(side, anchor)] = sides else {
        let message = match sides.len() {
            0 if has_step => "`insert` says `step` instead of `after` or `before`",
            0 => "`insert` does not say where",
            _ => "`insert` says both `after` and `before`",
        };
        return missing(reader, fields, "after", message);
    };
    let anchor = read_id(reader, &anchor.value, &format!("`{}`", anchor.key));
    let steps = steps?;
    if steps.is_empty() {
        return reader.wrong_value(&insert.value, "`insert` inserts nothing", "list the steps");
    }
    Some(Operation::Insert { side, anchor: anchor?, steps: steps.to_vec() })
}

fn wrong_count<T>(reader: &mut Reader, fields: &Fields<'_>, given: &[&Entry]) -> Option<T> {
    let names: Vec<_> = given.iter().map(|entry| format!("`{}`", entry.key)).collect();
    let mut diagnostic = if names.is_empty() {
        Diagnostic::new("rekindle::patch::no_operation", "a patch does nothing")
            .label(&fields.first_key(), "this patch")
            .help(OPERATIONS)
    } else {
        let message = format!("a patch does several things: {}", names.join(", "));
        Diagnostic::new("rekindle::patch::several_operations", message)
            .help("make a patch of each; they are applied in the order written")
    };
    for (position, entry) in given.iter().enumerate() {
        diagnostic = diagnostic.label(&entry.key_location(), if position == 0 { "this" } else { "and this" });
    }
    reader.report(diagnostic);
    None
}

fn missing<T>(reader: &mut Reader, fields: &Fields<'_>, field: &str, message: &str) -> Option<T> {
    let help = if field == "step" { "add `step: ID`" } else { "write one of `after: ID` and `before: ID`" };
    reader.report(
        Diagnostic::new("rekindle::patch::no_place", message)
            .label(&fields.first_key(), "this patch")
            .help(help),
    );
    None
}

fn misplaced(reader: &mut Reader, entry: &Entry, message: &str) {
    reader.report(
        Diagnostic::new("rekindle::patch::misplaced_field", message)
            .label(&entry.key_location(), "not for this operation")
            .help("remove it"),
    );
}
