//! `secrets:`: where each secret comes from, and references to them. Never the secrets themselves.

use std::sync::Arc;

use super::{SecretRef, SecretSource};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Entry, Node, Reader};

/// Reads where one secret comes from.
pub(super) fn read(reader: &mut Reader, entry: &Entry) -> Option<SecretSource> {
    // Anything else may be the secret itself, and is refused in every layer before they are laid together.
    entry.value.entries()?;
    let mut fields = reader.fields(&entry.value, format!("secret `{}`", entry.key))?;
    let env = fields.take("env");
    let file = fields.take("file");
    let command = fields.take("command");
    reader.close(&fields);
    let given = [env, file, command].into_iter().flatten().count();
    let mut texts = [env, file, command].into_iter().flatten().map(|node| &node.location.source);
    let first = texts.next();
    let layered = texts.any(|text| first.is_some_and(|first| !Arc::ptr_eq(first, text)));
    if given != 1 {
        let message = match given {
            0 => format!("secret `{}` does not say where its value comes from", entry.key),
            _ => format!("secret `{}` says more than one place its value comes from", entry.key),
        };
        reader.report(
            Diagnostic::new("rekindle::environment::secret_source", message)
                .label(&entry.key_location(), "needs exactly one source")
                .help(if layered {
                    "the environments it comes from say different ones: delete one, as in `env: null`"
                } else {
                    "write one of `env: VARIABLE`, `file: PATH` and `command: [program, argument]`"
                }),
        );
    }
    // Each is looked at, also when there are too many: all mistakes are told at once.
    let env = env.map(|node| read_variable(reader, node));
    let file = file.map(|node| reader.filled_text(node, "`file`").map(str::to_owned));
    let command = command.map(|node| read_command(reader, node, "`command`"));
    match (env, file, command) {
        (Some(env), None, None) => Some(SecretSource { env: Some(env?), file: None, command: None }),
        (None, Some(file), None) => Some(SecretSource { env: None, file: Some(file?), command: None }),
        (None, None, Some(command)) => Some(SecretSource { env: None, file: None, command: Some(command?) }),
        _ => None,
    }
}

/// The names of POSIX.1-2017, section 8.1, and lowercase letters, which everybody takes.
fn read_variable(reader: &mut Reader, node: &Node) -> Option<String> {
    let name = reader.filled_text(node, "`env`")?;
    let fits = !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        return reader.wrong_value(
            node,
            "`env` is no name of an environment variable",
            "write its name without `$`: letters, digits and `_`",
        );
    }
    Some(name.to_owned())
}

pub(super) fn read_command(reader: &mut Reader, node: &Node, what: &str) -> Option<Vec<String>> {
    let items = reader.items(node, what)?;
    if items.is_empty() {
        return reader.wrong_value(node, format!("{what} is empty"), "write `[program, argument]`");
    }
    let arguments: Vec<_> =
        items.iter().filter_map(|item| reader.text(item, "an argument").map(str::to_owned)).collect();
    (arguments.len() == items.len()).then_some(arguments)
}

/// Reads `{ secret: NAME }`; `names` are those of the secrets that are declared.
pub(super) fn read_reference(
    reader: &mut Reader,
    node: &Node,
    what: &str,
    names: &[&str],
) -> Option<SecretRef> {
    // Anything else may be a secret, and is refused in every layer before they are laid together.
    node.entries()?;
    let mut fields = reader.fields(node, what)?;
    let secret = reader.require(&mut fields, "secret");
    reader.close(&fields);
    let secret = secret?;
    let name = reader.text(secret, "`secret`")?;
    if !names.contains(&name) {
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("declare it: `secrets: {{ {name}: {{ env: VARIABLE }} }}`"),
        };
        reader.report(
            Diagnostic::new("rekindle::environment::unknown_secret", format!("there is no secret `{name}`"))
                .label(&secret.location, "not declared under `secrets:`")
                .help(help),
        );
        return None;
    }
    Some(SecretRef { secret: name.into() })
}
