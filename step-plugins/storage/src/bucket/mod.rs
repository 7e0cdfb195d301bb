//! What stores in buckets have in common, whatever the provider: the URL's parts, the mark of a write, checksums,
//! the parts of a stream, uploads that go on after a crash, and reads that go on where they were cut off.

pub(crate) mod checksum;
pub(crate) mod errors;
pub(crate) mod parts;
pub(crate) mod patience;
pub(crate) mod reading;
#[cfg(test)]
mod reading_tests;
pub(crate) mod resumed;
mod span;

use jiff::Timestamp;
use rekindle_engine::host::StoreErrorKind;

use crate::failure::Failure;

/// The metadata that says which write an object is from, so that a write whose answer got lost knows its own.
pub(crate) const MARK: &str = "rekindle-write";

/// Tells whether a copy that failed so may still work when the bytes pass through us: each store has its own
/// credentials, and not every server that can be read and written can copy.
pub(crate) fn is_beyond_the_provider(failure: &Failure) -> bool {
    matches!(failure.kind, StoreErrorKind::Denied | StoreErrorKind::Invalid)
}

/// Makes a time of what a provider told; one before 1970 or after 9999 is none of its.
pub(crate) fn timestamp(seconds: i64, nanoseconds: i32) -> Timestamp {
    Timestamp::new(seconds, nanoseconds).unwrap_or_default()
}

/// Makes a size of what a provider told; a negative one is none.
pub(crate) fn size(length: Option<i64>) -> u64 {
    length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default()
}

/// Splits `SCHEME://BUCKET/PREFIX` into bucket and prefix; a prefix that is not empty ends with `/`.
pub(crate) fn split(url: &str, scheme: &str) -> Result<(String, String), Failure> {
    let rest = url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")).unwrap_or_default();
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(Failure::invalid(format!("it names no bucket; write `{scheme}://bucket/prefix`")));
    }
    let prefix = prefix.trim_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok((bucket.to_owned(), prefix))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_url_names_bucket_and_prefix() {
        let parts = |url| split(url, "s3").unwrap();
        assert_eq!(parts("s3://b"), ("b".to_owned(), String::new()));
        assert_eq!(parts("s3://b/"), ("b".to_owned(), String::new()));
        assert_eq!(parts("s3://b/mysql/prod/"), ("b".to_owned(), "mysql/prod/".to_owned()));
        assert!(split("s3:///x", "s3").is_err());
        assert!(split("s3://b", "gs").is_err());
    }
}
