//! The commit that a runbook's file is of, asked of `git` where there is one.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rekindle_engine::host::{CommandSpec, Processes, TerminateReason, World};
use rekindle_engine::journal::SourceCommit;
use rekindle_engine::plan::{Plan, SourceRole};

/// A repository on a network that is down must not keep a recovery from starting.
const LIMIT: Duration = Duration::from_secs(3);
/// More than git ever says here.
const OUTPUT_BYTES: u64 = 64 * 1024;

/// Finds the commit of the plan's runbook. Nothing when it stands in no work tree, or git can't tell in time.
pub(crate) async fn of(plan: &Plan, world: &World) -> Option<SourceCommit> {
    let source = plan.origin.sources.iter().find(|source| source.role == SourceRole::Runbook)?;
    let file = std::fs::canonicalize(&source.name).ok()?;
    let folder = file.parent()?.to_owned();
    world.processes.find("git")?;
    let id = git(world, &folder, &["rev-parse", "--verify", "HEAD"], None).await?;
    let known = git(world, &folder, &["ls-files", "--error-unmatch"], Some(&file)).await;
    let changes = git(world, &folder, &["status", "--porcelain"], Some(&file)).await?;
    Some(SourceCommit { id: id.trim().to_owned(), dirty: known.is_none() || !changes.trim().is_empty() })
}

async fn git(world: &World, folder: &Path, words: &[&str], file: Option<&PathBuf>) -> Option<String> {
    let mut spec = CommandSpec::new("git")
        // A repository's own configuration must not make us run programs or write its index.
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C"])
        .arg(folder)
        .args(words.iter().copied());
    if let Some(file) = file {
        spec = spec.arg("--").arg(file);
    }
    spec.env.push(("GIT_OPTIONAL_LOCKS".into(), "0".into()));
    let processes = Arc::clone(&world.processes);
    let (started, ended) = tokio::sync::oneshot::channel();
    let running = tokio::task::spawn_blocking(move || ask(processes.as_ref(), &spec, started));
    if let Ok(answer) = tokio::time::timeout(LIMIT, running).await {
        return answer.ok().flatten();
    }
    let terminate = ended.await.ok()?;
    tokio::task::spawn_blocking(move || terminate(TerminateReason::TimedOut, Duration::ZERO)).await.ok()?;
    None
}

type Terminator = Arc<dyn Fn(TerminateReason, Duration) + Send + Sync>;

fn ask(
    processes: &dyn Processes,
    spec: &CommandSpec,
    started: tokio::sync::oneshot::Sender<Terminator>,
) -> Option<String> {
    let mut child = processes.start(spec).ok()?;
    let _ = started.send(child.terminator());
    let mut said = String::new();
    child.take_stdout()?.take(OUTPUT_BYTES).read_to_string(&mut said).ok()?;
    child.wait().ok()?.success().then_some(said)
}
