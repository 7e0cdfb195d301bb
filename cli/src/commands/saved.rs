//! Plans in files: `plan -o FILE` writes one, `run FILE` runs exactly that one or says what has changed since.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rekindle_engine::compile::compile;
use rekindle_engine::diagnostic::Diagnostic;
use rekindle_engine::environment::{Environment, SavedPlan};
use rekindle_engine::host::{CommandSpec, World};
use rekindle_engine::plan::{self, Inputs, PinnedStep, Plan, PlanDiff, Style};
use rekindle_engine::preview;
use rekindle_engine::step::Registry;
use rekindle_engine::values::DurationText;
use serde_json::Value;

use super::plan::{Documents, What};
use crate::failure::Failure;
use crate::output;
use crate::project::{self, EnvironmentArg, ValueArgs};

/// A plan that was read from a file.
pub(crate) struct Saved {
    path: PathBuf,
    plan: Plan,
    inputs: Inputs,
}

/// Tells whether what `run` was given is a plan and not a runbook.
pub(crate) fn is_plan(name: &str) -> bool {
    let path = Path::new(name);
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) || holds_plan(path)
}

fn holds_plan(path: &Path) -> bool {
    let value = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    value.is_some_and(|value| value.get("format").is_some() && value.get("hash").is_some())
}

