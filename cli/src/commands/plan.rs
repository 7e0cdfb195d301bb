//! `rekindle plan RUNBOOK -e ENV`

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rekindle_engine::compile::{CompileInput, UnknownTypes, unknown_types};
use rekindle_engine::environment::Environment;
use rekindle_engine::estimate::{self, Estimates};
use rekindle_engine::host::World;
use rekindle_engine::journal::Runs;
use rekindle_engine::plan::{self, Beside, Inputs, PinnedStep, Plan, Style};
use rekindle_engine::preview::{self, PrepareError, Preview};
use rekindle_engine::runbook::Runbook;
use rekindle_engine::step::Registry;
use rekindle_engine::values::Override;

use super::others::Others;
use super::{explain, saved};
use crate::exit::Exit;
use crate::failure::{self, Failure};
use crate::project::{self, EnvironmentArg, ValueArgs};
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) what: What,
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Format,
    /// Say which layers set this and which one wins, as `values.retention.keep_last`, `steps.restore.timeout` or
    /// `targets.primary.host` (repeatable); reads files only
    #[arg(long, value_name = "PATH")]
    explain: Vec<String>,
    /// Save the plan: `rekindle run FILE` runs exactly this, or says what has changed since
    #[arg(short, long, value_name = "FILE", conflicts_with = "explain")]
    output: Option<PathBuf>,
}

/// What to plan or run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct What {
    /// The runbook: a name or a path
    pub(crate) runbook: String,
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    #[command(flatten)]
    pub(crate) values: ValueArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The whole plan
    Json,
    /// Graphviz
    Dot,
    /// A Mermaid flow chart
    Mermaid,
    /// A picture in one file, for browsers
    Svg,
}

/// A plan with what was found while looking at the world.
pub(crate) struct Looked {
    pub(crate) plan: Plan,
    pub(crate) preview: Preview,
    pub(crate) estimates: Estimates,
    pub(crate) unknowns: UnknownTypes,
}

impl Looked {
    fn beside(&self) -> Beside<'_> {
        Beside {
            preview: Some(&self.preview),
            estimates: Some(&self.estimates),
            unknowns: Some(&self.unknowns),
        }
    }
}

pub(crate) async fn plan(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    if !args.explain.is_empty() {
        return explain(args);
    }
    let looked = look(&args.what, &world::registry(), &world::world()?, &Runs::new(state_dir)).await?;
    let exit = print(&looked, args.format);
    if let (Some(file), Exit::Done) = (&args.output, exit) {
        saved::write(file, &looked.plan)?;
        let file = file.display();
        output::error(&format!(
            "saved in {file}: plan {}\nto run exactly this: rekindle run {file}\n",
            looked.plan.hash
        ));
    }
    Ok(exit)
}

fn explain(args: &Args) -> Result<Exit, Failure> {
    let shown = match args.format {
        Format::Text => explain::As::Text,
        Format::Json => explain::As::Json,
        Format::Dot | Format::Mermaid | Format::Svg => {
            return Err(Failure::input("`--explain` is text, not a picture")
                .help("leave `--format` out, or write `--format json`"));
        }
    };
    explain::print(&args.what, &args.explain, shown)
}

/// Shows a plan for people.
pub(crate) fn show(looked: &Looked) -> Exit {
    print(looked, Format::Text)
}

fn print(looked: &Looked, format: Format) -> Exit {
    match format {
        Format::Text => output::line(as_text(looked).trim_end()),
        Format::Json => output::line(&plan::json(&looked.plan, looked.beside())),
        Format::Dot => output::print(&plan::dot(&looked.plan, looked.beside())),
        Format::Svg => output::print(&plan::svg(&looked.plan, looked.beside())),
        Format::Mermaid => output::print(&plan::mermaid(&looked.plan, looked.beside())),
    }
    if looked.preview.problems.is_empty() {
        return Exit::Done;
    }
    output::error(&failure::render(&looked.preview.problems));
    Exit::Input
}

/// Writes a plan as people read it.
pub(crate) fn as_text(looked: &Looked) -> String {
    let style = if output::colours() { Style::Ansi } else { Style::Plain };
    plan::text(&looked.plan, looked.beside(), style)
}

/// Compiles, looks at the world, read-only, and at what earlier runs took.
pub(crate) async fn look(
    what: &What,
    registry: &Registry,
    world: &World,
    runs: &Runs,
) -> Result<Looked, Failure> {
    Ok(see(make(what, registry, world).await?, registry, world, runs).await)
}

/// Compiles, with what plan-phase steps find.
pub(crate) async fn make(what: &What, registry: &Registry, world: &World) -> Result<Plan, Failure> {
    let documents = Documents::read(what)?;
    let prepared =
        preview::prepare(&documents.input(registry, &[]), world).await.map_err(|error| match error {
            PrepareError::Invalid(mistakes) | PrepareError::Lookup(mistakes) => Failure::from(mistakes),
        })?;
    for (step, warning) in &prepared.warnings {
        output::error(&format!("warning: {step}: {warning}\n"));
    }
    let mut plan = prepared.plan;
    documents.note_origin(what, &mut plan)?;
    Ok(plan)
}

/// Looks at the world, read-only, and at what earlier runs took.
pub(crate) async fn see(plan: Plan, registry: &Registry, world: &World, runs: &Runs) -> Looked {
    let preview = preview::preflight(&plan, registry, &Others::known_to(world, runs)).await;
    let estimates = estimate::estimate(&plan, &estimate::earlier(runs, &plan));
    let unknowns = unknown_types(&plan, registry);
    Looked { plan, preview, estimates, unknowns }
}

/// What the user named, read.
pub(crate) struct Documents {
    runbook: Runbook,
    environment: Environment,
    overrides: Vec<Override>,
}

impl Documents {
    /// Reads runbook, environment and values.
    pub(crate) fn read(what: &What) -> Result<Self, Failure> {
        let (runbook, environment) = load(what)?;
        Ok(Self { runbook, environment, overrides: what.values.read()? })
    }

    /// Gives what a plan is compiled from.
    pub(crate) fn input<'a>(&'a self, registry: &'a Registry, pinned: &'a [PinnedStep]) -> CompileInput<'a> {
        let Self { runbook, environment, overrides } = self;
        CompileInput { runbook, environment, overrides, registry, pinned }
    }

    /// Notes in a plan what was asked for, and what the files that it refers to hold now.
    pub(crate) fn note_origin(&self, what: &What, plan: &mut Plan) -> Result<(), Failure> {
        let inputs = Inputs {
            runbook: what.runbook.clone(),
            environment: what.environment.environment.clone(),
            values: what.values.values.iter().map(|path| path.display().to_string()).collect(),
            set: what.values.set.clone(),
        };
        let files = plan::referenced_files(plan, &self.runbook)?;
        plan.set_origin(inputs, files);
        Ok(())
    }
}

/// Reads runbook and environment, and complains about both at once.
pub(crate) fn load(what: &What) -> Result<(Runbook, Environment), Failure> {
    let project = project::load(&what.runbook, &what.environment)?;
    Ok((project.runbook, project.environment))
}
