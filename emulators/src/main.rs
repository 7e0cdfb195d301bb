//! `rekindle-emulators s3|gcs BUCKET`: a store on this machine, for benchmarks and for trying things by hand.
//!
//! Prints its endpoint, and ends when its standard input does.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use rekindle_emulators::{GcsServer, S3Server};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, bucket] = words.as_slice() else {
        eprintln!("usage: rekindle-emulators s3|gcs BUCKET");
        return ExitCode::from(2);
    };
    match serve(kind, bucket).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(kind: &str, bucket: &str) -> std::io::Result<()> {
    match kind {
        "s3" => {
            let server = S3Server::start(bucket).await?;
            until_input_ends(&format!("{}\n{}", server.endpoint(), server.root().display())).await
        }
        "gcs" => {
            let server = GcsServer::start(bucket).await?;
            until_input_ends(&format!("{}\n{}", server.endpoint(), server.root().display())).await
        }
        other => Err(std::io::Error::other(format!("there is no store of the kind `{other}`"))),
    }
}

async fn until_input_ends(told: &str) -> std::io::Result<()> {
    println!("{told}");
    std::io::stdout().flush()?;
    let waiting = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    waiting.await.map_err(std::io::Error::other)??;
    Ok(())
}
