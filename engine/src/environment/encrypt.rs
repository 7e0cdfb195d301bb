//! `encrypt:` of a store: who can read what is written there, and the secret that reads it.

use age::x25519::Recipient;

use super::{Encrypt, secrets};
use crate::document::{Node, NodeValue, Reader};

/// What a secret key of age begins with: it never stands in an environment.
pub(super) const SECRET_KEY: &str = "AGE-SECRET-KEY-";

/// Each makes every object some 100 bytes longer; who reads one looks at no more than 16 KiB for all.
const MOST_RECIPIENTS: usize = 32;

/// Reads one; `names` are those of the secrets that are declared.
pub(super) fn read(reader: &mut Reader, node: &Node, names: &[&str]) -> Option<Encrypt> {
    let mut fields = reader.fields(node, "`encrypt`")?;
    let recipients = reader.require(&mut fields, "recipients").and_then(|node| read_recipients(reader, node));
    let identity =
        fields.take("identity").map(|node| secrets::read_reference(reader, node, "`identity`", names));
    reader.close(&fields);
    Some(Encrypt {
        recipients: recipients?,
        identity: match identity {
            Some(identity) => Some(identity?),
            None => None,
        },
    })
}

fn read_recipients(reader: &mut Reader, node: &Node) -> Option<Vec<String>> {
    let items = reader.items(node, "`recipients`")?;
    if items.is_empty() {
        return reader.wrong_value(
            node,
            "`recipients` is empty",
            "write the public key that `age-keygen` prints: `[age1…]`",
        );
    }
    if items.len() > MOST_RECIPIENTS {
        return reader.wrong_value(
            node,
            format!("there are {} recipients, and {MOST_RECIPIENTS} are the most", items.len()),
            "share a key among those who hold it together",
        );
    }
    let mut recipients: Vec<String> = Vec::new();
    let mut sound = true;
    for item in items {
        match read_recipient(reader, item) {
            Some(recipient) if recipients.contains(&recipient) => {
                sound = false;
                let _: Option<()> = reader.wrong_value(item, "this recipient is named twice", "remove one");
            }
            Some(recipient) => recipients.push(recipient),
            None => sound = false,
        }
    }
    sound.then_some(recipients)
}

/// Reads a public key in its one spelling: Bech32 allows capitals too (BIP 173), and keys are compared as texts.
fn read_recipient(reader: &mut Reader, node: &Node) -> Option<String> {
    if is_secret_key(node) {
        // Refused in every layer before they are laid together.
        return None;
    }
    let text = reader.filled_text(node, "a recipient")?;
    match text.parse::<Recipient>() {
        Ok(recipient) => Some(recipient.to_string()),
        Err(_) if text.starts_with("ssh-") => reader.wrong_value(
            node,
            "keys of SSH are not supported as recipients",
            "make a key with `age-keygen -o key.txt` and write the `age1…` that it prints",
        ),
        Err(_) => reader.wrong_value(
            node,
            "it is no public key of age",
            "copy the whole of it, `age1` and 58 letters and digits, as `age-keygen` prints it",
        ),
    }
}

/// Tells whether a text is, or has in it, a secret key.
pub(super) fn is_secret_key(node: &Node) -> bool {
    match &node.value {
        NodeValue::String { text, .. } => text.to_ascii_uppercase().contains(SECRET_KEY),
        _ => false,
    }
}
