//! Preflights that all kinds here share: is the store there, and can it be written?

use rekindle_engine::host::{StoreError, StoreErrorKind};
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{Planned, Preflight, PreflightContext, Problem, StepError};

/// Gives the text at a JSON pointer when it is known.
pub(crate) fn known<P>(params: &Planned<P>, pointer: &str) -> Option<String> {
    params.value(pointer)?.as_str().map(str::to_owned)
}

/// Proves that the store whose name stands at `pointer` can be written; nothing when it is not known yet.
pub(crate) async fn writable<P>(
    params: &Planned<P>,
    pointer: &'static str,
    cx: &PreflightContext,
) -> Preflight {
    match known(params, pointer) {
        Some(name) => store_writable(&StoreName(name), pointer, cx).await,
        None => Preflight::default(),
    }
}

/// Proves that a store can be written.
pub(crate) async fn store_writable(
    name: &StoreName,
    pointer: &'static str,
    cx: &PreflightContext,
) -> Preflight {
    let store = match cx.step.store(name).await {
        Ok(store) => store,
        Err(error) => return Preflight::problem(unusable(error, pointer)),
    };
    match store.check_writable().await {
        Ok(()) => Preflight::default(),
        Err(error) => Preflight::problem(Problem {
            code: "rekindle::store::not_writable",
            message: format!("the store `{name}` can't be written: {error}"),
            help: Some(help(&error)),
            pointer: Some(pointer),
        }),
    }
}

/// Proves that a store is there and can be listed below a prefix.
pub(crate) async fn store_readable(
    name: &StoreName,
    prefix: &str,
    pointer: &'static str,
    cx: &PreflightContext,
) -> Preflight {
    let store = match cx.step.store(name).await {
        Ok(store) => store,
        Err(error) => return Preflight::problem(unusable(error, pointer)),
    };
    match store.list(prefix).await {
        Ok(_) => Preflight::default(),
        Err(error) => Preflight::problem(Problem {
            code: "rekindle::store::not_readable",
            message: format!("the store `{name}` can't be read: {error}"),
            help: Some(help(&error)),
            pointer: Some(pointer),
        }),
    }
}

pub(crate) fn unusable(error: StepError, pointer: &'static str) -> Problem {
    Problem {
        code: "rekindle::store::unusable",
        message: error.message,
        help: error.help,
        pointer: Some(pointer),
    }
}

fn help(error: &StoreError) -> String {
    match error.kind {
        StoreErrorKind::Full => "free space there, or name another place under `stores:` in the environment",
        StoreErrorKind::Denied => "let the user that runs rekindle write there, or name another place",
        StoreErrorKind::NotFound
        | StoreErrorKind::AlreadyExists
        | StoreErrorKind::Unavailable
        | StoreErrorKind::Corrupt
        | StoreErrorKind::Source
        | StoreErrorKind::Invalid => "check the store's `url:` in the environment, and that it is mounted",
    }
    .to_owned()
}
