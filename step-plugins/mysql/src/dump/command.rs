//! The command line of a dump, as a pure function of client, server and scope.
//!
//! Sources: MySQL 5.7, 8.0, 8.4 and 9 reference manuals, "mysqldump"; MariaDB manual, "mariadb-dump".

use std::path::Path;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::CommandSpec;

use super::DumpScope;
use super::choose::Chosen;
use super::client::Client;
use super::survey::{Survey, Versioned, some};
use crate::flavour::ServerVersion;

/// Everything that decides on the options.
pub(super) struct Choice<'a> {
    pub(super) client: &'a Client,
    pub(super) server: &'a ServerVersion,
    pub(super) survey: &'a Survey,
    pub(super) scope: DumpScope,
    pub(super) chosen: &'a Chosen,
}

/// How many of the tables that are left out a command line for people shows.
const SHOWN_LEFT_OUT: usize = 10;

impl Choice<'_> {
    /// Tells whether old rows of system-versioned tables are dumped too. The client refuses those of transactions.
    pub(super) fn keeps_history(&self) -> bool {
        let versioned = &self.chosen.versioned;
        self.scope.has_rows()
            && !versioned.is_empty()
            && versioned.iter().all(|one| !one.by_transaction)
            && self.client.dumps_history(self.server)
    }

    /// What is worth a warning: no reason to fail, but no one should find it out after a disaster.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.scope.has_rows() {
            return warnings;
        }
        if !self.survey.not_transactional.is_empty() {
            warnings.push(format!(
                "{} may be dumped in another state than the rest: one transaction does not cover their engines",
                some(&self.survey.not_transactional)
            ));
        }
        let versioned = &self.chosen.versioned;
        if versioned.is_empty() || self.keeps_history() {
            return warnings;
        }
        let names = |of: &mut dyn Iterator<Item = &Versioned>| {
            some(&of.map(|one| format!("{}.{}", one.database, one.table)).collect::<Vec<_>>())
        };
        let by_transaction = names(&mut versioned.iter().filter(|one| one.by_transaction));
        let why = if by_transaction.is_empty() {
            format!("{} and the server must be of MariaDB 10.11 at least for it", self.client.program)
        } else {
            format!("{} can't dump that of {by_transaction}, which is by transactions", self.client.program)
        };
        warnings.push(format!(
            "the history of system-versioned tables is not dumped, only their current rows: {}; {why}",
            names(&mut versioned.iter())
        ));
        warnings
    }
}

/// Gives the command line; `login` is the option file, which has to come first.
pub(super) fn command(choice: &Choice<'_>, login: &Path) -> CommandSpec {
    let left_out = choice.chosen.left_out.iter().map(|name| format!("--ignore-table={name}")).collect();
    CommandSpec::new(choice.client.program)
        .arg(format!("--defaults-file={}", login.display()))
        .args(options(choice, left_out))
}

/// Gives the command line as plans, manifests and people see it.
pub(super) fn shown(choice: &Choice<'_>) -> String {
    let all = &choice.chosen.left_out;
    let mut left_out: Vec<String> =
        all.iter().take(SHOWN_LEFT_OUT).map(|name| format!("--ignore-table={name}")).collect();
    if let Some(more) = all.len().checked_sub(SHOWN_LEFT_OUT).filter(|more| *more > 0) {
        left_out.push(format!("--ignore-table=… ({more} more)"));
    }
    CommandSpec::new(choice.client.program)
        .arg("--defaults-file=LOGIN")
        .args(options(choice, left_out))
        .display()
}

