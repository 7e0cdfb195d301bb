//! Programs from the Python Package Index: yields the virtual environment that one is installed in, or why it is not.

use std::path::{Path, PathBuf};

use crate::apt;
use crate::cache;
use crate::stage::{Failure, Stage};

/// A program, in the version that was tried with this repository; the folder of another version is another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    /// What its folder is called after.
    name: &'static str,
    version: &'static str,
    /// What pip is asked for.
    requirement: &'static str,
    /// Modules that must be there then.
    modules: &'static str,
}

/// A server that some tests of buckets need.
pub(crate) const MOTO: Package = Package {
    name: "moto",
    version: "5.2.5",
    requirement: "moto[server]==5.2.5",
    modules: "moto.server, moto.s3.responses",
};

/// Amazon's own command line, which benchmarks are held against.
pub(crate) const AWS_CLI: Package =
    Package { name: "awscli", version: "1.46.3", requirement: "awscli==1.46.3", modules: "awscli" };

/// Google's own client, which benchmarks are held against.
pub(crate) const GOOGLE_CLIENT: Package = Package {
    name: "google-cloud-storage",
    version: "3.17.1",
    requirement: "google-cloud-storage==3.17.1",
    modules: "google.cloud.storage",
};

/// The variable by which the tests find moto; `emulators/src/moto.rs` has the same.
pub(crate) const MOTO_VARIABLE: &str = "REKINDLE_MOTO";

/// Written last: a folder without it is one that an installation was cut off in.
const COMPLETE: &str = "complete";

impl Package {
    /// Gives the virtual environment that it is in, in the user's cache; installs it when it is not there yet.
    ///
    /// # Errors
    /// When it can't be installed; the message's first line says why.
    pub(crate) fn ensure(&self) -> Result<PathBuf, Failure> {
        let Self { name, version, .. } = self;
        let folder = cache::folder(&format!("{name}-{version}"))?;
        if folder.join(COMPLETE).is_file() {
            return Ok(folder);
        }
        // Without this package Debian's Python makes no virtual environments.
        if Stage::new("python3", ["-c", "import ensurepip, venv"]).read().is_err() {
            apt::install(&["python3-venv"])?;
        }
        self.install(&folder).map_err(|failure| Failure {
            message: format!("{name} {version} could not be installed from PyPI\n{}", failure.message),
            ..failure
        })?;
        Ok(folder)
    }

    fn install(&self, folder: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
        if folder.exists() {
            std::fs::remove_dir_all(folder).map_err(failed)?;
        }
        let python = folder.join("bin/python");
        Stage::new("python3", ["-m".into(), "venv".into(), folder.as_os_str().to_owned()]).run()?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", self.requirement];
        Stage::new(&python, pip).run()?;
        Stage::new(&python, ["-c", &format!("import {}", self.modules)]).read()?;
        std::fs::write(folder.join(COMPLETE), "").map_err(failed)
    }
}
