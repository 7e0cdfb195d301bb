//! The step kinds a program knows: one explicit list per crate.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use schemars::Schema;

use super::{Effect, ErasedStep, Problem, Step, erased::Adapter};
use crate::composite::{Composite, Gather};
use crate::diagnostic::Diagnostic;
use crate::plan::{Plan, PlanStep};

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
    composites: BTreeMap<String, Result<Arc<Composite>, Arc<[Diagnostic]>>>,
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

    /// Adds the steps of a composite whose kind has been registered.
    pub(crate) fn add_composite(&mut self, composite: Arc<Composite>) {
        self.composites.insert(composite.name.value.clone(), Ok(composite));
    }

    /// Keeps what is wrong with a composite until something uses it.
    pub(crate) fn refuse_composite(&mut self, name: String, mistakes: Vec<Diagnostic>) {
        self.composites.insert(name, Err(mistakes.into()));
    }

    /// Finds the steps behind a kind that is a composite.
    pub fn composite(&self, kind: &str) -> Option<&Arc<Composite>> {
        self.composites.get(kind)?.as_ref().ok()
    }

    /// Gives what is wrong with a composite that can't be used.
    pub fn composite_refusal(&self, kind: &str) -> Option<&[Diagnostic]> {
        self.composites.get(kind)?.as_ref().err().map(AsRef::as_ref)
    }

    /// Lists the composites that can't be used, with their mistakes.
    pub fn refused_composites(&self) -> impl Iterator<Item = (&str, &[Diagnostic])> {
        self.composites
            .iter()
            .filter_map(|(name, found)| Some((name.as_str(), found.as_ref().err()?.as_ref())))
    }

    /// Finds the kind that carries a step of a plan out. The end of a group needs none of a composite's file: a run
    /// goes on with the steps that were planned.
    pub fn carrying_out(&self, plan: &Plan, step: &PlanStep) -> Option<Arc<dyn ErasedStep>> {
        match plan.groups.get(&step.id) {
            Some(group) if step.ends_group() => {
                Some(Arc::new(Gather::any(&group.kind, &group.version, &group.sha256)))
            }
            _ => self.get(&step.kind).map(Arc::clone),
        }
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
