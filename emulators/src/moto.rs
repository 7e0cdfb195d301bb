//! moto, a server of AWS in Python: it has what `s3s-fs` has not, such as lifecycle rules and versioning.
//!
//! `cargo xtask test` installs it and says where in [`MOTO`]; tests that use it are in the lane `moto`.

use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The variable that names the virtual environment which moto is installed in.
pub const MOTO: &str = "REKINDLE_MOTO";

const SCRIPT: &str = include_str!("moto.py");

/// A server that ends when it is dropped, or with the process that started it.
pub struct MotoServer {
    endpoint: String,
    serving: Child,
}

impl MotoServer {
    /// Starts one without any bucket.
    ///
    /// # Errors
    /// When [`MOTO`] is not set, or what it names does not start.
    pub fn start() -> io::Result<Self> {
        let folder = std::env::var_os(MOTO).ok_or_else(|| {
            io::Error::other(format!("{MOTO} names no virtual environment: run `cargo xtask test`"))
        })?;
        let mut serving = Command::new(Path::new(&folder).join("bin/python"))
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        if let Some(said) = serving.stdout.take() {
            BufReader::new(said).read_line(&mut port)?;
        }
        let endpoint = format!("http://127.0.0.1:{}", port.trim());
        let server = Self { endpoint, serving };
        match port.trim().parse::<u16>() {
            Ok(_) => Ok(server),
            Err(_) => Err(io::Error::other("moto did not start: see what it wrote")),
        }
    }

    /// Gives the URL to reach it by. It takes any credentials.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for MotoServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.serving.kill();
        let _ = self.serving.wait();
    }
}
