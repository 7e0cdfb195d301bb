//! Names in, whether the service takes them out ("About Cloud Storage buckets", "About Cloud Storage objects").

use std::collections::HashMap;

use super::refusal::Refusal;

/// The storage classes that an object can have.
const CLASSES: [&str; 7] = [
    "STANDARD",
    "NEARLINE",
    "COLDLINE",
    "ARCHIVE",
    "MULTI_REGIONAL",
    "REGIONAL",
    "DURABLE_REDUCED_AVAILABILITY",
];
/// Custom metadata together, keys and values.
const MOST_METADATA_BYTES: usize = 8 * 1024;

const OBJECT_ACLS: [&str; 6] = [
    "authenticatedRead",
    "bucketOwnerFullControl",
    "bucketOwnerRead",
    "private",
    "projectPrivate",
    "publicRead",
];
const BUCKET_ACLS: [&str; 5] =
    ["authenticatedRead", "private", "projectPrivate", "publicRead", "publicReadWrite"];

/// Takes a bucket's short name out of `projects/_/buckets/NAME`.
pub(super) fn bucket_of(resource: &str) -> Result<&str, Refusal> {
    let name = resource.strip_prefix("projects/_/buckets/").filter(|name| !name.is_empty());
    name.ok_or_else(|| Refusal::invalid(format!("The bucket name `{resource}` is malformed")))
}

pub(super) fn check_bucket(name: &str) -> Result<(), Refusal> {
    let most = if name.contains('.') { 222 } else { 63 };
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let good = (3..=most).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
        && edge(name.as_bytes().first())
        && edge(name.as_bytes().last())
        && name.split('.').all(|part| (1..=63).contains(&part.len()))
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !name.starts_with("goog")
        && !name.contains("google");
    if good { Ok(()) } else { Err(Refusal::invalid(format!("Invalid bucket name: '{name}'"))) }
}

pub(super) fn check_object(name: &str) -> Result<(), Refusal> {
    let good = (1..=1024).contains(&name.len())
        && !name.contains(['\r', '\n'])
        && !matches!(name, "." | "..")
        && !name.starts_with(".well-known/acme-challenge/");
    if good { Ok(()) } else { Err(Refusal::invalid(format!("Invalid object name: '{name}'"))) }
}

pub(super) fn check_class(class: &str) -> Result<(), Refusal> {
    if CLASSES.contains(&class) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid storage class: '{class}'")))
}

pub(super) fn check_metadata(metadata: &HashMap<String, String>) -> Result<(), Refusal> {
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MOST_METADATA_BYTES {
        return Err(Refusal::invalid("The custom metadata is larger than 8 KiB"));
    }
    if metadata.keys().any(String::is_empty) {
        return Err(Refusal::invalid("A key of the custom metadata is empty"));
    }
    Ok(())
}

pub(super) fn check_object_acl(predefined: &str) -> Result<(), Refusal> {
    check_acl(predefined, &OBJECT_ACLS)
}

pub(super) fn check_bucket_acl(predefined: &str) -> Result<(), Refusal> {
    check_acl(predefined, &BUCKET_ACLS)
}

fn check_acl(predefined: &str, known: &[&str]) -> Result<(), Refusal> {
    if predefined.is_empty() || known.contains(&predefined) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid predefined ACL: '{predefined}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_are_taken_as_documented() {
        for good in ["abc", "my-bucket_1", "0travel.example", &"a".repeat(63)] {
            assert!(check_bucket(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in
            ["ab", "Upper", "-edge", "edge-", "a..b", "192.168.5.4", "goog-x", "my-google", "a b", &long]
        {
            assert!(check_bucket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn object_names_are_taken_as_documented() {
        for good in ["a", "a/b c", "é", &"x".repeat(1024)] {
            assert!(check_object(good).is_ok(), "{good}");
        }
        let long = "x".repeat(1025);
        for bad in ["", ".", "..", "a\nb", ".well-known/acme-challenge/x", &long] {
            assert!(check_object(bad).is_err(), "{bad}");
        }
    }
}
