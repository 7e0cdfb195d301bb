//! Runs a command and measures it: wall time and the most memory it had at once.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often the memory of a running command is looked at; the kernel keeps the peak, so only the end must be near.
const LOOK: Duration = Duration::from_millis(10);

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    /// `VmHWM` of proc(5): the peak of its resident memory.
    pub(super) peak_mib: f64,
}

/// Runs a command to its good end.
pub(super) fn measure(command: &mut Command) -> Result<Measured> {
    // Into a file: a pipe that nobody empties stops whoever says much.
    let mut said = tempfile::tempfile()?;
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.try_clone()?)
        .spawn()
        .with_context(|| format!("failed to start {command:?}"))?;
    let mut peak_mib = 0.0_f64;
    let status = loop {
        peak_mib = peak_mib.max(peak_of(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    let seconds = begun.elapsed().as_secs_f64();
    if !status.success() {
        let mut told = String::new();
        std::io::Seek::rewind(&mut said)?;
        std::io::Read::read_to_string(&mut said, &mut told)?;
        bail!("{command:?} ended with {status}: {}", told.trim());
    }
    Ok(Measured { seconds, peak_mib })
}

fn peak_of(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Gives the middle one of some numbers, and the least and the greatest.
pub(super) fn spread(numbers: &[f64]) -> (f64, f64, f64) {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    (at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_no_measurement() {
        assert!(measure(Command::new("sh").args(["-c", "echo told >&2; exit 3"])).is_err());
        let measured = measure(Command::new("sh").args(["-c", "sleep 0.2"])).unwrap();
        assert!(measured.seconds >= 0.2 && measured.peak_mib > 0.0, "{measured:?}");
    }

    #[test]
    fn the_spread_is_middle_least_and_greatest() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (2.0, 1.0, 3.0));
    }
}
