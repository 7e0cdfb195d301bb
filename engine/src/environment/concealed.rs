//! What must not be repeated of an environment, since diagnostics end up in logs: anything that stands where a
//! password could.

use std::collections::HashSet;
use std::sync::Arc;

use super::encrypt::is_secret_key;
use crate::diagnostic::Diagnostic;
use crate::document::{Node, NodeValue, Reader, Source, blot};

/// The words of the format. Nothing else is shown of a text whose structure is not known.
const WORDS: [&str; 57] = [
    "Environment",
    "after",
    "apiVersion",
    "approvals",
    "approval_timeout",
    "approve",
    "before",
    "cluster",
    "command",
    "cron",
    "destroy",
    "disable",
    "encrypt",
    "env",
    "extends",
    "false",
    "file",
    "host",
    "id",
    "identity",
    "insert",
    "jitter",
    "keep_daily",
    "keep_last",
    "keep_monthly",
    "keep_within",
    "kind",
    "kubernetes",
    "name",
    "needs",
    "null",
    "objectives",
    "password",
    "patches",
    "policy",
    "port",
    "reason",
    "recipients",
    "rekindle",
    "replace",
    "retention",
    "rpo",
    "rto",
    "runbook",
    "saved_plan",
    "schedules",
    "secret",
    "secrets",
    "set",
    "step",
    "stores",
    "targets",
    "timezone",
    "true",
    "url",
    "user",
    "values",
];

/// Blots the text out of diagnostics about YAML that can't be read.
///
/// Without a tree nobody can tell which part of the text is the value of a password, so nothing is shown but
/// space, lines and the words of the format that are followed by a colon: line and column still lead there.
pub(super) fn conceal(source: &Arc<Source>, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let shown = Source::new(source.name.clone(), only_known_keys(&source.text));
    let words: HashSet<&str> = words(&source.text).filter(|word| !WORDS.contains(word)).collect();
    for diagnostic in &mut diagnostics {
        diagnostic.source = diagnostic.source.take().map(|_| Arc::clone(&shown));
        diagnostic.message = without(&diagnostic.message, &words);
        let help = diagnostic.help.take().map(|help| without(&help, &words));
        let hidden = "the text is hidden, since an environment could hold a password by mistake";
        diagnostic.help = Some(help.map_or_else(|| hidden.to_owned(), |help| format!("{help}; {hidden}")));
    }
    diagnostics
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// Blots everything but keys that the format knows, and space.
fn only_known_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
            let behind = &rest[word.len()..];
            let glued = shown.ends_with(|c: char| !c.is_whitespace());
            if !glued && WORDS.contains(&word) && behind.starts_with(':') {
                shown.push_str(word);
                shown.push(':');
                rest = &behind[1..];
            } else if word.is_empty() {
                let length = first.len_utf8();
                shown.push_str(&if first.is_whitespace() {
                    first.to_string()
                } else {
                    blot(&rest[..length])
                });
                rest = &rest[length..];
            } else {
                shown.push_str(&blot(word));
                rest = behind;
            }
        }
    }
    shown
}

/// Takes out what is quoted between backquotes when it repeats a word of the text.
fn without(message: &str, words: &HashSet<&str>) -> String {
    let mut parts = message.split('`');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for (position, part) in parts.enumerate() {
        let quoted = position % 2 == 0;
        let repeats = self::words(part).any(|word| words.contains(word));
        shown.push('`');
        shown.push_str(if quoted && repeats { "***" } else { part });
    }
    shown
}

/// Hides everything in a layer that stands where a password could, and refuses what is one.
pub(super) fn sweep(reader: &mut Reader, layer: &Node) {
    hide_passwords(reader, layer);
    refuse_keys(reader, layer);
    for (section, fields) in [
        ("targets", &["host", "port", "user", "password", "kubernetes"][..]),
        ("secrets", &["env", "file", "command"][..]),
    ] {
        for entry in layer.get(section).and_then(Node::entries).unwrap_or_default() {
            for field in entry.value.entries().unwrap_or_default() {
                if !fields.contains(&field.key.as_str()) {
                    reader.hide(&field.value);
                }
            }
        }
    }
    for entry in layer.get("targets").and_then(Node::entries).unwrap_or_default() {
        if let Some(password) = entry.value.get("password").filter(|password| is_plain(password)) {
            reader.report(
                Diagnostic::new(
                    "rekindle::environment::plain_password",
                    "a password is never written into an environment",
                )
                .label(&password.location, "expected `{ secret: NAME }`")
                .help("declare it under `secrets:` and write `password: { secret: NAME }`"),
            );
        }
    }
    for entry in layer.get("stores").and_then(Node::entries).unwrap_or_default() {
        let identity = entry.value.get("encrypt").and_then(|encrypt| encrypt.get("identity"));
        if let Some(identity) = identity.filter(|identity| is_plain(identity) && !is_secret_key(identity)) {
            reader.hide(identity);
            reader.report(
                Diagnostic::new(
                    "rekindle::environment::plain_key",
                    "`identity` must name the secret that holds the key",
                )
                .label(&identity.location, "expected `{ secret: NAME }`")
                .help("declare it under `secrets:` and write `identity: { secret: NAME }`"),
            );
        }
    }
    for entry in layer.get("secrets").and_then(Node::entries).unwrap_or_default() {
        if is_plain(&entry.value) {
            reader.hide(&entry.value);
            reader.report(
                Diagnostic::new(
                    "rekindle::environment::plain_secret",
                    format!("secret `{}` must say where its value comes from", entry.key),
                )
                .label(&entry.value.location, "expected `{ env: … }`, `{ file: … }` or `{ command: […] }`")
                .help("secrets are never written into an environment"),
            );
        }
    }
}

fn is_plain(node: &Node) -> bool {
    node.entries().is_none() && node.value != NodeValue::Null
}

/// A password may also stand in a section whose name is misspelt.
fn hide_passwords(reader: &mut Reader, node: &Node) {
    for item in node.items().unwrap_or_default() {
        hide_passwords(reader, item);
    }
    for entry in node.entries().unwrap_or_default() {
        if entry.key == "password" && is_plain(&entry.value) {
            reader.hide(&entry.value);
        } else {
            hide_passwords(reader, &entry.value);
        }
    }
}

/// A secret key may stand anywhere by mistake: most likely where its public one belongs.
fn refuse_keys(reader: &mut Reader, node: &Node) {
    if is_secret_key(node) {
        reader.hide(node);
        reader.report(
            Diagnostic::new(
                "rekindle::environment::plain_key",
                "a secret key is never written into an environment",
            )
            .label(&node.location, "a secret key of age")
            .help("`recipients` takes the public one, `age1…`; `identity: { secret: NAME }` names the secret one"),
        );
    }
    for item in node.items().unwrap_or_default() {
        refuse_keys(reader, item);
    }
    for entry in node.entries().unwrap_or_default() {
        refuse_keys(reader, &entry.value);
    }
}
