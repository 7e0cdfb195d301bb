//! The option file that keeps variables for a server that can't: its text, and whether it is ours.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use rekindle_engine::step::StepError;

use super::setting::Setting;

/// The line that our file begins with: what does not is somebody else's.
const HEAD: &str = "# Written by rekindle (mysql.configure) as a whole; put other options into another file.";

/// Gives the text of the file.
fn text(settings: &[Setting]) -> String {
    let mut text = format!("{HEAD}\n[mysqld]\n");
    for setting in settings {
        let value = &setting.wanted;
        let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,+".contains(c));
        let value = if plain {
            value.clone()
        } else {
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
        };
        // Writing to a text can't fail.
        let _ = writeln!(text, "{} = {value}", setting.name);
    }
    text
}

/// Tells whether the file says all of it.
///
/// # Errors
/// When it is somebody else's, or can't be read.
pub(super) fn has(path: &Path, settings: &[Setting]) -> Result<bool, StepError> {
    match std::fs::read_to_string(path) {
        Ok(found) if found.starts_with(HEAD) => Ok(found == text(settings)),
        Ok(_) => Err(StepError::permanent(format!("{} is not a file of rekindle's", path.display()))
            .help("name a file that is not there yet: it is written as a whole")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StepError::permanent(format!("failed to read {}: {error}", path.display()))),
    }
}

/// Writes the file in place of an older one of ours: a reader sees the old or the new one, whole.
///
/// # Errors
/// When it is somebody else's, or can't be written.
pub(super) fn write(path: &Path, settings: &[Setting]) -> Result<(), StepError> {
    if has(path, settings)? {
        return Ok(());
    }
    let failed = |error: std::io::Error| {
        StepError::permanent(format!("failed to write {}: {error}", path.display()))
            .help("check `defaults_file`: its folder must be there and writable")
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".rekindle-").tempfile_in(folder).map_err(failed)?;
    file.write_all(text(settings).as_bytes()).map_err(failed)?;
    // Servers run as another user, and ignore option files that all can write.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    if has(path, settings)? {
        Ok(())
    } else {
        Err(failed(std::io::Error::other("it does not say what was written")))
    }
}
