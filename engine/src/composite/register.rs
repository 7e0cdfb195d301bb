//! Composites → a registry: each after those it uses, and none in a circle.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::step::Gather;
use super::{Composite, DEPTH_LIMIT, parse, schemas};
use crate::diagnostic::Diagnostic;
use crate::document::Source;
use crate::step::{Effect, ErasedStep, KindInfo, Registry};

/// Puts the composites of a project into a registry that has all other kinds already.
///
/// `files` are their texts by the name that the file has without `.yaml`, or why it can't be read. A composite that is wrong is kept with its
/// mistakes under that name: they are told when something uses it ([`Registry::refused_composites`] has them all).
pub fn register(registry: &mut Registry, files: Vec<(String, Result<Arc<Source>, String>)>) {
    let mut sound = BTreeMap::new();
    for (name, source) in files {
        let read = source.map_err(|why| vec![unreadable(&why)]).and_then(|source| parse(&source));
        match read.and_then(|composite| check_name(&name, composite, registry)) {
            Ok(composite) => {
                sound.insert(name, Arc::new(composite));
            }
            Err(mistakes) => registry.refuse_composite(name, mistakes),
        }
    }
    let mut order = Order { composites: &sound, depths: HashMap::new(), ready: Vec::new() };
    for name in sound.keys() {
        let _ = order.visit(name, &mut Vec::new());
    }
    let Order { ready, depths, .. } = order;
    for name in ready {
        let composite = &sound[name];
        match depths.get(name) {
            Some(Ok(_)) => {
                // Looks at the kinds that it uses, which may be programs: not before somebody asks.
                let (own, known) = (Arc::clone(composite), registry.clone());
                let load = move || Ok(Arc::new(Gather::of(info(&own, &known))) as Arc<dyn ErasedStep>);
                registry.register_lazy(name.to_owned(), Box::new(load));
                registry.add_composite(Arc::clone(composite));
            }
            Some(Err(mistake)) => registry.refuse_composite(name.to_owned(), vec![mistake.clone()]),
            None => {}
        }
    }
}

fn unreadable(why: &str) -> Diagnostic {
    Diagnostic::new("rekindle::composite::unreadable", why)
        .help("make the file readable, or remove it; nothing else defines this step kind")
}

fn check_name(file: &str, composite: Composite, registry: &Registry) -> Result<Composite, Vec<Diagnostic>> {
    let name = &composite.name;
    let diagnostic = if name.value != file {
        let message = format!("the step kind `{}` stands in a file for `{file}`", name.value);
        Diagnostic::new("rekindle::composite::file_name", message)
            .label(&name.location, "another name than the file's")
            .help(format!("rename the file to `{}.yaml`, or the kind to `{file}`", name.value))
    } else if registry.names().any(|known| known == file) {
        let message = format!("there is a step kind `{file}` already");
        Diagnostic::new("rekindle::composite::shadows", message)
            .label(&name.location, "taken")
            .help("choose another name: what comes with rekindle or as a plugin can't be replaced")
    } else {
        return Ok(composite);
    };
    Err(vec![diagnostic])
}

/// Puts composites behind those they use.
struct Order<'a> {
    composites: &'a BTreeMap<String, Arc<Composite>>,
    /// How many composites deep each is, itself included; or why that has no end.
    depths: HashMap<&'a str, Result<usize, Diagnostic>>,
    ready: Vec<&'a str>,
}

impl<'a> Order<'a> {
    /// Gives the depth of a composite; `open` are those that are being looked at.
    fn visit(&mut self, name: &'a str, open: &mut Vec<&'a str>) -> Result<usize, Diagnostic> {
        if let Some(known) = self.depths.get(name) {
            return known.clone();
        }
        open.push(name);
        let mut depth = Ok(1);
        for step in &self.composites[name].steps {
            let Some((used, _)) = self.composites.get_key_value(&step.uses.value) else { continue };
            let found = match open.iter().position(|other| *other == used.as_str()) {
                Some(start) => Err(cycle(&open[start..], step)),
                None => self.visit(used, open).and_then(|inner| deeper(inner, step)),
            };
            depth = match (depth, found) {
                (Ok(most), Ok(found)) => Ok(most.max(found)),
                (Err(first), _) | (Ok(_), Err(first)) => Err(first),
            };
        }
        open.pop();
        self.depths.insert(name, depth.clone());
        self.ready.push(name);
        depth
    }
}

fn cycle(round: &[&str], step: &crate::runbook::StepDefinition) -> Diagnostic {
    let names: Vec<&str> = round.iter().copied().chain([step.uses.value.as_str()]).collect();
    Diagnostic::new(
        "rekindle::composite::cycle",
        format!("a step kind can't be part of itself: {}", names.join(" → ")),
    )
    .label(&step.uses.location, "leads back")
    .help("take this step out, or let it use another kind")
}

fn deeper(inner: usize, step: &crate::runbook::StepDefinition) -> Result<usize, Diagnostic> {
    if inner < DEPTH_LIMIT {
        return Ok(inner + 1);
    }
    Err(Diagnostic::new(
        "rekindle::composite::too_deep",
        format!("more than {DEPTH_LIMIT} composite step kinds stand inside each other"),
    )
    .label(&step.uses.location, format!("this is the step kind that holds {inner} others"))
    .help("write some of the inner steps out"))
}

fn info(composite: &Composite, registry: &Registry) -> KindInfo {
    let effect = composite.steps.iter().map(|step| {
        let known = registry.get(&step.uses.value).map(|kind| kind.info());
        match (&step.effect, known) {
            (Some(declared), Some(info)) if info.effect_is_declared => declared.value,
            (_, Some(info)) => info.effect,
            // Compiling a use of it tells that there is no such kind.
            (_, None) => Effect::Read,
        }
    });
    KindInfo {
        kind: composite.name.value.clone(),
        summary: composite.summary.clone(),
        version: composite.version.to_string(),
        digest: Some(composite.sha256.clone()),
        effect: effect.max().unwrap_or(Effect::Read),
        effect_is_declared: false,
        probes: false,
        params: schemas::params(composite),
        outputs: schemas::outputs(composite, registry),
    }
}
