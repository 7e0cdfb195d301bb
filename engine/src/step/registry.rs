//! The step kinds a program knows: one explicit list per crate.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use schemars::Schema;

use super::{Effect, ErasedStep, Problem, Step, erased::Adapter};

/// What is known of a kind without running it.
#[derive(Debug, Clone)]
pub struct KindInfo {
    /// The name.
    pub kind: String,
    /// One sentence.
    pub summary: String,
    /// The version of what carries it out: of this program, or of an external kind's executable.
    pub version: String,
    /// sha256 (hex) of what carries it out, where that is a file of its own.
    pub digest: Option<String>,
    /// What it may do to the world.
    pub effect: Effect,
    /// Whether a runbook may declare another effect.
    pub effect_is_declared: bool,
    /// Whether it has a probe.
    pub probes: bool,
    /// JSON Schema of `with:`.
    pub params: Schema,
    /// JSON Schema of `steps.ID.outputs`.
    pub outputs: Schema,
}

/// Finds out about a kind when it is first asked for.
pub type Load = Box<dyn Fn() -> Result<Arc<dyn ErasedStep>, Problem> + Send + Sync>;

/// A kind of which only the name is known until somebody asks for it.
struct Lazy {
    load: Load,
    loaded: OnceLock<Result<Arc<dyn ErasedStep>, Problem>>,
}

impl Lazy {
    fn get(&self) -> &Result<Arc<dyn ErasedStep>, Problem> {
        self.loaded.get_or_init(|| (self.load)())
    }
}

#[derive(Clone)]
enum Entry {
    Known(Arc<dyn ErasedStep>),
    Lazy(Arc<Lazy>),
}

impl Entry {
    fn get(&self) -> Result<&Arc<dyn ErasedStep>, &Problem> {
        match self {
            Self::Known(step) => Ok(step),
            Self::Lazy(lazy) => lazy.get().as_ref(),
        }
    }
}

/// Step kinds by name. Cheap to clone; clones share what was loaded.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<String, Entry>,
}

impl Registry {
    /// Adds a kind; a second one of the same name is a programming error and replaces the first.
    pub fn register<S: Step>(&mut self, step: S) {
        self.register_erased(Arc::new(Adapter::new(step)));
    }

    /// Adds an already erased kind.
    pub fn register_erased(&mut self, step: Arc<dyn ErasedStep>) {
        self.kinds.insert(step.info().kind.clone(), Entry::Known(step));
    }

    /// Adds a kind that costs something to find out about: `load` is called once, when somebody asks for it. It
    /// replaces another kind of that name.
    pub fn register_lazy(&mut self, kind: String, load: Load) {
        self.kinds.insert(kind, Entry::Lazy(Arc::new(Lazy { load, loaded: OnceLock::new() })));
    }

    /// Finds a kind; one that can't be loaded is none, and [`Registry::refusal`] says why.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn ErasedStep>> {
        self.kinds.get(kind)?.get().ok()
    }

    /// Says why a kind that has been registered is not to be had.
    pub fn refusal(&self, kind: &str) -> Option<&Problem> {
        self.kinds.get(kind)?.get().err()
    }

    /// Lists all kinds by name, and loads them; those that can't be loaded are left out.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<dyn ErasedStep>> {
        self.kinds.values().filter_map(|entry| entry.get().ok())
    }

    /// Lists the names of all kinds, without loading any.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::testing::ScriptedStep;

    fn problem() -> Problem {
        Problem { code: "rekindle::test::no", message: "it is broken".to_owned(), help: None, pointer: None }
    }

    #[test]
    fn a_lazy_kind_is_loaded_once_and_only_when_it_is_asked_for() {
        static LOADED: AtomicU32 = AtomicU32::new(0);
        let mut known = Registry::default();
        ScriptedStep::new("fake.find", Effect::Read).register(&mut known);
        let mut registry = Registry::default();
        registry.register_lazy(
            "fake.find".to_owned(),
            Box::new(move || {
                LOADED.fetch_add(1, Ordering::SeqCst);
                known.get("fake.find").cloned().ok_or_else(problem)
            }),
        );
        let clone = registry.clone();
        assert_eq!(registry.names().collect::<Vec<_>>(), ["fake.find"]);
        assert_eq!(LOADED.load(Ordering::SeqCst), 0);
        assert!(registry.get("fake.find").is_some() && clone.get("fake.find").is_some());
        assert_eq!(LOADED.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_kind_that_cannot_be_loaded_is_none_and_says_why() {
        let mut registry = Registry::default();
        registry.register_lazy("acme.notify".to_owned(), Box::new(|| Err(problem())));
        assert!(registry.get("acme.notify").is_none());
        assert_eq!(registry.refusal("acme.notify"), Some(&problem()));
        assert_eq!(registry.refusal("acme.other"), None);
        assert_eq!(registry.kinds().count(), 0);
    }
}
