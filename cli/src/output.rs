//! The only place that writes to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};

/// Writes to standard output; a reader that went away (`| head`) is no error.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// As [`print()`], with a newline.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Writes to standard error.
pub(crate) fn error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), crate::failure::Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| crate::failure::Failure::failed(format!("failed to write JSON: {error}")))?;
    line(&text);
    Ok(())
}

/// Tells whether a person reads standard error.
pub(crate) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Tells whether a person reads standard output.
pub(crate) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Tells whether colours may be used on standard output (`https://no-color.org`).
pub(crate) fn colours() -> bool {
    stdout_is_terminal() && colours_wanted()
}

fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Tells whether a person reads standard error and can type on standard input.
pub(crate) fn is_terminal() -> bool {
    stderr_is_terminal() && std::io::stdin().is_terminal()
}

/// Tells whether colours may be used on standard error.
pub(crate) fn error_colours() -> bool {
    stderr_is_terminal() && colours_wanted()
}

/// Gives how many columns a diagnostic may take; nothing is wrapped where no terminal does it anyway.
pub(crate) fn width() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).clamp(60, 140),
        Ok(_) | Err(_) => 1000,
    }
}
