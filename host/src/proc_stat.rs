//! What the kernel says of processes: receives a pid, yields its line of `/proc/PID/stat` (see `proc_pid_stat(5)`).

use std::io;

/// The fields of `/proc/PID/stat` that tell processes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcStat {
    /// Field 3: `R`, `S`, `D`, `T`, `Z` (ended, not yet waited for), …
    pub state: char,
    /// Field 5: its process group.
    pub group: i32,
    /// Field 6: its session.
    pub session: i32,
    /// Field 22: when it started, in clock ticks since boot. With the pid, this names one process until the
    /// next boot.
    pub started_ticks: u64,
}

impl ProcStat {
    /// Looks at one process.
    ///
    /// # Errors
    /// `NotFound` when there is none; `InvalidData` when the kernel's line can't be read.
    pub fn read(pid: i32) -> io::Result<Self> {
        let line = std::fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&String::from_utf8_lossy(&line)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("odd line in /proc/{pid}/stat"))
        })
    }

    fn parse(line: &str) -> Option<Self> {
        // The name (field 2) stands in parentheses and may itself hold spaces and parentheses.
        let after_name = &line[line.rfind(')')? + 1..];
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            state: field(3)?.chars().next()?,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            started_ticks: field(22)?.parse().ok()?,
        })
    }

    /// Tells whether it still runs: not ended and waiting to be collected.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Lists the processes of a group that still run.
pub fn live_group_members(group: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| ProcStat::read(*pid).is_ok_and(|stat| stat.group == group && stat.is_live()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) b (c)) S 1 40 39 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1 2";
        let stat = ProcStat::parse(line).unwrap();
        assert_eq!(stat, ProcStat { state: 'S', group: 40, session: 39, started_ticks: 123_456 });
    }

    #[test]
    fn a_short_line_is_refused() {
        assert_eq!(ProcStat::parse("42 (a) S 1 40"), None);
        assert_eq!(ProcStat::parse(""), None);
    }

    #[test]
    fn this_process_is_a_live_member_of_its_group() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let group = ProcStat::read(pid).unwrap().group;
        assert!(live_group_members(group).contains(&pid));
    }
}
