//! A stream whose length nobody knows beforehand, as a dump is, of 1 GiB into a bucket.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::measure::measure;
use super::servers::Programs;
use super::transfers::{self, SIZE_MIB};

pub(super) fn streams(programs: &Programs) -> Result<()> {
    println!("\n1 GiB of unknown length, encrypted on its way");
    let s3 = programs.serve("s3")?;
    into(programs, "S3", &transfers::store_of_s3(&s3))?;
    drop(s3);
    let gcs = programs.serve("gcs")?;
    into(programs, "Google Cloud Storage", &transfers::store_of_gcs(&gcs))
}

fn into(programs: &Programs, title: &str, store: &str) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("rekindle-bench-").tempdir()?;
    let recipient = make_key(folder.path())?;
    let encrypt = format!("encrypt: {{ recipients: [{recipient}], identity: {{ secret: key }} }}");
    transfers::prepare(folder.path(), &format!("{store}, {encrypt}"))?;
    let environment = folder.path().join("environments/bench.yaml");
    let declared = std::fs::read_to_string(&environment)?;
    std::fs::write(&environment, format!("{declared}secrets: {{ key: {{ file: key }} }}\n"))?;
    let args = ["run", "up", "-e", "bench", "--yes", "--set", "key=stream"];
    let took = measure(&mut programs.rekindle(folder.path(), &args))?;
    let rate = SIZE_MIB / took.seconds;
    println!("  {title:22} {rate:4.0} MiB/s  {:4.0} MiB of memory", took.peak_mib);
    Ok(())
}

/// Makes a key of age, and gives its public half: what is encrypted is a stream without a length.
fn make_key(folder: &Path) -> Result<String> {
    let file = folder.join("key");
    let made = Command::new("age-keygen").arg("-o").arg(&file).stderr(Stdio::null()).status();
    if !made.context("failed to run age-keygen")?.success() {
        bail!("age-keygen made no key");
    }
    let text = std::fs::read_to_string(&file)?;
    let public = text.lines().find_map(|line| line.strip_prefix("# public key: "));
    Ok(public.context("age-keygen told no public key")?.to_owned())
}