fn options(choice: &Choice<'_>, left_out: Vec<String>) -> Vec<String> {
    // One snapshot of all InnoDB tables, and no lock while it is read.
    let mut options = vec!["--single-transaction".to_owned()];
    if choice.scope.has_events() {
        options.extend(["--routines", "--events"].map(str::to_owned));
    }
    let usual = [
        "--triggers",
        // Binary columns survive every character set on the way.
        "--hex-blob",
        // Tablespaces need the PROCESS privilege (8.0.21) and are of no use on another server.
        "--no-tablespaces",
        "--default-character-set=utf8mb4",
        // A row may be as large as the protocol allows; the default of 24 or 16 MiB fails on larger ones.
        "--max-allowed-packet=1G",
    ];
    options.extend(usual.map(str::to_owned));
    options.extend(coordinates(choice).into_iter().map(str::to_owned));
    // Clients from 8.0 on ask for histograms, which older servers don't have.
    if choice.client.flavour == Flavour::Mysql
        && choice.client.number >= (8, 0, 2)
        && choice.server.number < (8, 0, 0)
    {
        options.push("--column-statistics=0".to_owned());
    }
    if choice.keeps_history() {
        options.push("--dump-history".to_owned());
    }
    if !choice.scope.has_rows() {
        options.push("--no-data".to_owned());
    }
    options.extend(left_out);
    options.push("--databases".to_owned());
    let databases = &choice.chosen.databases;
    if databases.iter().any(|name| name.starts_with('-')) {
        options.push("--".to_owned());
    }
    options.extend(databases.iter().cloned());
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
    use std::collections::BTreeSet;

    use super::*;

    fn line(client: &str, server: (&str, &str), survey: (bool, bool), scope: DumpScope) -> String {
        let client =
            Client::read(if client.contains("Maria") { "mariadb-dump" } else { "mysqldump" }, client)
                .unwrap();
        let server = ServerVersion::read(server.0, server.1).unwrap();
        let survey = Survey { log_bin: survey.0, gtid_mode: survey.1, ..Survey::default() };
        let chosen = Chosen { databases: vec!["shop".to_owned()], ..Chosen::default() };
        let choice = Choice { client: &client, server: &server, survey: &survey, scope, chosen: &chosen };
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

    /// Gives the command line and the warnings of a dump of one table beside many, one of them versioned.
    fn of_versioned(client: &str, server: &str, by_transaction: bool) -> String {
        let client = Client::read("mariadb-dump", client).unwrap();
        let server = ServerVersion::read(server, "").unwrap();
        let survey = Survey::default();
        let versioned = |table: &str, by_transaction| Versioned {
            database: "shop".to_owned(),
            table: table.to_owned(),
            by_transaction,
        };
        let chosen = Chosen {
            databases: vec!["shop".to_owned()],
            tables: Some(BTreeSet::new()),
            left_out: (1..=12).map(|n| format!("shop.t{n}")).collect(),
            versioned: vec![versioned("a", false), versioned("b", by_transaction)],
        };
        let scope = DumpScope::Tables;
        let choice = Choice { client: &client, server: &server, survey: &survey, scope, chosen: &chosen };
        let whole = command(&choice, Path::new("LOGIN")).display();
        assert_eq!(whole.matches("--ignore-table=shop.t").count(), 12);
        [vec![shown(&choice)], choice.warnings()].concat().join("\n")
    }

    #[test]
    fn history_is_dumped_where_client_and_server_know_how_and_its_lack_is_told() {
        insta::assert_snapshot!(of_versioned(MARIADB, "10.11.14-MariaDB", false), @"mariadb-dump --defaults-file=LOGIN --single-transaction --triggers --hex-blob --no-tablespaces --default-character-set=utf8mb4 --max-allowed-packet=1G --dump-history --ignore-table=shop.t1 --ignore-table=shop.t2 --ignore-table=shop.t3 --ignore-table=shop.t4 --ignore-table=shop.t5 --ignore-table=shop.t6 --ignore-table=shop.t7 --ignore-table=shop.t8 --ignore-table=shop.t9 --ignore-table=shop.t10 '--ignore-table=… (2 more)' --databases shop");
        insta::assert_snapshot!(of_versioned(MARIADB, "10.11.14-MariaDB", true), @r"
        mariadb-dump --defaults-file=LOGIN --single-transaction --triggers --hex-blob --no-tablespaces --default-character-set=utf8mb4 --max-allowed-packet=1G --ignore-table=shop.t1 --ignore-table=shop.t2 --ignore-table=shop.t3 --ignore-table=shop.t4 --ignore-table=shop.t5 --ignore-table=shop.t6 --ignore-table=shop.t7 --ignore-table=shop.t8 --ignore-table=shop.t9 --ignore-table=shop.t10 '--ignore-table=… (2 more)' --databases shop
        the history of system-versioned tables is not dumped, only their current rows: shop.a, shop.b; mariadb-dump can't dump that of shop.b, which is by transactions
        ");
        insta::assert_snapshot!(of_versioned(MARIADB, "10.6.18-MariaDB", false), @r"
        mariadb-dump --defaults-file=LOGIN --single-transaction --triggers --hex-blob --no-tablespaces --default-character-set=utf8mb4 --max-allowed-packet=1G --ignore-table=shop.t1 --ignore-table=shop.t2 --ignore-table=shop.t3 --ignore-table=shop.t4 --ignore-table=shop.t5 --ignore-table=shop.t6 --ignore-table=shop.t7 --ignore-table=shop.t8 --ignore-table=shop.t9 --ignore-table=shop.t10 '--ignore-table=… (2 more)' --databases shop
        the history of system-versioned tables is not dumped, only their current rows: shop.a, shop.b; mariadb-dump and the server must be of MariaDB 10.11 at least for it
        ");
    }

    #[test]
    fn a_database_can_not_pass_for_an_option() {
        let client = Client::read("mariadb-dump", MARIADB).unwrap();
        let server = ServerVersion::read("10.11.14-MariaDB", "").unwrap();
        let chosen = Chosen { databases: vec!["-x; touch y".to_owned()], ..Chosen::default() };
        let survey = Survey::default();
        let choice = Choice {
            client: &client,
            server: &server,
            survey: &survey,
            scope: DumpScope::All,
            chosen: &chosen,
        };
        assert!(shown(&choice).ends_with("--databases -- '-x; touch y'"));
        let first = command(&choice, Path::new("/run/x.private")).args.remove(0);
        assert_eq!(
            first, "--defaults-file=/run/x.private",
            "an option file counts only as the first argument"
        );
    }
}
