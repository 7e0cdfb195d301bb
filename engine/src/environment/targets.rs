//! `targets:`: servers and how to reach them.

use super::read::refuse;
use super::{LocalServer, Target, secrets};
use crate::document::{Entry, Node, Reader};

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
    let local = fields.take("local").map(|node| read_local(reader, node));
    reader.close(&fields);
    Some(Target {
        host: host?.to_owned(),
        port: port?,
        user: user?.to_owned(),
        password: match password {
            Some(password) => Some(password?),
            None => None,
        },
        local: match local {
            Some(local) => Some(local?),
            None => None,
        },
    })
}

fn read_local(reader: &mut Reader, node: &Node) -> Option<LocalServer> {
    let mut fields = reader.fields(node, "`local`")?;
    let data_dir = reader.require(&mut fields, "data_dir");
    let stop = reader.require(&mut fields, "stop");
    let start = reader.require(&mut fields, "start");
    reader.close(&fields);
    // Each is looked at, also when another is wrong: all mistakes are told at once.
    let data_dir = data_dir.and_then(|node| {
        let path = reader.filled_text(node, "`data_dir`")?;
        if path.starts_with('/') {
            return Some(path.to_owned());
        }
        reader.wrong_value(node, "`data_dir` is no absolute path", "write it from the root: `/var/lib/mysql`")
    });
    let stop = stop.and_then(|node| secrets::read_command(reader, node, "`stop`"));
    let start = start.and_then(|node| secrets::read_command(reader, node, "`start`"));
    Some(LocalServer { data_dir: data_dir?, stop: stop?, start: start? })
}
