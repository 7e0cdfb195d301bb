//! `targets:`: servers and how to reach them.

use super::read::refuse;
use super::{Target, secrets};
use crate::document::{Entry, Reader};

const DEFAULT_PORT: u16 = 3306;

/// Reads one target; `names` are those of the secrets that a password may refer to.
pub(super) fn read(reader: &mut Reader, entry: &Entry, names: &[&str]) -> Option<Target> {
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
    let password =
        fields.take("password").map(|node| secrets::read_reference(reader, node, "`password`", names));
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
