//! `stores:`: places for objects, by URL.

use super::read::refuse;
use super::{NOT_SUPPORTED, StoreConfig};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Entry, Node, Reader};

const SCHEMES: [&str; 3] = ["file", "s3", "gs"];

/// Reads one store.
pub(super) fn read(reader: &mut Reader, entry: &Entry) -> Option<StoreConfig> {
    let mut fields = reader.fields(&entry.value, format!("store `{}`", entry.key))?;
    let url = reader.require(&mut fields, "url").and_then(|node| read_url(reader, node));
    for field in ["region", "endpoint", "lifecycle"] {
        refuse(reader, &mut fields, field);
    }
    reader.close(&fields);
    Some(StoreConfig { url: url?.to_owned() })
}

fn read_url<'n>(reader: &mut Reader, node: &'n Node) -> Option<&'n str> {
    let url = reader.filled_text(node, "`url`")?;
    let Some((scheme, place)) = url.split_once(':') else {
        return reader.wrong_value(
            node,
            format!("`{url}` has no scheme"),
            format!("write `file:{url}` for a folder of this machine"),
        );
    };
    match scheme {
        "file" if place.strip_prefix("//").is_some_and(|rest| !rest.starts_with('/')) => reader.wrong_value(
            node,
            format!("`{url}` names another machine"),
            format!(
                "write `file:{0}` for a relative folder, or `file:///{0}`",
                place.trim_start_matches('/')
            ),
        ),
        "file" if place.trim_start_matches('/').is_empty() => reader.wrong_value(
            node,
            format!("`{url}` names no folder"),
            "write `file:backups` or `file:///var/backups`",
        ),
        "file" => Some(url),
        "s3" | "gs" => {
            reader.report(
                Diagnostic::new(
                    NOT_SUPPORTED,
                    format!("`{scheme}:` stores are not supported by this version yet"),
                )
                .label(&node.location, "cannot be opened")
                .help("use a `file:` store for now"),
            );
            None
        }
        _ => {
            let help = match nearest(scheme, SCHEMES) {
                Some(near) => format!("did you mean `{near}:`?"),
                None => "stores are `file:` folders".to_owned(),
            };
            reader.wrong_value(node, format!("there are no `{scheme}:` stores"), help)
        }
    }
}
