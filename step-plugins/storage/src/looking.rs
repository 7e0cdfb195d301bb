//! Looks that all kinds here share: is the store there, can it be written, and is a change to be seen yet?

use std::time::Duration;

use rekindle_engine::id::StoreName;
use rekindle_engine::step::{Planned, Preflight, PreflightContext, Problem, StepContext, StepError};

/// How long to wait after each look at something that was changed and does not show it yet.
pub(crate) const READ_BACK_WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(8),
];

/// Waits, unless the step is to stop.
pub(crate) async fn wait(how_long: Duration, cx: &StepContext) -> Result<(), StepError> {
    tokio::select! {
        () = cx.cancel().cancelled() => Err(StepError::cancelled()),
        () = cx.world().clock.sleep(how_long) => Ok(()),
    }
}

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

/// Proves that a store can be written, and read: every kind here reads what lies there.
pub(crate) async fn store_writable(
    name: &StoreName,
    pointer: &'static str,
    cx: &PreflightContext,
) -> Preflight {
    match cx.writable_and_readable_store(name, pointer).await {
        Ok(_) => Preflight::default(),
        Err(problem) => Preflight::problem(problem),
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
        Err(error) => return Preflight::problem(Problem::unusable_store(error, pointer)),
    };
    if let Err(error) = store.check_readable() {
        return Preflight::problem(Problem::no_key(name, &error, pointer));
    }
    match store.list(prefix).await {
        Ok(_) => Preflight::default(),
        Err(error) => Preflight::problem(Problem {
            code: "rekindle::store::not_readable",
            message: format!("the store `{name}` can't be read: {error}"),
            help: Some(Problem::help_with_store(&error)),
            pointer: Some(pointer),
        }),
    }
}
