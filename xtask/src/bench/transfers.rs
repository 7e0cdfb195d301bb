//! A file of 1 GiB to a store and back, beside the provider's own client.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::measure::{Measured, measure, spread};
use super::servers::{Programs, Server, with_credentials};
use crate::python::{AWS_CLI, GOOGLE_CLIENT};

const SIZE_BYTES: u64 = 1 << 30;
pub(super) const SIZE_MIB: f64 = 1024.0;

const UP: &str = r#"
version: 1.0.0
values: { key: { type: string } }
steps:
  - { id: up, uses: store.upload, with: { from: file, store: bench, key: "{{ values.key }}", parts_at_once: 5 } }
"#;

const DOWN: &str = r#"
version: 1.0.0
values: { key: { type: string } }
steps:
  - { id: down, uses: store.download, with: { store: bench, key: "{{ values.key }}", to: back } }
"#;

/// Does with Google's client what `gsutil cp` does.
const GOOGLE: &str = "
import sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
endpoint, what, key, file = sys.argv[1:]
client = storage.Client(project='bench', credentials=AnonymousCredentials(), client_options={'api_endpoint': endpoint})
blob = client.bucket('bench').blob(key)
if what == 'up':
    blob.upload_from_filename(file)
else:
    blob.download_to_filename(file)
";

pub(super) fn s3(programs: &Programs, rounds: u8) -> Result<()> {
    let aws = AWS_CLI.ensure().map_err(|failure| anyhow::anyhow!(failure.message))?.join("bin/aws");
    let server = programs.serve("s3")?;
    let vendor = |server: &Server, way: Way, key: &str, file: &Path| {
        let mut command = Command::new(&aws);
        with_credentials(&mut command);
        let (file, object) = (file.display().to_string(), format!("s3://bench/{key}"));
        let (from, to) = if way == Way::Up { (file, object) } else { (object, file) };
        command.args(["--endpoint-url", &server.endpoint, "s3", "cp", "--only-show-errors", &from, &to]);
        command
    };
    let store = store_of_s3(&server);
    compare("S3, beside `aws s3 cp`", programs, &server, &store, rounds, &vendor)
}

/// Gives what an environment says of a store on a server.
pub(super) fn store_of_s3(server: &Server) -> String {
    format!("url: 's3://bench', endpoint: '{}', path_style: true", server.endpoint)
}

/// Gives what an environment says of a store on a server.
pub(super) fn store_of_gcs(server: &Server) -> String {
    format!("url: 'gs://bench', endpoint: '{}', anonymous: true", server.endpoint)
}

pub(super) fn gcs(programs: &Programs, rounds: u8) -> Result<()> {
    let folder = GOOGLE_CLIENT.ensure().map_err(|failure| anyhow::anyhow!(failure.message))?;
    let server = programs.serve("gcs")?;
    let vendor = |server: &Server, way: Way, key: &str, file: &Path| {
        let mut command = Command::new(folder.join("bin/python"));
        let way = if way == Way::Up { "up" } else { "down" };
        command.args(["-c", GOOGLE, &server.endpoint, way, key]).arg(file);
        command
    };
    let store = store_of_gcs(&server);
    compare("Google Cloud Storage, beside Google's client", programs, &server, &store, rounds, &vendor)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

type Vendor<'a> = &'a dyn Fn(&Server, Way, &str, &Path) -> Command;

fn compare(
    title: &str,
    programs: &Programs,
    server: &Server,
    store: &str,
    rounds: u8,
    vendor: Vendor<'_>,
) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("rekindle-bench-").tempdir()?;
    let file = prepare(folder.path(), store)?;
    let back = folder.path().join("back");
    println!("\n{title}: 1 GiB, {rounds} rounds, alternating");
    for way in [Way::Up, Way::Down] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let (our_key, their_key) = (format!("ours-{round}"), format!("theirs-{round}"));
            let (runbook, local) = if way == Way::Up { ("up", &file) } else { ("down", &back) };
            let set = format!("key={our_key}");
            let args = ["run", runbook, "-e", "bench", "--yes", "--set", &set];
            ours.push(measure(&mut programs.rekindle(folder.path(), &args))?);
            take_back(way, &file, &back)?;
            theirs.push(measure(&mut vendor(server, way, &their_key, local))?);
            take_back(way, &file, &back)?;
        }
        say(way, &ours, &theirs);
    }
    Ok(())
}

fn say(way: Way, ours: &[Measured], theirs: &[Measured]) {
    let rate = |all: &[Measured]| {
        let rates: Vec<f64> = all.iter().map(|one| SIZE_MIB / one.seconds).collect();
        spread(&rates)
    };
    let peak = |all: &[Measured]| all.iter().map(|one| one.peak_mib).fold(0.0, f64::max);
    let ((our, our_least, our_most), (their, their_least, their_most)) = (rate(ours), rate(theirs));
    let way = if way == Way::Up { "up  " } else { "down" };
    println!(
        "  {way}  rekindle {our:.0} MiB/s ({our_least:.0}-{our_most:.0}), {:.0} MiB of memory; vendor {their:.0} \
         MiB/s ({their_least:.0}-{their_most:.0}), {:.0} MiB of memory; ratio {:.2}",
        peak(ours),
        peak(theirs),
        our / their
    );
}

/// Writes the file, the environment and the runbooks.
pub(super) fn prepare(folder: &Path, store: &str) -> Result<PathBuf> {
    let file = folder.join("file");
    let mut to = std::fs::File::create(&file)?;
    let mut from = std::io::Read::take(std::fs::File::open("/dev/urandom")?, SIZE_BYTES);
    std::io::copy(&mut from, &mut to).context("failed to write the file")?;
    to.sync_all()?;
    let head = |kind: &str, name: &str| format!("apiVersion: rekindle/v1\nkind: {kind}\nname: {name}");
    for folder in [folder.join("environments"), folder.join("runbooks")] {
        std::fs::create_dir_all(folder)?;
    }
    let environment = format!("{}\nstores: {{ bench: {{ {store} }} }}\n", head("Environment", "bench"));
    std::fs::write(folder.join("environments/bench.yaml"), environment)?;
    for (name, body) in [("up", UP), ("down", DOWN)] {
        std::fs::write(folder.join(format!("runbooks/{name}.yaml")), head("Runbook", name) + body)?;
    }
    Ok(file)
}

/// Compares what came back, and removes it.
fn take_back(way: Way, file: &Path, back: &Path) -> Result<()> {
    if way == Way::Up {
        return Ok(());
    }
    if !Command::new("cmp").arg(file).arg(back).status()?.success() {
        bail!("what came back is not what was sent");
    }
    Ok(std::fs::remove_file(back)?)
}
