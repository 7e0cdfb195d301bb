//! How a bucket is reached and written: the fields of a store beside its `url:`.

use super::StoreConfig;
use super::stores::Place;
use crate::diagnostic::Diagnostic;
use crate::document::{Fields, Node, Reader};

/// Which stores a field says something about.
#[derive(Debug, Clone, Copy)]
enum About {
    S3,
    Google,
    Buckets,
}

const FIELDS: [(&str, About); 12] = [
    ("region", About::S3),
    ("endpoint", About::Buckets),
    ("path_style", About::S3),
    ("profile", About::S3),
    ("server_side_encryption", About::S3),
    ("kms_key", About::Buckets),
    ("storage_class", About::Buckets),
    ("requester_pays", About::Buckets),
    ("billing_project", About::Google),
    ("anonymous", About::Google),
    ("project", About::Google),
    ("location", About::Google),
];

/// Reads them into `config`; those of another kind of store are refused. A store whose kind is not known, since its
/// URL is wrong, may have them all.
pub(super) fn read(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    place: Option<Place>,
    config: &mut StoreConfig,
) {
    if let Some(place) = place {
        for (field, about) in FIELDS {
            refuse_beside(reader, fields, place, field, about);
        }
    }
    config.region = text(reader, fields, "region");
    config.path_style = flag(reader, fields, "path_style");
    config.profile = text(reader, fields, "profile");
    config.project = text(reader, fields, "project");
    config.location = text(reader, fields, "location");
    config.anonymous = flag(reader, fields, "anonymous");
    let place = place.unwrap_or(Place::S3);
    config.endpoint = read_endpoint(reader, fields, place, config.anonymous);
    read_keys(reader, fields, place, config);
    config.storage_class = fields.take("storage_class").and_then(|node| read_class(reader, node, place));
    read_payer(reader, fields, place, config);
}

fn refuse_beside(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    place: Place,
    field: &'static str,
    about: About,
) {
    let (of, url) = match (about, place) {
        (About::S3 | About::Buckets, Place::S3) | (About::Google | About::Buckets, Place::Google) => return,
        (About::S3, Place::Folder | Place::Google) => ("buckets of S3", "an `s3://bucket/prefix` URL"),
        (About::Google, Place::Folder | Place::S3) => {
            ("buckets of Google Cloud Storage", "a `gs://bucket/prefix` URL")
        }
        (About::Buckets, Place::Folder) => {
            ("buckets", "an `s3://bucket/prefix` or a `gs://bucket/prefix` URL")
        }
    };
    let this = match place {
        Place::Folder => "is a folder",
        Place::S3 => "is in S3",
        Place::Google => "is in Google Cloud Storage",
    };
    if let Some(entry) = fields.take_entry(field) {
        reader.report(
            Diagnostic::new(
                "rekindle::environment::not_for_this_store",
                format!("`{field}` says something about {of}, and this store {this}"),
            )
            .label(&entry.key_location(), "means nothing here")
            .help(format!("remove it, or write {url}")),
        );
    }
}

fn text(reader: &mut Reader, fields: &mut Fields<'_>, field: &'static str) -> Option<String> {
    let node = fields.take(field)?;
    reader.filled_text(node, &format!("`{field}`")).map(str::to_owned)
}

fn flag(reader: &mut Reader, fields: &mut Fields<'_>, field: &'static str) -> Option<bool> {
    let node = fields.take(field)?;
    reader.boolean(node, &format!("`{field}`"))
}

fn read_endpoint(
    reader: &mut Reader,
    fields: &mut Fields<'_>,
    place: Place,
    anonymous: Option<bool>,
) -> Option<String> {
    let node = fields.take("endpoint")?;
    let endpoint = reader.filled_text(node, "`endpoint`")?;
    let open = endpoint.strip_prefix("http://");
    match endpoint.strip_prefix("https://").or(open) {
        Some(host) if host.contains('@') => {
            reader.hide(node);
            reader.wrong_value(
                node,
                "`endpoint` holds credentials",
                format!("write the address alone: {}", place.credentials()),
            )
        }
        // Requests to S3 are signed; those to Google carry the token itself.
        Some(host)
            if !host.is_empty() && place == Place::Google && open.is_some() && anonymous != Some(true) =>
        {
            reader.wrong_value(
                node,
                "the access token would travel unencrypted to this `endpoint`",
                "write `https://`, or add `anonymous: true` for a server that asks for no credentials",
            )
        }
        Some(host) if !host.is_empty() => Some(endpoint.to_owned()),
        Some(_) | None => reader.wrong_value(
            node,
            "`endpoint` is no web address",
            "write `https://host` or `https://host:port`",
        ),
    }
}

/// Reads what encrypts objects. S3 wants to be told that a key is to be used; Google uses one that is named.
fn read_keys(reader: &mut Reader, fields: &mut Fields<'_>, place: Place, config: &mut StoreConfig) {
    let encryption = fields.take("server_side_encryption");
    config.server_side_encryption = encryption.and_then(|node| {
        let kinds = ["AES256", "aws:kms", "aws:kms:dsse"].map(|kind| (kind, kind));
        reader.choice(node, "`server_side_encryption`", &kinds).map(str::to_owned)
    });
    let key = fields.take("kms_key");
    config.kms_key = key.and_then(|node| reader.filled_text(node, "`kms_key`")).map(str::to_owned);
    if let (Some(node), Place::S3) = (key, place)
        && !config.server_side_encryption.as_deref().is_some_and(|kind| kind.starts_with("aws:kms"))
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
}

/// Objects of these classes can't be read without hours of preparation, so no backup could be verified or
/// restored from them (Amazon S3 User Guide, "Understanding and managing Amazon S3 storage classes").
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// All of them are read at once (Cloud Storage documentation, "Storage classes").
const CLASSES_OF_GOOGLE: [&str; 4] = ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"];

fn read_class(reader: &mut Reader, node: &Node, place: Place) -> Option<String> {
    if place == Place::Google {
        let classes = CLASSES_OF_GOOGLE.map(|class| (class, class));
        return reader.choice(node, "`storage_class`", &classes).map(str::to_owned);
    }
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

/// Reads who pays. Google wants to know which project does.
fn read_payer(reader: &mut Reader, fields: &mut Fields<'_>, place: Place, config: &mut StoreConfig) {
    let pays = fields.take("requester_pays");
    config.requester_pays = pays.and_then(|node| reader.boolean(node, "`requester_pays`"));
    let project = fields.take("billing_project");
    config.billing_project =
        project.and_then(|node| reader.filled_text(node, "`billing_project`")).map(str::to_owned);
    if place != Place::Google {
        return;
    }
    match (pays, project, config.requester_pays) {
        (Some(node), None, Some(true)) => {
            let _: Option<()> = reader.wrong_value(
                node,
                "`requester_pays` does not say which project pays",
                "add `billing_project:` with the project's id",
            );
        }
        (_, Some(node), None | Some(false)) => {
            let _: Option<()> = reader.wrong_value(
                node,
                "`billing_project` pays only with `requester_pays: true`",
                "add `requester_pays: true`, or remove it",
            );
        }
        _ => {}
    }
}
