//! `cargo xtask bench`: rekindle and the programs that do the same, alternating in one run on one machine.
//!
//! Figures are ratios of what was measured side by side: bare seconds of a shared machine say nothing.

mod listing;
mod measure;
mod servers;
mod sql;
mod streams;
mod transfers;

use anyhow::Result;
use clap::ValueEnum;

use crate::stage::Failure;

/// Measures rekindle beside the programs that do the same, in one run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure; everything when absent
    #[arg(value_enum)]
    what: Vec<What>,
    /// How often each is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// 1 GiB to a bucket of S3 and back, beside `aws s3 cp`
    S3,
    /// 1 GiB to a bucket of Google Cloud Storage and back, beside Google's client
    Gcs,
    /// A list of 10,000 backups in a bucket
    Listing,
    /// 1 GiB of a length that nobody knows beforehand to buckets of both
    Streams,
    /// Six tables of a million rows to a dump, beside `mariadb-dump | gzip`
    Dump,
    /// That dump to a server, beside `gunzip | mariadb`
    Restore,
}

/// Runs the benchmarks and prints what they measured.
///
/// # Errors
/// When a program fails, or what it did is not right.
pub(crate) fn bench(args: &Args) -> Result<(), Failure> {
    run(args).map_err(|error| Failure::new(format!("{error:#}")))
}

fn run(args: &Args) -> Result<()> {
    let programs = servers::Programs::build()?;
    let all = [What::S3, What::Gcs, What::Listing, What::Streams, What::Dump, What::Restore];
    let chosen = if args.what.is_empty() { &all[..] } else { &args.what };
    for what in chosen {
        match what {
            What::S3 => transfers::s3(&programs, args.rounds)?,
            What::Gcs => transfers::gcs(&programs, args.rounds)?,
            What::Listing => listing::listing(&programs)?,
            What::Streams => streams::streams(&programs)?,
            What::Dump => sql::dump(&programs, args.rounds)?,
            What::Restore => sql::restore(&programs, args.rounds)?,
        }
    }
    Ok(())
}
