//! The command line of a dump, as a pure function of client, server and scope.
//!
//! Sources: MySQL 5.7, 8.0, 8.4 and 9 reference manuals, "mysqldump"; MariaDB manual, "mariadb-dump".

use std::path::Path;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::CommandSpec;

use super::DumpScope;
use super::client::Client;
use super::survey::Survey;
use crate::flavour::ServerVersion;

/// Everything that decides on the options.
pub(super) struct Choice<'a> {
    pub(super) client: &'a Client,
    pub(super) server: &'a ServerVersion,
    pub(super) survey: &'a Survey,
    pub(super) scope: DumpScope,
    pub(super) databases: &'a [String],
}

/// Gives the command line; `login` is the option file, which has to come first.
pub(super) fn command(choice: &Choice<'_>, login: &Path) -> CommandSpec {
    CommandSpec::new(choice.client.program)
        .arg(format!("--defaults-file={}", login.display()))
        .args(options(choice))
}

/// Gives the command line as plans, manifests and people see it.
pub(super) fn shown(choice: &Choice<'_>) -> String {
    CommandSpec::new(choice.client.program).arg("--defaults-file=LOGIN").args(options(choice)).display()
}

fn options(choice: &Choice<'_>) -> Vec<String> {
    let mut options: Vec<String> = [
        // One snapshot of all InnoDB tables, and no lock while it is read.
        "--single-transaction",
        "--routines",
        "--events",
        "--triggers",
        // Binary columns survive every character set on the way.
        "--hex-blob",
        // Tablespaces need the PROCESS privilege (8.0.21) and are of no use on another server.
        "--no-tablespaces",
        "--default-character-set=utf8mb4",
        // A row may be as large as the protocol allows; the default of 24 or 16 MiB fails on larger ones.
        "--max-allowed-packet=1G",
    ]
    .map(str::to_owned)
    .into();
    options.extend(coordinates(choice).into_iter().map(str::to_owned));
    // Clients from 8.0 on ask for histograms, which older servers don't have.
    if choice.client.flavour == Flavour::Mysql
        && choice.client.number >= (8, 0, 2)
        && choice.server.number < (8, 0, 0)
    {
        options.push("--column-statistics=0".to_owned());
    }
    if !choice.scope.has_rows() {
        options.push("--no-data".to_owned());
    }
    options.push("--databases".to_owned());
    if choice.databases.iter().any(|name| name.starts_with('-')) {
        options.push("--".to_owned());
    }
    options.extend(choice.databases.iter().cloned());
    options
}

