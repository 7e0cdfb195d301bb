//! `rekindle plan RUNBOOK -e ENV`

use std::path::Path;

use clap::ValueEnum;
use rekindle_engine::compile::CompileInput;
use rekindle_engine::environment::Environment;
use rekindle_engine::estimate::{self, Estimates};
use rekindle_engine::host::World;
use rekindle_engine::journal::Runs;
use rekindle_engine::plan::{self, Beside, Plan, Style};
use rekindle_engine::preview::{self, PrepareError, Preview};
use rekindle_engine::step::Registry;

use super::explain;
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
}

impl Looked {
    fn beside(&self) -> Beside<'_> {
        Beside { preview: Some(&self.preview), estimates: Some(&self.estimates) }
    }
}

pub(crate) async fn plan(args: &Args, state_dir: &Path) -> Result<Exit, Failure> {
    if !args.explain.is_empty() {
        return explain(args);
    }
    print(&args.what, args.format, state_dir).await
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
pub(crate) async fn show(what: &What, state_dir: &Path) -> Result<Exit, Failure> {
    print(what, Format::Text, state_dir).await
}

async fn print(what: &What, format: Format, state_dir: &Path) -> Result<Exit, Failure> {
    let looked = look(what, &world::registry(), &world::world()?, &Runs::new(state_dir)).await?;
    match format {
        Format::Text => output::line(as_text(&looked).trim_end()),
        Format::Json => output::line(&plan::json(&looked.plan, looked.beside())),
        Format::Dot => output::print(&plan::dot(&looked.plan, looked.beside())),
        Format::Svg => output::print(&plan::svg(&looked.plan, looked.beside())),
        Format::Mermaid => output::print(&plan::mermaid(&looked.plan, looked.beside())),
    }
    if looked.preview.problems.is_empty() {
        return Ok(Exit::Done);
    }
    output::error(&failure::render(&looked.preview.problems));
    Ok(Exit::Input)
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
    let (runbook, environment) = load(what)?;
    let overrides = what.values.read()?;
    let input = CompileInput {
        runbook: &runbook,
        environment: &environment,
        overrides: &overrides,
        registry,
        pinned: &[],
    };
    let prepared = preview::prepare(&input, world).await.map_err(|error| match error {
        PrepareError::Invalid(mistakes) | PrepareError::Lookup(mistakes) => Failure::from(mistakes),
    })?;
    for (step, warning) in &prepared.warnings {
        output::error(&format!("warning: {step}: {warning}\n"));
    }
    let plan = prepared.plan;
    let preview = preview::preflight(&plan, registry, world).await;
    let estimates = estimate::estimate(&plan, &estimate::earlier(runs, &plan));
    Ok(Looked { plan, preview, estimates })
}

/// Reads runbook and environment, and complains about both at once.
pub(crate) fn load(what: &What) -> Result<(rekindle_engine::runbook::Runbook, Environment), Failure> {
    let project = project::load(&what.runbook, &what.environment)?;
    Ok((project.runbook, project.environment))
}
