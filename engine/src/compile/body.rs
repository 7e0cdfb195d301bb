//! Lists of steps that see each other: those of the runbook, and those of each composite it uses. What needs no
//! rendering is checked once here, however often a composite is used.

use std::collections::{BTreeSet, HashMap};

use crate::composite::Composite;
use crate::plan::Section;
use crate::runbook::{Doubtful, Runbook, ValueDeclaration};
use crate::step::Registry;

use super::draft::{Draft, Drafts, Tree};
use super::edges::{self, Link};
use super::report::Report;
use super::{CompileInput, cycle, draft, kinds, parameters, references};

/// A composite that is used has no mistakes in its shape.
static NOTHING: Doubtful = Doubtful { steps: BTreeSet::new(), values: BTreeSet::new() };

/// Whose steps they are.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    Runbook(&'a Runbook),
    Composite(&'a Composite),
}

impl<'a> Owner<'a> {
    pub(super) fn values(self) -> &'a [ValueDeclaration] {
        match self {
            Self::Runbook(runbook) => &runbook.values,
            Self::Composite(composite) => &composite.values,
        }
    }
}

/// Checked steps.
pub(super) struct Body<'a> {
    pub(super) drafts: Drafts<'a>,
    /// What each waits for, by its position in `drafts`.
    pub(super) links: Vec<Vec<Link>>,
    /// Whether no step waits for itself.
    pub(super) ordered: bool,
}

/// Those of a composite.
pub(super) struct Inner<'a> {
    pub(super) composite: &'a Composite,
    pub(super) body: Body<'a>,
    /// Its `outputs:` as the parameters of the step that ends the group.
    pub(super) end: Draft<'a>,
}

pub(super) struct Bodies<'a> {
    pub(super) runbook: Body<'a>,
    pub(super) composites: HashMap<&'a str, Inner<'a>>,
}

impl<'a> Bodies<'a> {
    /// Checks the runbook with its `concurrency.group`, then every composite that it uses, near or far.
    pub(super) fn check(
        input: &CompileInput<'a>,
        doubtful: &'a Doubtful,
        group: Option<&Tree<'_>>,
        report: &mut Report,
    ) -> Self {
        let (runbook, registry) = (input.runbook, input.registry);
        let sections = [
            (Section::Main, runbook.steps.as_slice()),
            (Section::OnFailure, runbook.on_failure.as_slice()),
            (Section::Finally, runbook.finally.as_slice()),
        ];
        let mut drafts = Drafts::read(&sections, registry, doubtful, report);
        let mut open = used(&drafts);
        kinds::check(&drafts, registry, report);
        references::check(&mut drafts, Owner::Runbook(runbook), report);
        references::check_group(&drafts, Owner::Runbook(runbook), group, report);
        let runbook = finish(drafts, report);
        let mut composites = HashMap::new();
        while let Some(composite) = open.pop() {
            if composites.contains_key(composite.name.value.as_str()) {
                continue;
            }
            let inner = read(composite, registry, report);
            open.extend(used(&inner.body.drafts));
            composites.insert(composite.name.value.as_str(), inner);
        }
        Self { runbook, composites }
    }

    /// Says whether the composites can be put into the plan.
    pub(super) fn are_composites_ordered(&self) -> bool {
        self.composites.values().all(|inner| inner.body.ordered)
    }
}

fn used<'a>(drafts: &Drafts<'a>) -> Vec<&'a Composite> {
    // The last is taken first: reversed, mistakes come in the order of use.
    drafts.all.iter().rev().filter_map(|draft| draft.composite).collect()
}

fn read<'a>(composite: &'a Composite, registry: &'a Registry, report: &mut Report) -> Inner<'a> {
    let mut drafts = Drafts::read(&[(Section::Main, composite.steps.as_slice())], registry, &NOTHING, report);
    kinds::check(&drafts, registry, report);
    references::check(&mut drafts, Owner::Composite(composite), report);
    let mut end = draft::read(&composite.end, Section::Main, registry, &NOTHING, report);
    references::check_end(&drafts, &mut end, composite, report);
    Inner { composite, body: finish(drafts, report), end }
}

fn finish<'a>(drafts: Drafts<'a>, report: &mut Report) -> Body<'a> {
    parameters::check(&drafts, report);
    let links = edges::connect(&drafts, report);
    let ordered = cycle::check(&drafts, &links, report);
    Body { drafts, links, ordered }
}