/// Writes a plan, whole or not at all. Replaces an older plan, and nothing else.
pub(crate) fn write(path: &Path, plan: &Plan) -> Result<(), Failure> {
    if path.exists() && !holds_plan(path) {
        let message = format!("{} is there already, and is no plan", path.display());
        return Err(Diagnostic::new("rekindle::plan::in_the_way", message)
            .help("write the plan to another file; only an older plan is ever replaced")
            .into());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        // Reviewers read it: it holds no secrets, so it gets the mode of any other file.
        let mut file =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        file.write_all(plan.to_json().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| Failure::input(format!("failed to write {}: {error}", path.display())))
}

impl Saved {
    /// Reads a plan and proves that it is as it was made.
    pub(crate) fn open(path: &str) -> Result<Self, Failure> {
        let path = PathBuf::from(path);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::input(format!("failed to read {}: {error}", path.display())))?;
        let plan = Plan::from_json(&text).map_err(|error| error.diagnostic(&path.display().to_string()))?;
        let Some(inputs) = plan.origin.inputs.clone() else {
            let message = format!("{} does not say what it was made from", path.display());
            return Err(Diagnostic::new("rekindle::plan::no_origin", message)
                .help("it is of an older version: plan again with `rekindle plan RUNBOOK -e ENV -o FILE`")
                .into());
        };
        Ok(Self { path, plan, inputs })
    }

    /// Refuses what can't be said of a plan that is made already.
    pub(crate) fn accept(&self, environment: Option<&str>, values: &ValueArgs) -> Result<(), Failure> {
        if !values.set.is_empty() || !values.values.is_empty() {
            let message = "a saved plan has its values already";
            return Err(Diagnostic::new("rekindle::plan::values_given", message)
                .help("leave out --set and --values, or plan again with them")
                .into());
        }
        let Some(given) = environment else { return Ok(()) };
        let file = |name: &str| {
            let path = project::environment_path(name).unwrap_or_else(|_| PathBuf::from(name));
            std::fs::canonicalize(&path).unwrap_or(path)
        };
        if file(given) == file(&self.inputs.environment) {
            return Ok(());
        }
        let planned = &self.inputs.environment;
        let message = format!("the plan was made for the environment `{planned}`, not for `{given}`");
        Err(Diagnostic::new("rekindle::plan::other_environment", message)
            .help("leave out -e (and REKINDLE_ENVIRONMENT), or plan again for the other environment")
            .into())
    }

    /// Makes the plan again from what is there now, and refuses it unless it comes out as the same plan.
    ///
    /// The result is the saved plan, hash and all, with the places in the documents that diagnostics point at.
    pub(crate) async fn check(&self, registry: &Registry, world: &World) -> Result<Plan, Failure> {
        self.find_sources()?;
        let what = self.what();
        let documents = Documents::read(&what).map_err(|failure| self.unsound(failure))?;
        let pinned = &self.plan.pinned;
        let mut again =
            compile(&documents.input(registry, pinned)).map_err(|mistakes| self.unsound(mistakes.into()))?;
        documents.note_origin(&what, &mut again)?;
        if again.hash != self.plan.hash {
            return Err(self.changed(&plan::diff(&self.plan, &again)));
        }
        self.check_age(world)?;
        if !pinned.is_empty() {
            self.look_again(&documents, registry, world).await?;
        }
        Ok(again)
    }

    fn what(&self) -> What {
        let Inputs { runbook, environment, values, set } = self.inputs.clone();
        What {
            runbook,
            environment: EnvironmentArg { environment },
            values: ValueArgs { set, values: values.into_iter().map(PathBuf::from).collect() },
        }
    }

    /// A plan that was carried elsewhere is told from one whose documents were edited.
    fn find_sources(&self) -> Result<(), Failure> {
        let shipped = |name: &str| name.ends_with(project::SHIPPED);
        let mut missing = self.plan.origin.sources.iter().map(|source| source.name.as_str());
        let Some(name) = missing.find(|name| !shipped(name) && !Path::new(name).is_file()) else {
            return Ok(());
        };
        let message = format!("the plan was made from {name}, and there is no such file here");
        Err(Diagnostic::new("rekindle::plan::source_missing", message)
            .help("run it in the directory in which it was made, or plan again here")
            .into())
    }

    /// What the plan was made from can't even be planned any more.
    fn unsound(&self, failure: Failure) -> Failure {
        let Failure::Mistakes(mistakes) = failure else { return failure };
        let changed: Vec<_> = self
            .plan
            .origin
            .sources
            .iter()
            .filter(|source| project::sha256(Path::new(&source.name)).is_some_and(|now| now != source.sha256))
            .map(|source| source.name.as_str())
            .collect();
        let why = if changed.is_empty() {
            "this version of rekindle does not take what it was made from".to_owned()
        } else {
            format!("{} changed since, and can't be planned", changed.join(", "))
        };
        let mut all = vec![self.no_longer_fits(&why)];
        all.extend(mistakes);
        all.into()
    }

    fn changed(&self, diff: &PlanDiff) -> Failure {
        let what = diff.text(style());
        let what = if what.is_empty() { "  something that this version does not know\n" } else { &what };
        output::error(&format!("changed since the plan was made:\n\n{what}\n"));
        self.no_longer_fits("what it was made from has changed since").into()
    }

    fn no_longer_fits(&self, why: &str) -> Diagnostic {
        let message = format!("{} does not fit any more: {why}", self.path.display());
        Diagnostic::new("rekindle::plan::changed", message)
            .help(format!("nothing was done; look at the changes, then plan again:\n{}", self.command()))
    }

    /// What to type to make the plan again.
    fn command(&self) -> String {
        let Inputs { runbook, environment, values, set } = &self.inputs;
        let mut command =
            CommandSpec::new("rekindle").args(["plan", runbook.as_str(), "-e", environment.as_str()]);
        for file in values {
            command = command.args(["--values", file.as_str()]);
        }
        for text in set {
            command = command.args(["--set", text.as_str()]);
        }
        command.arg("-o").arg(&self.path).display()
    }

    fn check_age(&self, world: &World) -> Result<(), Failure> {
        let limit = self.plan.settings.policy.max_age();
        let now = world.clock.now();
        let age = |step: &PinnedStep| {
            std::time::Duration::try_from(now.duration_since(step.at)).unwrap_or_default()
        };
        let Some(step) = self.plan.pinned.iter().find(|step| age(step) > limit) else { return Ok(()) };
        let age = DurationText(std::time::Duration::from_secs(age(step).as_secs()));
        let message = format!("what `{}` found while planning is {age} old", step.id);
        let limit = DurationText(limit);
        Err(Diagnostic::new("rekindle::plan::stale", message)
            .help(format!(
                "it may be {limit} old (`policy.saved_plan_max_age` of the environment); plan again:\n{}",
                self.command()
            ))
            .into())
    }

    /// Looks up what was found while planning once more: a backup may be gone, or a newer one be the latest.
    async fn look_again(
        &self,
        documents: &Documents,
        registry: &Registry,
        world: &World,
    ) -> Result<(), Failure> {
        let otherwise = |message: &str| {
            Diagnostic::new("rekindle::plan::found_otherwise", message)
                .help(format!("nothing was done; plan again:\n{}", self.command()))
        };
        let fresh = match preview::prepare(&documents.input(registry, &[]), world).await {
            Ok(prepared) => prepared.plan,
            Err(error) => {
                let mut all = vec![otherwise("what was found while planning can't be found any more")];
                all.extend(error.diagnostics().iter().cloned());
                return Err(all.into());
            }
        };
        let pinned = preview::found_otherwise(&self.plan.pinned, &fresh.pinned, registry);
        if pinned.is_empty() {
            return Ok(());
        }
        let diff = PlanDiff { pinned, ..PlanDiff::default() };
        output::error(&format!("changed since the plan was made:\n\n{}\n", diff.text(style())));
        Err(otherwise("something else is found now than when the plan was made").into())
    }
}

fn style() -> Style {
    if output::error_colours() { Style::Ansi } else { Style::Plain }
}

/// Refuses to run a runbook where only saved plans may be run.
pub(crate) fn refuse_unsaved(what: &What, environment: &Environment) -> Result<(), Failure> {
    match environment.settings.policy.saved_plan {
        SavedPlan::Optional => return Ok(()),
        SavedPlan::Required => {}
    }
    let message = format!("the environment `{}` wants a saved plan", environment.settings.name);
    let name = &what.environment.environment;
    Err(Diagnostic::new("rekindle::plan::not_saved", message)
        .help(format!(
            "its `policy.saved_plan` is `required`:\nrekindle plan {} -e {name} -o plan.json\nand, once it was looked at:\nrekindle run plan.json",
            what.runbook
        ))
        .into())
}
