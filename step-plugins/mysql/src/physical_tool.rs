//! The programs that copy a running server's files: which fit a server, and their command lines.
//!
//! Sources: MariaDB manual, "mariadb-backup Options" and "Incremental Backup and Restore with mariadb-backup"; Percona
//! `XtraBackup` 2.4, 8.0 and 8.4 manuals, "The xtrabackup option reference", "Prepare an incremental backup".

use std::path::Path;
use std::sync::Arc;

use rekindle_backup::manifest::Flavour;
use rekindle_backup::physical::StreamFormat;
use rekindle_engine::host::{CommandSpec, ExitReport, Processes};
use rekindle_engine::step::StepError;
use tokio_util::sync::CancellationToken;

use crate::flavour::{ServerVersion, flavour_name};
use crate::tool::{ToolError, run_tool};

/// What the tools say last when all went well; they have ended with 0 without it.
const COMPLETED: &str = "completed OK!";
/// How much memory preparing takes; the tools' own 100 MB make large logs slow.
const PREPARE_MEMORY: &str = "--use-memory=512M";

/// A program that copies a running server's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PhysicalTool {
    /// Its name on `PATH`.
    pub(crate) program: &'static str,
    /// Whose servers it copies.
    pub(crate) flavour: Flavour,
    /// The version of the server that it is made from.
    pub(crate) number: (u16, u16, u16),
    /// What it says of itself.
    pub(crate) text: String,
}

/// Which of several steps of preparing is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preparing {
    /// More increments follow.
    Early,
    /// The last.
    Last,
}

/// Gives the stream of a flavour's tool.
pub(crate) fn stream_format(flavour: Flavour) -> StreamFormat {
    match flavour {
        Flavour::Mariadb => StreamFormat::Mbstream,
        Flavour::Mysql => StreamFormat::Xbstream,
    }
}

impl PhysicalTool {
    /// Finds the tool of a flavour.
    pub(crate) async fn find(
        processes: &Arc<dyn Processes>,
        flavour: Flavour,
        cancel: &CancellationToken,
    ) -> Result<Self, StepError> {
        let programs: &[&'static str] = match flavour {
            Flavour::Mariadb => &["mariadb-backup", "mariabackup"],
            Flavour::Mysql => &["xtrabackup"],
        };
        let Some(program) = programs.iter().find(|program| processes.find(program).is_some()) else {
            return Err(missing(programs[0], flavour));
        };
        let end = run_tool(processes, CommandSpec::new(*program).arg("--version"), cancel).await;
        let end = end.map_err(tool_error)?;
        let said = format!("{}{}", end.stdout, end.report.stderr);
        Self::read(program, flavour, &said).ok_or_else(|| {
            StepError::permanent(format!("`{program} --version` says nothing known: `{}`", said.trim()))
        })
    }

    /// Reads `mariadb-backup based on MariaDB server 10.11.19-MariaDB …` or
    /// `xtrabackup version 8.0.35-31 based on MySQL server 8.0.35 Linux …`.
    fn read(program: &'static str, flavour: Flavour, said: &str) -> Option<Self> {
        let line = said.lines().find(|line| line.contains(" based on "))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "server")?;
        let plain = words.get(at + 1)?.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = plain.split('.').map(str::parse);
        let number =
            (parts.next()?.ok()?, parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0));
        Some(Self { program, flavour, number, text: line.trim().to_owned() })
    }

    /// Refuses a tool of another series than the server's: files and logs differ from series to series.
    pub(crate) fn check_fits(&self, server: &ServerVersion) -> Result<(), StepError> {
        let series = |number: (u16, u16, u16)| (number.0, number.1);
        // 2.4 says that it is based on 5.7 and copies every older one too.
        let fits = series(self.number) == series(server.number);
        if self.flavour == server.flavour && fits {
            return Ok(());
        }
        let (major, minor, patch) = self.number;
        Err(StepError::permanent(format!(
            "`{}` is of {} {major}.{minor}.{patch}, and the server is {server}",
            self.program,
            flavour_name(self.flavour)
        ))
        .help("install the one of the server's own series, or take a cold backup: `mode: cold`"))
    }

    /// Gives the command that copies a server; `login` is the option file, which has to come first.
    pub(crate) fn backup(
        &self,
        login: &str,
        data_dir: &Path,
        scratch: &Path,
        from_lsn: Option<u64>,
    ) -> CommandSpec {
        let spec = CommandSpec::new(self.program)
            .arg(format!("--defaults-file={login}"))
            .arg("--backup")
            .arg(format!("--stream={}", stream_format(self.flavour).as_str()))
            .arg(format!("--datadir={}", data_dir.display()))
            // Nothing goes there but small files on the way.
            .arg(format!("--target-dir={}", scratch.display()));
        match from_lsn {
            Some(lsn) => spec.arg(format!("--incremental-lsn={lsn}")),
            None => spec,
        }
    }

    /// Gives the command that makes copied files consistent, or applies an increment to them.
    pub(crate) fn prepare(&self, base: &Path, increment: Option<&Path>, which: Preparing) -> CommandSpec {
        let mut spec = CommandSpec::new(self.program)
            .args(["--no-defaults", "--prepare"])
            .arg(format!("--target-dir={}", base.display()))
            .arg(PREPARE_MEMORY);
        // MariaDB has no rollback in this phase that an increment could trip over (10.2 on); the option is unknown to
        // some versions.
        if self.flavour == Flavour::Mysql && which == Preparing::Early {
            spec = spec.arg("--apply-log-only");
        }
        match increment {
            Some(folder) => spec.arg(format!("--incremental-dir={}", folder.display())),
            None => spec,
        }
    }
}

