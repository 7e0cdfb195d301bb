//! A stream whose length nobody knows beforehand, as a dump is, of 1 GiB into a bucket.

use anyhow::{Result, bail};

use super::measure::measure;
use super::servers::Programs;
use super::transfers::{self, SIZE_MIB};

/// A public key whose other half nobody has: what is encrypted is a stream without a length.
const RECIPIENT: &str = "age1hc9pvlwucyhjrd4jkaqu07u8cpx4t7nry5j7cexwm9hfggw42gqsucfln9";
/// What a runner may take.
const MOST_MIB: f64 = 100.0;

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
    let encrypt = format!("encrypt: {{ recipients: [{RECIPIENT}] }}");
    transfers::prepare(folder.path(), &format!("{store}, {encrypt}"))?;
    let args = ["run", "up", "-e", "bench", "--yes", "--set", "key=stream"];
    let took = measure(&mut programs.rekindle(folder.path(), &args))?;
    let rate = SIZE_MIB / took.seconds;
    println!("  {title:22} {rate:4.0} MiB/s  {:4.0} MiB of memory", took.peak_mib);
    if took.peak_mib >= MOST_MIB {
        bail!("{title}: {:.0} MiB of memory are more than {MOST_MIB:.0}", took.peak_mib);
    }
    Ok(())
}
