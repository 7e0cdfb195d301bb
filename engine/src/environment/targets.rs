//! `targets:`: servers and how to reach them.

use super::read::refuse;
use super::{SecretRef, Target};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Entry, Node, Reader};

const DEFAULT_PORT: u16 = 3306;

/// Reads one target; `secrets` are the names a password may refer to.
pub(super) fn read(reader: &mut Reader, entry: &Entry, secrets: &[&str]) -> Option<Target> {
    let mut fields = reader.fields(&entry.value, format!("target `{}`", entry.key))?;
    let elsewhere = fields.take("kubernetes").is_some();
    refuse(reader, &mut fields, "kubernetes");
    // A target in Kubernetes has no host; that it cannot be reached yet is said already.
    let host = if elsewhere { fields.take("host") } else { reader.require(&mut fields, "host") };
    let host = host.and_then(|node| reader.filled_text(node, "`host`"));
    let port = fields.take("port").map_or(Some(DEFAULT_PORT), |node| {
        let port = reader.count(node, "`port`", 1, u32::from(u16::MAX))?;
        u16::try_from(port).ok()
    });
    let user = reader.require(&mut fields, "user").and_then(|node| reader.filled_text(node, "`user`"));
    let password = fields.take("password").map(|node| read_password(reader, node, secrets));
    reader.close(&fields);
    Some(Target {
        host: host?.to_owned(),
        port: port?,
        user: user?.to_owned(),
        password: match password {
            Some(password) => Some(password?),
            None => None,
        },
    })
}

fn read_password(reader: &mut Reader, node: &Node, secrets: &[&str]) -> Option<SecretRef> {
    // Anything else may be a password, and is refused in every layer before they are laid together.
    node.entries()?;
    let mut fields = reader.fields(node, "`password`")?;
    let secret = reader.require(&mut fields, "secret");
    reader.close(&fields);
    let secret = secret?;
    let name = reader.text(secret, "`secret`")?;
    if !secrets.contains(&name) {
        let help = match nearest(name, secrets.iter().copied()) {
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
