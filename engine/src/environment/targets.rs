//! `targets:`: servers and how to reach them.

use super::read::refuse;
use super::{LocalServer, Target, TargetTls, secrets};
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
    let tls = fields.take("tls").map(|node| read_tls(reader, node));
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
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        local: match local {
            Some(local) => Some(local?),
            None => None,
        },
    })
}

fn read_tls(reader: &mut Reader, node: &Node) -> Option<TargetTls> {
    let mut fields = reader.fields(node, "`tls`")?;
    let [ca, certificate, key] = ["ca", "certificate", "key"].map(|name| fields.take(name));
    let verify = fields.take("verify").map_or(Some(true), |node| reader.boolean(node, "`verify`"));
    reader.close(&fields);
    let mut file = |node: Option<&Node>, name: &str| match node {
        Some(node) => absolute_path(reader, node, name, "/etc/mysql/ca.pem").map(Some),
        None => Some(None),
    };
    let (ca, certificate, key) = (file(ca, "ca"), file(certificate, "certificate"), file(key, "key"));
    let tls = TargetTls { ca: ca?, verify: verify?, certificate: certificate?, key: key? };
    if tls.verify && tls.ca.is_none() {
        let help = "name the file of the authority's certificates with `ca`, or set `verify: false` to encrypt without a proof";
        return reader.wrong_value(node, "`tls` has no `ca` to verify the server by", help);
    }
    if tls.certificate.is_some() != tls.key.is_some() {
        return reader.wrong_value(
            node,
            "`certificate` and `key` belong together",
            "name both files, or none",
        );
    }
    Some(tls)
}

fn absolute_path(reader: &mut Reader, node: &Node, name: &str, example: &str) -> Option<String> {
    let path = reader.filled_text(node, &format!("`{name}`"))?;
    if path.starts_with('/') {
        return Some(path.to_owned());
    }
    let message = format!("`{name}` is no absolute path");
    reader.wrong_value(node, message, format!("write it from the root: `{example}`"))
}

fn read_local(reader: &mut Reader, node: &Node) -> Option<LocalServer> {
    let mut fields = reader.fields(node, "`local`")?;
    let data_dir = reader.require(&mut fields, "data_dir");
    let stop = reader.require(&mut fields, "stop");
    let start = reader.require(&mut fields, "start");
    reader.close(&fields);
    // Each is looked at, also when another is wrong: all mistakes are told at once.
    let data_dir = data_dir.and_then(|node| absolute_path(reader, node, "data_dir", "/var/lib/mysql"));
    let stop = stop.and_then(|node| secrets::read_command(reader, node, "`stop`"));
    let start = start.and_then(|node| secrets::read_command(reader, node, "`start`"));
    Some(LocalServer { data_dir: data_dir?, stop: stop?, start: start? })
}
