//! `stores:`: places for objects, by URL.

use super::{NOT_SUPPORTED, StoreConfig, lifecycle};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Entry, Fields, Node, Reader};
use crate::host::Key;

const SCHEMES: [&str; 3] = ["file", "s3", "gs"];

/// Reads one store.
pub(super) fn read(reader: &mut Reader, entry: &Entry) -> Option<StoreConfig> {
    let mut fields = reader.fields(&entry.value, format!("store `{}`", entry.key))?;
    let written = reader.require(&mut fields, "url");
    let url = written.and_then(|node| read_url(reader, node));
    let mut config = StoreConfig::at(url.unwrap_or_default());
    let scheme = written.and_then(Node::text).and_then(|url| url.split_once(':')).map(|(scheme, _)| scheme);
    config.lifecycle = lifecycle::read(reader, &mut fields, scheme);
    if url.is_some_and(|url| !url.starts_with("s3:")) {
        for field in OF_S3 {
            refuse_beside_a_folder(reader, &mut fields, field);
        }
    } else {
        read_s3(reader, &mut fields, &mut config);
    }
    reader.close(&fields);
    url.map(|_| config)
}

/// What says how a bucket of S3 is reached and written.
const OF_S3: [&str; 8] = [
    "region",
    "endpoint",
    "path_style",
    "profile",
    "server_side_encryption",
    "kms_key",
    "storage_class",
    "requester_pays",
];

fn refuse_beside_a_folder(reader: &mut Reader, fields: &mut Fields<'_>, field: &'static str) {
    if let Some(entry) = fields.take_entry(field) {
        reader.report(
            Diagnostic::new(
                "rekindle::environment::not_for_this_store",
                format!("`{field}` says something about buckets, and this store is a folder"),
            )
            .label(&entry.key_location(), "means nothing here")
            .help("remove it, or write an `s3://bucket/prefix` URL"),
        );
    }
}

fn read_s3(reader: &mut Reader, fields: &mut Fields<'_>, config: &mut StoreConfig) {
    config.region = text(reader, fields, "region");
    config.endpoint = fields.take("endpoint").and_then(|node| read_endpoint(reader, node)).map(str::to_owned);
    config.path_style = fields.take("path_style").and_then(|node| reader.boolean(node, "`path_style`"));
    config.profile = text(reader, fields, "profile");
    let encryption = fields.take("server_side_encryption");
    config.server_side_encryption = encryption.and_then(|node| {
        let kinds = ["AES256", "aws:kms", "aws:kms:dsse"].map(|kind| (kind, kind));
        reader.choice(node, "`server_side_encryption`", &kinds).map(str::to_owned)
    });
    let key = fields.take("kms_key");
    config.kms_key = key.and_then(|node| reader.filled_text(node, "`kms_key`")).map(str::to_owned);
    if let (Some(node), false) =
        (key, config.server_side_encryption.as_deref().is_some_and(|kind| kind.starts_with("aws:kms")))
        && encryption.is_none_or(|_| config.server_side_encryption.is_some())
    {
        reader.report(
            Diagnostic::new(
                "rekindle::environment::key_without_encryption",
                "`kms_key` is used only with `server_side_encryption: \"aws:kms\"`",
            )
            .label(&node.location, "would encrypt nothing")
            .help("add `server_side_encryption: \"aws:kms\"`"),
        );
    }
    config.storage_class = fields.take("storage_class").and_then(|node| read_class(reader, node));
    config.requester_pays =
        fields.take("requester_pays").and_then(|node| reader.boolean(node, "`requester_pays`"));
}

fn text(reader: &mut Reader, fields: &mut Fields<'_>, field: &'static str) -> Option<String> {
    let node = fields.take(field)?;
    reader.filled_text(node, &format!("`{field}`")).map(str::to_owned)
}

fn read_endpoint<'n>(reader: &mut Reader, node: &'n Node) -> Option<&'n str> {
    let endpoint = reader.filled_text(node, "`endpoint`")?;
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    match host {
        Some(host) if host.contains('@') => {
            reader.hide(node);
            reader.wrong_value(
                node,
                "`endpoint` holds credentials",
                "write the address alone: credentials come from the AWS environment variables, files and services",
            )
        }
        Some(host) if !host.is_empty() => Some(endpoint),
        Some(_) | None => reader.wrong_value(
            node,
            "`endpoint` is no web address",
            "write `https://host` or `https://host:port`",
        ),
    }
}

/// Objects of these classes can't be read without hours of preparation, so no backup could be verified or
/// restored from them (Amazon S3 User Guide, "Understanding and managing Amazon S3 storage classes").
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

fn read_class(reader: &mut Reader, node: &Node) -> Option<String> {
    let class = reader.filled_text(node, "`storage_class`")?;
    if ARCHIVES.contains(&class) {
        return reader.wrong_value(
            node,
            format!("objects of the class `{class}` can't be read back when they are needed"),
            "write one that is read at once, such as `STANDARD_IA` or `GLACIER_IR`; archive by a rule of the bucket",
        );
    }
    Some(class.to_owned())
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
        "s3" if is_bucket(place) => Some(url),
        "s3" if place.contains('@') => {
            reader.hide(node);
            reader.wrong_value(
                node,
                "`url` holds credentials",
                "write `s3://bucket/prefix`: credentials come from the AWS environment variables, files and services",
            )
        }
        "s3" => reader.wrong_value(
            node,
            "it names no bucket of S3",
            "write `s3://bucket` or `s3://bucket/prefix`; a bucket has 3 to 63 small letters, digits, `-` and `.`",
        ),
        "gs" => {
            reader.report(
                Diagnostic::new(NOT_SUPPORTED, "`gs:` stores are not supported by this version yet")
                    .label(&node.location, "cannot be opened")
                    .help("use a `file:` or an `s3:` store for now"),
            );
            None
        }
        _ => {
            let help = match nearest(scheme, SCHEMES) {
                Some(near) => format!("did you mean `{near}:`?"),
                None => "stores are `file:` folders and `s3:` buckets".to_owned(),
            };
            reader.wrong_value(node, format!("there are no `{scheme}:` stores"), help)
        }
    }
}

/// Amazon S3 User Guide, "General purpose bucket naming rules"; the prefix is one that keys can be made below.
fn is_bucket(place: &str) -> bool {
    let Some(place) = place.strip_prefix("//") else { return false };
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    (3..=63).contains(&bucket.len())
        && bucket.chars().all(fits)
        && (prefix.is_empty() || Key::new(prefix).is_ok())
}
