//! The demo's story: back up, lose the primary, recover, lose the runner, resume, compare.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use mysql_async::prelude::Queryable as _;
use serde_json::Value;

use super::cluster::{Place, Server};
use super::evidence::{self, Evidence};
use super::{data, program::Program};

/// Tells it.
pub(super) async fn tell(program: &Program, place: &Place) -> Result<()> {
    let dir = &place.dir;
    heading("1. A primary with a replica, and data in them");
    program.run(dir, &["sandbox", "up", ".", "--replicas", "1", "--password-file", "password"])?;
    let replica = place.server(program, "replica-0")?;
    let before = load(&place.server(program, "primary")?, &replica).await?;

    heading("2. The backup: first what it would do, then done");
    program.run(dir, &["plan", "backup", "-e", "sandbox"])?;
    program.run(dir, &["run", "backup", "-e", "sandbox", "--yes"])?;
    program.run(dir, &["backups", "list", "-e", "sandbox"])?;

    heading("3. The disaster: the primary is killed and its data deleted");
    let disaster = destroy(&place.server(program, "primary")?)?;

    heading("4. The recovery: first what it would do, then done, and its runner killed half way");
    // The replica outlives the primary; here it is given up and loaded anew from the backup.
    let recovery = ["disaster-recovery", "-e", "sandbox", "--set", "reseed_replicas=true"];
    program.run(dir, &[&["plan"][..], &recovery].concat())?;
    let args = [&["run"][..], &recovery, &["--yes", "--log-format", "json"]].concat();
    let run = program.run_until_killed(dir, &args, half_restored)?;
    say(&format!(
        "kill -9 of the runner while it loads the primary; its journal says that run {run} is under way"
    ));
    program.run(dir, &["resume", &run])?;
    let recovered = disaster.elapsed();

    heading("5. The proof");
    prove(&place.server(program, "primary")?, &replica, &before).await?;
    program.run(dir, &["runs", "report", &run])?;
    tell_objectives(program, place, recovered)
}

async fn load(primary: &Server, replica: &Server) -> Result<Evidence> {
    let mut primary = primary.connect().await?;
    for statement in data::statements() {
        primary.query_drop(&statement).await.with_context(|| format!("failed to run {statement}"))?;
    }
    let rows: u64 = primary.query_first(data::COUNT_ROWS).await?.unwrap_or(0);
    ensure!(rows >= 200_000, "the demo's data have only {rows} rows");
    let evidence = evidence::collect(&mut primary).await?;
    wait_equal(replica, &evidence)
        .await
        .context("the replica does not follow the primary before the disaster")?;
    say(&format!(
        "loaded {rows} rows with a view, triggers, a routine, an event and foreign keys; the replica has them"
    ));
    Ok(evidence)
}

fn destroy(primary: &Server) -> Result<Instant> {
    let pid = rustix::process::Pid::from_raw(primary.pid).context("a pid")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    let disaster = Instant::now();
    let lives =
        || fs::read_to_string(format!("/proc/{}/stat", primary.pid)).is_ok_and(|stat| !stat.contains(") Z "));
    while lives() {
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::remove_dir_all(&primary.directory)?;
    command_line(&format!("kill -9 {}; rm -r servers/primary", primary.pid));
    Ok(disaster)
}

/// Tells whether the restore of the primary is half way.
fn half_restored(message: &Value) -> bool {
    let Some(progress) = message.get("progress") else { return false };
    let number = |name: &str| progress.get(name).and_then(Value::as_u64).unwrap_or(0);
    progress.get("step").and_then(Value::as_str) == Some("restore")
        && number("bytes") * 2 > number("total_bytes").max(1)
}

async fn prove(primary: &Server, replica: &Server, before: &Evidence) -> Result<()> {
    let mut primary = primary.connect().await?;
    let differences = evidence::differences(before, &evidence::collect(&mut primary).await?);
    if !differences.is_empty() {
        bail!("the primary is not what it was:\n{}", differences.join("\n"));
    }
    say(&format!(
        "primary: all {} tables, columns and objects are equal to before the disaster",
        before.len()
    ));
    wait_equal(replica, before).await?;
    say("replica: equal as well");
    primary.query_drop("CALL shop.close_day('2026-11-22')").await?;
    let after = evidence::collect(&mut primary).await?;
    ensure!(after != *before, "a new row changes nothing");
    wait_equal(replica, &after).await.context("the replica does not follow the new primary")?;
    say("replica: a row written to the new primary has arrived");
    Ok(())
}

async fn wait_equal(replica: &Server, wanted: &Evidence) -> Result<()> {
    let mut replica = replica.connect().await?;
    let started = Instant::now();
    loop {
        let differences = evidence::differences(wanted, &evidence::collect(&mut replica).await?);
        if differences.is_empty() {
            return Ok(());
        }
        if started.elapsed() > Duration::from_mins(1) {
            bail!("the replica differs:\n{}", differences.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn tell_objectives(program: &Program, place: &Place, recovered: Duration) -> Result<()> {
    let listed = program.capture(&place.dir, &["backups", "list", "-e", "sandbox", "--json"])?;
    let listed: Value = serde_json::from_str(&listed)?;
    let point = listed
        .pointer("/0/recovery_point")
        .and_then(Value::as_str)
        .context("the backup has no recovery point")?;
    say(&format!(
        "RTO achieved: {:.1} s from the kill to the proven cluster, the runner's own death included (objective 1 h)\n\
         RPO achieved: everything up to {point} is back (objective 15 min)",
        recovered.as_secs_f64()
    ));
    Ok(())
}

/// Says something in the story's own voice.
pub(super) fn say(text: &str) {
    println!("  {}", text.replace('\n', "\n  "));
}

/// Shows the command line that comes next.
pub(super) fn command(args: &[&str]) {
    command_line(&format!("rekindle {}", args.join(" ")));
}

fn command_line(text: &str) {
    println!("\n$ {text}");
}

fn heading(text: &str) {
    println!("\n── {text} {}", "─".repeat(90_usize.saturating_sub(text.chars().count())));
}
