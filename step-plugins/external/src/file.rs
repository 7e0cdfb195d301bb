//! A plugin's executable: receives a path, yields its digest, or why it must not be trusted.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Group and others may write (chmod(2)); a group may be the user's own, so only "others" is refused.
const WRITABLE_BY_OTHERS: u32 = 0o002;
const EXECUTABLE: u32 = 0o111;

/// Why an executable is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It can't be looked at or read.
    #[error("failed to read the plugin {path}: {why}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// It is a folder, a socket, …
    #[error("the plugin {path} is not a file")]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// It may not be executed.
    #[error("the plugin {path} may not be executed")]
    NotExecutable {
        /// Which.
        path: PathBuf,
    },
    /// Somebody else could replace what is run.
    #[error("the plugin is not trusted: {path} can be written by every user (mode {mode:o})")]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else owns what is run.
    #[error("the plugin is not trusted: {path} belongs to user id {owner}")]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
}

impl FileError {
    /// Says what to do.
    pub fn help(&self) -> String {
        match self {
            Self::Unreadable { .. } => "let the user that runs rekindle read it".to_owned(),
            Self::NotAFile { .. } => "put an executable file there, or remove it".to_owned(),
            Self::NotExecutable { path } => format!("`chmod +x {}`", path.display()),
            Self::Writable { path, .. } => format!("`chmod o-w {}`", path.display()),
            Self::Foreign { path, .. } => {
                format!(
                    "only root and the user that runs rekindle may own it: `chown $(id -u) {}`",
                    path.display()
                )
            }
        }
    }
}

/// Checks that only root and this user decide what is in the file, and gives its sha256 (hex).
///
/// The folder counts as well: whoever can write to it can replace the file. Links are followed; both the folder
/// of the link and that of the file are looked at.
pub(crate) fn digest(path: &Path) -> Result<String, FileError> {
    let unreadable = |error: io::Error| FileError::Unreadable { path: path.to_owned(), why: plain(&error) };
    let real = path.canonicalize().map_err(unreadable)?;
    for folder in [path.parent(), real.parent()].into_iter().flatten() {
        trusted(folder, &folder.metadata().map_err(unreadable)?)?;
    }
    // What is checked is what is read, also when the name is given to another file meanwhile.
    let mut file = File::open(&real).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    if metadata.mode() & EXECUTABLE == 0 {
        return Err(FileError::NotExecutable { path: path.to_owned() });
    }
    trusted(path, &metadata)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn trusted(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(FileError::Foreign { path: path.to_owned(), owner });
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(FileError::Writable { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    Ok(())
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Lab(tempfile::TempDir);

    impl Lab {
        fn new(mode: u32) -> Self {
            let lab = Self(tempfile::tempdir().unwrap());
            fs::write(lab.path(), "#!/bin/sh\n").unwrap();
            fs::set_permissions(lab.path(), fs::Permissions::from_mode(mode)).unwrap();
            lab
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("rekindle-step-acme.a")
        }

        fn refusal(&self) -> String {
            let error = digest(&self.path()).unwrap_err();
            format!("{error}; help: {}", error.help()).replace(self.0.path().to_str().unwrap(), "DIR")
        }
    }

    #[test]
    fn a_sound_file_has_a_digest_that_follows_its_text() {
        let lab = Lab::new(0o755);
        let before = digest(&lab.path()).unwrap();
        assert_eq!(before, hex::encode(Sha256::digest("#!/bin/sh\n")));
        fs::write(lab.path(), "#!/bin/bash\n").unwrap();
        assert_ne!(digest(&lab.path()).unwrap(), before);
    }

    #[test]
    fn what_others_could_change_or_nobody_can_run_is_refused() {
        insta::assert_snapshot!(Lab::new(0o644).refusal(), @"the plugin DIR/rekindle-step-acme.a may not be executed; help: `chmod +x DIR/rekindle-step-acme.a`");
        insta::assert_snapshot!(Lab::new(0o757).refusal(), @"the plugin is not trusted: DIR/rekindle-step-acme.a can be written by every user (mode 757); help: `chmod o-w DIR/rekindle-step-acme.a`");
        let lab = Lab::new(0o755);
        fs::set_permissions(lab.0.path(), fs::Permissions::from_mode(0o777)).unwrap();
        insta::assert_snapshot!(lab.refusal(), @"the plugin is not trusted: DIR can be written by every user (mode 777); help: `chmod o-w DIR`");
        let lab = Lab::new(0o755);
        fs::remove_file(lab.path()).unwrap();
        insta::assert_snapshot!(lab.refusal(), @"failed to read the plugin DIR/rekindle-step-acme.a: it is not there; help: let the user that runs rekindle read it");
        fs::create_dir(lab.path()).unwrap();
        insta::assert_snapshot!(lab.refusal(), @"the plugin DIR/rekindle-step-acme.a is not a file; help: put an executable file there, or remove it");
    }

    #[test]
    fn a_link_is_no_better_than_the_folder_it_points_into() {
        let (lab, other) = (Lab::new(0o755), tempfile::tempdir().unwrap());
        let link = other.path().join("rekindle-step-acme.b");
        std::os::unix::fs::symlink(lab.path(), &link).unwrap();
        assert!(digest(&link).is_ok());
        fs::set_permissions(lab.0.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(digest(&link), Err(FileError::Writable { .. })));
    }
}