/// Gives the program and command that unpack a stream into a folder.
pub(crate) fn unpack(format: StreamFormat, folder: &Path) -> CommandSpec {
    match format {
        StreamFormat::Mbstream => CommandSpec::new("mbstream").arg("-x").arg("-C").arg(folder),
        StreamFormat::Xbstream => CommandSpec::new("xbstream").arg("-x").arg("-C").arg(folder),
        StreamFormat::Tar => CommandSpec::new("tar")
            .args(["--extract", "--file=-", "--same-permissions", "--no-same-owner"])
            .arg("--directory")
            .arg(folder),
    }
}

/// Refuses a stream whose unpacking program is missing.
pub(crate) fn check_unpack(processes: &dyn Processes, format: StreamFormat) -> Result<(), StepError> {
    let (program, flavour) = match format {
        StreamFormat::Mbstream => ("mbstream", Flavour::Mariadb),
        StreamFormat::Xbstream => ("xbstream", Flavour::Mysql),
        StreamFormat::Tar => ("tar", Flavour::Mariadb),
    };
    if processes.find(program).is_some() { Ok(()) } else { Err(missing(program, flavour)) }
}

/// Tells whether the tool itself says that it has done everything.
pub(crate) fn says_completed(end: &ExitReport) -> bool {
    end.stderr.trim_end().lines().last().is_some_and(|line| line.trim_end().ends_with(COMPLETED))
}

pub(crate) fn tool_error(error: ToolError) -> StepError {
    match error {
        ToolError::Process(error) => error.into(),
        ToolError::Cancelled => StepError::cancelled(),
    }
}

fn missing(program: &str, flavour: Flavour) -> StepError {
    let help = match (program, flavour) {
        ("tar", _) => "install GNU tar: package `tar` on Debian and Ubuntu",
        (_, Flavour::Mariadb) => "install it: package `mariadb-backup` on Debian and Ubuntu",
        (_, Flavour::Mysql) => {
            "install Percona XtraBackup of the server's series, or take a cold backup: `mode: cold`"
        }
    };
    StepError::permanent(format!("there is no program `{program}` on PATH")).help(help)
}