/// The options that make the dump state its position, as comments only: a restore sets it when it is done.
fn coordinates(choice: &Choice<'_>) -> Vec<&'static str> {
    let client = choice.client;
    // A schema has no rows that a position could be of, and taking one needs a moment's global lock.
    let wanted = choice.survey.log_bin && choice.scope.has_rows();
    match client.flavour {
        Flavour::Mariadb if wanted => vec!["--master-data=2", "--gtid"],
        Flavour::Mariadb => Vec::new(),
        Flavour::Mysql => {
            let mut options = Vec::new();
            if wanted {
                let renamed = client.number >= (8, 0, 26);
                options.push(if renamed { "--source-data=2" } else { "--master-data=2" });
            }
            // ON and COMMENTED fail when the server keeps no GTIDs. COMMENTED came with 8.0.17.
            options.push(match (wanted && choice.survey.gtid_mode, client.number >= (8, 0, 17)) {
                (true, true) => "--set-gtid-purged=COMMENTED",
                (true, false) => "--set-gtid-purged=ON",
                (false, _) => "--set-gtid-purged=OFF",
            });
            options
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: &str, server: (&str, &str), survey: (bool, bool), scope: DumpScope) -> String {
        let client =
            Client::read(if client.contains("Maria") { "mariadb-dump" } else { "mysqldump" }, client)
                .unwrap();
        let server = ServerVersion::read(server.0, server.1).unwrap();
        let survey = Survey { log_bin: survey.0, gtid_mode: survey.1, ..Survey::default() };
        let databases = ["shop".to_owned()];
        let choice =
            Choice { client: &client, server: &server, survey: &survey, scope, databases: &databases };
        let all = shown(&choice);
        let common = "--defaults-file=LOGIN --single-transaction --routines --events --triggers --hex-blob \
                      --no-tablespaces --default-character-set=utf8mb4 --max-allowed-packet=1G ";
        assert!(all.contains(common), "{all}");
        all.replace(common, "… ")
    }

    const MARIADB: &str = "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)";

    #[test]
    fn mariadb_states_its_gtid_position() {
        let server = ("10.11.14-MariaDB-log", "");
        insta::assert_snapshot!(line(MARIADB, server, (true, false), DumpScope::All), @"mariadb-dump … --master-data=2 --gtid --databases shop");
        insta::assert_snapshot!(line(MARIADB, server, (false, false), DumpScope::All), @"mariadb-dump … --databases shop");
        insta::assert_snapshot!(line(MARIADB, server, (true, false), DumpScope::SchemaOnly), @"mariadb-dump … --no-data --databases shop");
    }

    #[test]
    fn mysql_options_follow_the_clients_version() {
        let old = "mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)";
        insta::assert_snapshot!(line(old, ("5.7.44-log", "MySQL"), (true, true), DumpScope::All), @"mysqldump … --master-data=2 --set-gtid-purged=ON --databases shop");
        insta::assert_snapshot!(line(old, ("5.7.44-log", "MySQL"), (true, false), DumpScope::Databases), @"mysqldump … --master-data=2 --set-gtid-purged=OFF --databases shop");
        let eight = "mysqldump  Ver 8.0.25 for Linux on x86_64";
        insta::assert_snapshot!(line(eight, ("8.0.25", "MySQL"), (true, true), DumpScope::All), @"mysqldump … --master-data=2 --set-gtid-purged=COMMENTED --databases shop");
        let later = "mysqldump  Ver 8.0.36 for Linux on x86_64";
        insta::assert_snapshot!(line(later, ("8.0.36", "MySQL"), (true, true), DumpScope::All), @"mysqldump … --source-data=2 --set-gtid-purged=COMMENTED --databases shop");
        insta::assert_snapshot!(line(later, ("5.7.44", "MySQL"), (true, true), DumpScope::All), @"mysqldump … --source-data=2 --set-gtid-purged=COMMENTED --column-statistics=0 --databases shop");
        let newest = "mysqldump  Ver 9.7.0 for Linux on x86_64";
        insta::assert_snapshot!(line(newest, ("9.7.0", "MySQL"), (true, true), DumpScope::All), @"mysqldump … --source-data=2 --set-gtid-purged=COMMENTED --databases shop");
        insta::assert_snapshot!(line("mysqldump  Ver 8.4.3 for Linux", ("8.4.3", "MySQL"), (true, true), DumpScope::SchemaOnly), @"mysqldump … --set-gtid-purged=OFF --no-data --databases shop");
    }

    #[test]
    fn a_database_can_not_pass_for_an_option() {
        let client = Client::read("mariadb-dump", MARIADB).unwrap();
        let server = ServerVersion::read("10.11.14-MariaDB", "").unwrap();
        let databases = ["-x; touch y".to_owned()];
        let survey = Survey::default();
        let choice = Choice {
            client: &client,
            server: &server,
            survey: &survey,
            scope: DumpScope::All,
            databases: &databases,
        };
        assert!(shown(&choice).ends_with("--databases -- '-x; touch y'"));
        let first = command(&choice, Path::new("/run/x.private")).args.remove(0);
        assert_eq!(
            first, "--defaults-file=/run/x.private",
            "an option file counts only as the first argument"
        );
    }
}
