//! `rekindle plugin list|test`

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use rekindle_external::{Conformance, Found, Verdict, conformance};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{output, world};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the plugins on the plugin path, with versions and digests
    List(ListArgs),
    /// Test whether a plugin keeps to the protocol: runs its examples for real
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct TestArgs {
    /// The plugin: a file named rekindle-step-KIND
    path: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn plugin(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        // Every plugin is asked, one after the other, within its limit.
        Command::List(args) => tokio::task::block_in_place(|| list(args)),
        Command::Test(args) => test(args).await,
    }
}

fn list(args: &ListArgs) -> Result<Exit, Failure> {
    let registry = world::registry();
    let rows: Vec<Row<'_>> = world::plugins().iter().map(|found| Row::new(found, &registry)).collect();
    if args.json {
        output::json(&rows.iter().map(Row::as_json).collect::<Vec<_>>())?;
    } else if rows.is_empty() {
        output::error(
            "there are no plugins: put `rekindle-step-NAME` into plugins/, or name folders with --plugin-path\n",
        );
    } else {
        output::print(&rows.iter().map(Row::text).collect::<String>());
    }
    Ok(if rows.iter().any(|row| row.usable.is_err()) { Exit::Failed } else { Exit::Done })
}

/// A plugin, and what it says of itself or what is wrong with it.
struct Row<'a> {
    found: &'a Found,
    usable: Result<Usable, String>,
}

struct Usable {
    version: String,
    digest: String,
    summary: String,
}

impl<'a> Row<'a> {
    fn new(found: &'a Found, registry: &rekindle_engine::step::Registry) -> Self {
        let usable = match (&found.ignored, registry.get(&found.kind)) {
            (Some(why), _) => Err(why.clone()),
            (None, Some(step)) => Ok(Usable {
                version: step.info().version.clone(),
                digest: step.info().digest.clone().unwrap_or_default(),
                summary: step.info().summary.clone(),
            }),
            (None, None) => Err(registry
                .refusal(&found.kind)
                .map_or_else(|| "it is not known".to_owned(), |problem| problem.message.clone())),
        };
        Self { found, usable }
    }

    fn text(&self) -> String {
        let Found { kind, path, .. } = self.found;
        let mut text = format!("{kind}\n  {}\n", path.display());
        let _ = match &self.usable {
            Ok(Usable { version, digest, summary }) => {
                writeln!(text, "  {version}, sha256 {digest}\n  {summary}")
            }
            Err(why) => writeln!(text, "  not used: {why}"),
        };
        text
    }

    fn as_json(&self) -> Value {
        let Found { kind, path, .. } = self.found;
        match &self.usable {
            Ok(Usable { version, digest, summary }) => {
                json!({ "kind": kind, "path": path, "version": version, "digest": digest, "summary": summary })
            }
            Err(why) => json!({ "kind": kind, "path": path, "problem": why }),
        }
    }
}

async fn test(args: &TestArgs) -> Result<Exit, Failure> {
    let world = world::world()?;
    let found = conformance(&args.path, Arc::clone(&world.processes), Arc::clone(&world.clock))
        .await
        .map_err(|why| Failure::input(format!("{} is no plugin: {why}", args.path.display())))?;
    if args.json {
        output::json(&conformance_json(&found))?;
    } else {
        output::print(&conformance_text(&found));
    }
    Ok(if found.is_kept() { Exit::Done } else { Exit::Failed })
}

fn conformance_text(found: &Conformance) -> String {
    let mut text = format!("{} {}\n", found.kind, found.version);
    let width = found.checked.iter().map(|checked| checked.rule.chars().count()).max().unwrap_or(0);
    for checked in &found.checked {
        let (word, why) = words(&checked.verdict);
        let line = format!("  {word:8}{:width$}  {why}", checked.rule);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let broken = found.checked.iter().filter(|checked| matches!(checked.verdict, Verdict::Broken(_))).count();
    let _ = match broken {
        0 => writeln!(text, "it keeps to the protocol"),
        1 => writeln!(text, "1 rule is broken; docs/plugins.md describes the protocol"),
        _ => writeln!(text, "{broken} rules are broken; docs/plugins.md describes the protocol"),
    };
    text
}

fn conformance_json(found: &Conformance) -> Value {
    let rules: Vec<_> = found
        .checked
        .iter()
        .map(|checked| {
            let (word, why) = words(&checked.verdict);
            json!({ "rule": checked.rule, "verdict": word, "why": why })
        })
        .collect();
    json!({ "kind": found.kind, "version": found.version, "kept": found.is_kept(), "rules": rules })
}

fn words(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Verdict::Kept => ("ok", ""),
        Verdict::Broken(why) => ("broken", why),
        Verdict::Skipped(why) => ("skipped", why),
    }
}
