//! What the answers of every provider have in common: hints by kind, and the words of an error's causes.

use std::error::Error;

use rekindle_engine::host::StoreErrorKind;

use crate::failure::Failure;

/// No answer came, or not in time.
pub(crate) fn unreachable_there(what: &str) -> Failure {
    let why =
        format!("no answer, after several tries ({what}); check the network, `endpoint:` and HTTPS_PROXY");
    Failure::new(StoreErrorKind::Unavailable, why)
}

/// Says what to do where an answer's code says no more than the kind.
pub(crate) fn hint_by_kind(kind: StoreErrorKind) -> Option<&'static str> {
    match kind {
        StoreErrorKind::Denied => {
            Some("the credentials lack a permission that a store needs: the guide lists them")
        }
        StoreErrorKind::Full => Some("free space there, or raise the quota"),
        StoreErrorKind::Unavailable => Some("it was tried several times: go on later"),
        StoreErrorKind::NotFound
        | StoreErrorKind::AlreadyExists
        | StoreErrorKind::Changed
        | StoreErrorKind::Archived
        | StoreErrorKind::Corrupt
        | StoreErrorKind::Source
        | StoreErrorKind::Invalid => None,
    }
}

/// Adds what to do to what happened.
pub(crate) fn with_hint(kind: StoreErrorKind, mut why: String, hint: Option<&str>) -> Failure {
    if let Some(hint) = hint.or_else(|| hint_by_kind(kind)) {
        why.push_str("; ");
        why.push_str(hint);
    }
    Failure::new(kind, why)
}

/// Words an answer by its message, its code and where both stand.
pub(crate) fn words_of(message: &str, code: &str, status: &str) -> String {
    match (code, message) {
        ("", "") => format!("the answer was {status}"),
        ("", message) => format!("{message} ({status})"),
        (code, "") => format!("{code} ({status})"),
        (code, message) => format!("{message} ({code}, {status})"),
    }
}

/// Joins an error with its causes, each said once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = error.source();
    }
    words
}
