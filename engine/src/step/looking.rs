//! What preflights of every domain look at alike, so that one fault is told once: a store that can't be written.

use std::sync::Arc;

use super::{PreflightContext, Problem, StepError};
use crate::host::{ObjectStore, StoreError, StoreErrorKind};
use crate::id::StoreName;

impl PreflightContext {
    /// As [`PreflightContext::writable_store`], for a step that also reads what lies there, if only to prove it.
    ///
    /// # Errors
    /// The finding, which blames the parameter at `pointer`.
    pub async fn writable_and_readable_store(
        &self,
        name: &StoreName,
        pointer: &'static str,
    ) -> Result<Arc<dyn ObjectStore>, Problem> {
        let store = self.writable_store(name, pointer).await?;
        match store.check_readable() {
            Ok(()) => Ok(store),
            Err(error) => Err(Problem::no_key(name, &error, pointer)),
        }
    }

    /// Opens a store and proves that it can be written, leaving nothing behind.
    ///
    /// # Errors
    /// The finding, which blames the parameter at `pointer`.
    pub async fn writable_store(
        &self,
        name: &StoreName,
        pointer: &'static str,
    ) -> Result<Arc<dyn ObjectStore>, Problem> {
        let store = self.step.store(name).await.map_err(|error| Problem::unusable_store(error, pointer))?;
        match store.check_writable().await {
            Ok(()) => Ok(store),
            Err(error) => Err(Problem {
                code: "rekindle::store::not_writable",
                message: format!("the store `{name}` can't be written: {error}"),
                help: Some(Problem::help_with_store(&error)),
                pointer: Some(pointer),
            }),
        }
    }
}

impl Problem {
    /// Makes the finding that a store can't be opened.
    pub fn unusable_store(error: StepError, pointer: &'static str) -> Self {
        Self {
            code: "rekindle::store::unusable",
            message: error.message,
            help: error.help,
            pointer: Some(pointer),
        }
    }

    /// Makes the finding that a store has no key for what lies there.
    pub fn no_key(name: &StoreName, error: &StoreError, pointer: &'static str) -> Self {
        Self {
            code: "rekindle::store::no_key",
            message: format!("the store `{name}` can't be read: {error}"),
            help: Some(
                "write `identity: { secret: NAME }` there, and declare the secret that holds a key of age"
                    .to_owned(),
            ),
            pointer: Some(pointer),
        }
    }

    /// Says what to do about a store that does not do what it should.
    pub fn help_with_store(error: &StoreError) -> String {
        match error.kind {
            StoreErrorKind::Full => {
                "free space there, or name another place under `stores:` in the environment"
            }
            StoreErrorKind::Denied => "let the user that runs rekindle write there, or name another place",
            StoreErrorKind::NotFound
            | StoreErrorKind::AlreadyExists
            | StoreErrorKind::Changed
            | StoreErrorKind::Archived
            | StoreErrorKind::Unavailable
            | StoreErrorKind::Corrupt
            | StoreErrorKind::Source
            | StoreErrorKind::Invalid => {
                "check the store's `url:` in the environment, and that it is mounted"
            }
        }
        .to_owned()
    }
}