/// The end of what a program said, on one line for each of its own.
pub(crate) fn said(stderr: &str) -> String {
    const SHOWN_BYTES: usize = 1500;
    let stderr = stderr.trim();
    let mut from = stderr.len().saturating_sub(SHOWN_BYTES);
    while !stderr.is_char_boundary(from) {
        from += 1;
    }
    match (stderr.is_empty(), from) {
        (true, _) => String::new(),
        (false, 0) => format!(": {stderr}"),
        (false, _) => format!(": …{}", &stderr[from..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARIADB: &str = "mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)";
    const XTRABACKUP: &str = "2026-11-28T15:00:00.000000-00:00 0 [Note] [MY-011825] [Xtrabackup] recognized server \
        arguments: --datadir=/var/lib/mysql\nxtrabackup version 8.0.35-31 based on MySQL server 8.0.35 Linux (x86_64) \
        (revision id: 55ec21d7)";

    fn tool(program: &'static str, flavour: Flavour, said: &str) -> PhysicalTool {
        PhysicalTool::read(program, flavour, said).unwrap()
    }

    #[test]
    fn the_version_is_that_of_the_server_it_is_made_from() {
        assert_eq!(tool("mariadb-backup", Flavour::Mariadb, MARIADB).number, (10, 11, 19));
        assert_eq!(tool("xtrabackup", Flavour::Mysql, XTRABACKUP).number, (8, 0, 35));
        let old = "xtrabackup version 2.4.28 based on MySQL server 5.7.40 Linux (x86_64) (revision id: x)";
        assert_eq!(tool("xtrabackup", Flavour::Mysql, old).number, (5, 7, 40));
        assert_eq!(PhysicalTool::read("xtrabackup", Flavour::Mysql, "sh: not found"), None);
    }

    #[test]
    fn a_tool_of_another_series_is_refused() {
        let xtrabackup = tool("xtrabackup", Flavour::Mysql, XTRABACKUP);
        xtrabackup.check_fits(&ServerVersion::read("8.0.40", "MySQL").unwrap()).unwrap();
        let error = xtrabackup.check_fits(&ServerVersion::read("8.4.3", "MySQL").unwrap()).unwrap_err();
        insta::assert_snapshot!(error, @"`xtrabackup` is of MySQL 8.0.35, and the server is MySQL 8.4.3");
        insta::assert_snapshot!(error.help.unwrap(), @"install the one of the server's own series, or take a cold backup: `mode: cold`");
    }

    #[test]
    fn commands_follow_the_flavour() {
        let (data, scratch) = (Path::new("/var/lib/mysql"), Path::new("/tmp/s"));
        let mariadb = tool("mariadb-backup", Flavour::Mariadb, MARIADB);
        let xtrabackup = tool("xtrabackup", Flavour::Mysql, XTRABACKUP);
        let line = |spec: CommandSpec| spec.display();
        insta::assert_snapshot!(line(mariadb.backup("LOGIN", data, scratch, None)), @"mariadb-backup --defaults-file=LOGIN --backup --stream=mbstream --datadir=/var/lib/mysql --target-dir=/tmp/s");
        insta::assert_snapshot!(line(mariadb.backup("LOGIN", data, scratch, Some(44880))), @"mariadb-backup --defaults-file=LOGIN --backup --stream=mbstream --datadir=/var/lib/mysql --target-dir=/tmp/s --incremental-lsn=44880");
        insta::assert_snapshot!(line(xtrabackup.backup("LOGIN", data, scratch, Some(7))), @"xtrabackup --defaults-file=LOGIN --backup --stream=xbstream --datadir=/var/lib/mysql --target-dir=/tmp/s --incremental-lsn=7");
        let (base, one) = (Path::new("/w/base"), Path::new("/w/1"));
        insta::assert_snapshot!(line(mariadb.prepare(base, None, Preparing::Early)), @"mariadb-backup --no-defaults --prepare --target-dir=/w/base --use-memory=512M");
        insta::assert_snapshot!(line(mariadb.prepare(base, Some(one), Preparing::Last)), @"mariadb-backup --no-defaults --prepare --target-dir=/w/base --use-memory=512M --incremental-dir=/w/1");
        insta::assert_snapshot!(line(xtrabackup.prepare(base, None, Preparing::Early)), @"xtrabackup --no-defaults --prepare --target-dir=/w/base --use-memory=512M --apply-log-only");
        insta::assert_snapshot!(line(xtrabackup.prepare(base, Some(one), Preparing::Early)), @"xtrabackup --no-defaults --prepare --target-dir=/w/base --use-memory=512M --apply-log-only --incremental-dir=/w/1");
        insta::assert_snapshot!(line(xtrabackup.prepare(base, Some(one), Preparing::Last)), @"xtrabackup --no-defaults --prepare --target-dir=/w/base --use-memory=512M --incremental-dir=/w/1");
        insta::assert_snapshot!(line(unpack(StreamFormat::Xbstream, base)), @"xbstream -x -C /w/base");
        insta::assert_snapshot!(line(unpack(StreamFormat::Mbstream, base)), @"mbstream -x -C /w/base");
    }

    #[test]
    fn only_the_last_line_counts_as_the_tools_word() {
        let end = |stderr: &str| ExitReport {
            code: Some(0),
            signal: None,
            stderr: stderr.to_owned(),
            left_children: false,
        };
        assert!(says_completed(&end("…\n[00] 2026-11-28 15:30:19 completed OK!\n")));
        assert!(!says_completed(&end("completed OK!\n[00] FATAL ERROR: …\n")));
        assert!(!says_completed(&end("")));
    }
}
