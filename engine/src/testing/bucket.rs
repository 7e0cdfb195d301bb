//! A bucket in memory, for step kinds that look after buckets.

use std::sync::Mutex;

use async_trait::async_trait;

use super::locked;
use crate::environment::Provider;
use crate::host::{Bucket, BucketChange, BucketFacts, LifecycleRule, Setting, StoreError, StoreErrorKind};

struct State {
    provider: Option<Provider>,
    prefix: String,
    facts: Option<BucketFacts>,
    rules: Vec<LifecycleRule>,
    changes: u32,
    /// What the next change fails with.
    fault: Option<StoreErrorKind>,
    /// Changes are taken without an error, and forgotten.
    forgetful: bool,
}

/// A bucket that a [`super::MemoryStore`] lies in. There from the beginning, with everything switched on.
pub struct MemoryBucket {
    state: Mutex<State>,
}

impl Default for MemoryBucket {
    fn default() -> Self {
        let facts = BucketFacts {
            location: Some("eu-central-1".to_owned()),
            versioning: Setting::On,
            public_access_blocked: Setting::On,
        };
        Self {
            state: Mutex::new(State {
                provider: Some(Provider::S3),
                prefix: "mysql/".to_owned(),
                facts: Some(facts),
                rules: Vec::new(),
                changes: 0,
                fault: None,
                forgetful: false,
            }),
        }
    }
}

impl MemoryBucket {
    /// Sets whose rules it takes, and where in it the store lies.
    pub fn set_place(&self, provider: Option<Provider>, prefix: &str) {
        let mut state = locked(&self.state);
        state.provider = provider;
        prefix.clone_into(&mut state.prefix);
    }

    /// Sets how it is; `None` for none at all.
    pub fn set_facts(&self, facts: Option<BucketFacts>) {
        locked(&self.state).facts = facts;
    }

    /// Sets its rules, past everything.
    pub fn set_rules(&self, rules: Vec<LifecycleRule>) {
        locked(&self.state).rules = rules;
    }

    /// Gives its rules, past everything.
    pub fn rules(&self) -> Vec<LifecycleRule> {
        locked(&self.state).rules.clone()
    }

    /// Counts the changes that were asked for.
    pub fn changes(&self) -> u32 {
        locked(&self.state).changes
    }

    /// Makes the next change fail.
    pub fn fail(&self, kind: StoreErrorKind) {
        locked(&self.state).fault = Some(kind);
    }

    /// Takes changes without an error from now on, and forgets them.
    pub fn forget_changes(&self) {
        locked(&self.state).forgetful = true;
    }
}

fn error(kind: StoreErrorKind, operation: &'static str) -> StoreError {
    let why = "a fault of the test".to_owned();
    StoreError { kind, store: "memory".to_owned(), operation, key: String::new(), why }
}

#[async_trait]
impl Bucket for MemoryBucket {
    fn provider(&self) -> Option<Provider> {
        locked(&self.state).provider
    }

    fn name(&self) -> String {
        "the bucket `memory`".to_owned()
    }

    fn prefix(&self) -> String {
        locked(&self.state).prefix.clone()
    }

    async fn look(&self) -> Result<Option<BucketFacts>, StoreError> {
        Ok(locked(&self.state).facts.clone())
    }

    async fn change(&self, change: BucketChange) -> Result<(), StoreError> {
        let mut state = locked(&self.state);
        state.changes += 1;
        if let Some(kind) = state.fault.take() {
            return Err(error(kind, "change"));
        }
        if state.forgetful {
            return Ok(());
        }
        match (change, state.facts.as_mut()) {
            (BucketChange::Create, _) => {
                let (versioning, public_access_blocked) = (Setting::Off, Setting::Off);
                state.facts = Some(BucketFacts { location: None, versioning, public_access_blocked });
            }
            (_, None) => return Err(error(StoreErrorKind::Invalid, "change")),
            (BucketChange::KeepVersions, Some(facts)) => facts.versioning = Setting::On,
            (BucketChange::BlockPublicAccess, Some(facts)) => facts.public_access_blocked = Setting::On,
        }
        Ok(())
    }

    async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, StoreError> {
        let state = locked(&self.state);
        if state.facts.is_none() || state.provider.is_none() {
            return Err(error(StoreErrorKind::Invalid, "read"));
        }
        Ok(state.rules.clone())
    }

    async fn change_lifecycle(
        &self,
        remove: &[LifecycleRule],
        add: &[LifecycleRule],
    ) -> Result<(), StoreError> {
        let mut state = locked(&self.state);
        state.changes += 1;
        if let Some(kind) = state.fault.take() {
            return Err(error(kind, "change"));
        }
        if remove.iter().any(|rule| !state.rules.contains(rule)) {
            return Err(error(StoreErrorKind::Changed, "change"));
        }
        if !state.forgetful {
            state.rules.retain(|rule| !remove.contains(rule));
            state.rules.extend(add.iter().cloned());
        }
        Ok(())
    }
}
