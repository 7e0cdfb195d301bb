//! `stores:`: places for objects, by URL.

use super::{StoreConfig, buckets, encrypt, lifecycle};
use crate::diagnostic::nearest;
use crate::document::{Entry, Node, Reader};
use crate::host::Key;

const SCHEMES: [&str; 3] = ["file", "s3", "gs"];

/// What a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Folder,
    S3,
    Google,
}

impl Place {
    fn of(url: &str) -> Self {
        match url.split_once(':') {
            Some(("s3", _)) => Self::S3,
            Some(("gs", _)) => Self::Google,
            _ => Self::Folder,
        }
    }

    /// Where credentials come from, since they are never written in a document.
    pub(super) fn credentials(self) -> &'static str {
        match self {
            Self::Google => {
                "credentials come from GOOGLE_APPLICATION_CREDENTIALS, `gcloud` or the metadata server"
            }
            Self::S3 | Self::Folder => {
                "credentials come from the AWS environment variables, files and services"
            }
        }
    }
}

/// Reads one store; `secrets` are the names that its key may refer to.
pub(super) fn read(reader: &mut Reader, entry: &Entry, secrets: &[&str]) -> Option<StoreConfig> {
    let mut fields = reader.fields(&entry.value, format!("store `{}`", entry.key))?;
    let written = reader.require(&mut fields, "url");
    let url = written.and_then(|node| read_url(reader, node));
    let mut config = StoreConfig::at(url.unwrap_or_default());
    let scheme = written.and_then(Node::text).and_then(|url| url.split_once(':')).map(|(scheme, _)| scheme);
    config.lifecycle = lifecycle::read(reader, &mut fields, scheme);
    buckets::read(reader, &mut fields, url.map(Place::of), &mut config);
    let encrypt = fields.take("encrypt").map(|node| encrypt::read(reader, node, secrets));
    reader.close(&fields);
    if let Some(encrypt) = encrypt {
        // Never left out: what was to be encrypted must not be written in the clear.
        config.encrypt = Some(encrypt?);
    }
    url.map(|_| config)
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
        "s3" if is_bucket_of_s3(place) => Some(url),
        "gs" if is_bucket_of_google(place) => Some(url),
        "s3" | "gs" if place.contains('@') => {
            reader.hide(node);
            let from = Place::of(url).credentials();
            reader.wrong_value(
                node,
                "`url` holds credentials",
                format!("write `{scheme}://bucket/prefix`: {from}"),
            )
        }
        "s3" => reader.wrong_value(
            node,
            "it names no bucket of S3",
            "write `s3://bucket` or `s3://bucket/prefix`; a bucket has 3 to 63 small letters, digits, `-` and `.`",
        ),
        "gs" => reader.wrong_value(
            node,
            "it names no bucket of Google Cloud Storage",
            "write `gs://bucket` or `gs://bucket/prefix`; a bucket has 3 to 63 small letters, digits, `-`, `_` and \
             `.`, the first and the last of them a letter or digit",
        ),
        _ => {
            let help = match nearest(scheme, SCHEMES) {
                Some(near) => format!("did you mean `{near}:`?"),
                None => "stores are `file:` folders, `s3:` and `gs:` buckets".to_owned(),
            };
            reader.wrong_value(node, format!("there are no `{scheme}:` stores"), help)
        }
    }
}

/// Amazon S3 User Guide, "General purpose bucket naming rules".
fn is_bucket_of_s3(place: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    bucket_of(place).is_some_and(|bucket| (3..=63).contains(&bucket.len()) && bucket.chars().all(fits))
}

/// Cloud Storage documentation, "Bucket naming requirements".
fn is_bucket_of_google(place: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |c: char| plain(c) || matches!(c, '-' | '_' | '.');
    bucket_of(place).is_some_and(|bucket| {
        (3..=222).contains(&bucket.len())
            && bucket.split('.').all(|label| (1..=63).contains(&label.len()))
            && bucket.chars().all(fits)
            && bucket.starts_with(plain)
            && bucket.ends_with(plain)
    })
}

/// Gives the bucket of a place whose prefix is one that keys can be made below.
fn bucket_of(place: &str) -> Option<&str> {
    let place = place.strip_prefix("//")?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    (prefix.is_empty() || Key::new(prefix).is_ok()).then_some(bucket)
}
