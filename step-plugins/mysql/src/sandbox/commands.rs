//! How a sandbox is made: the commands and the first statements of each flavour, as pure functions.

use std::path::Path;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::{CommandSpec, Secret};

use super::SandboxSpec;
use super::directory::SandboxDirectory;
use crate::connection::quote_string;

/// Where the server listens besides its port, in the data directory.
pub(super) const SOCKET: &str = "server.sock";

/// The programs a sandbox of a flavour needs, and the Debian package that has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Programs {
    /// Makes the data directory.
    pub(crate) installer: &'static str,
    pub(crate) server: &'static str,
    pub(crate) package: &'static str,
}

impl Programs {
    pub(crate) fn of(flavour: Flavour) -> Self {
        match flavour {
            Flavour::Mariadb => {
                Self { installer: "mariadb-install-db", server: "mariadbd", package: "mariadb-server" }
            }
            Flavour::Mysql => Self { installer: "mysqld", server: "mysqld", package: "mysql-server" },
        }
    }
}

/// Sizes for a server that holds little and starts fast.
fn small(flavour: Flavour) -> [&'static str; 2] {
    let log = match flavour {
        Flavour::Mariadb => "--innodb-log-file-size=16M",
        // Known from 8.0.30 on.
        Flavour::Mysql => "--loose-innodb-redo-log-capacity=16M",
    };
    ["--innodb-buffer-pool-size=32M", log]
}

/// What MySQL needs at every start: packages make its default folder for files, and only for their own server.
const NO_FILES: &str = "--secure-file-priv=NULL";

/// Says whether the server would run as root, which it only does when told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunsAs {
    Root,
    User,
}

/// Gives the command that makes the data directory.
pub(crate) fn install_command(
    program: &Path,
    directory: &SandboxDirectory,
    flavour: Flavour,
    runs_as: RunsAs,
) -> CommandSpec {
    let spec = CommandSpec::new(program).arg("--no-defaults");
    let spec = match flavour {
        Flavour::Mariadb => spec.args(["--auth-root-authentication-method=normal", "--skip-test-db"]),
        // Without the doublewrite buffer it takes half the time, and what is cut off is made anew.
        Flavour::Mysql => spec.args(["--initialize-insecure", "--innodb-doublewrite=OFF", NO_FILES]),
    };
    let spec = spec
        .arg(format!("--datadir={}", directory.data().display()))
        .arg(format!("--tmpdir={}", directory.temporary().display()))
        .args(small(flavour));
    as_user(spec, runs_as)
}

/// Gives the command that starts the server. `init_file` is read before the first connection is accepted.
pub(crate) fn server_command(
    program: &Path,
    directory: &SandboxDirectory,
    spec: &SandboxSpec,
    runs_as: RunsAs,
    init_file: Option<&Path>,
) -> CommandSpec {
    let command = CommandSpec::new(program)
        .arg("--no-defaults")
        .arg(format!("--datadir={}", directory.data().display()))
        .arg(format!("--tmpdir={}", directory.temporary().display()))
        // Relative to the data directory: an absolute path may exceed the 107 bytes of a socket's name.
        .arg(format!("--socket={SOCKET}"))
        .arg(format!("--port={}", spec.login.port))
        .arg(format!("--bind-address={}", bind_address(&spec.login.host)))
        .arg(format!("--pid-file={}", directory.pid_file().display()))
        .arg(format!("--server-id={}", spec.server_id))
        .args(["--log-bin=bin", "--skip-name-resolve", "--performance-schema=0"]);
    let command = match spec.flavour {
        Flavour::Mariadb => {
            command.args(["--log-slave-updates", "--binlog-format=ROW", "--gtid-strict-mode=1"])
        }
        // Its X protocol, known from 8.0.11 on, would listen on a port of its own. Row by row it logs by default, and what
        // replicas apply only from 8.0 on.
        Flavour::Mysql => command
            .args(["--loose-mysqlx=OFF", "--loose-log-slave-updates", NO_FILES])
            .args(["--gtid-mode=ON", "--enforce-gtid-consistency=ON"]),
    };
    let command = as_user(command.args(small(spec.flavour)), runs_as);
    let command = match init_file {
        Some(path) => command.arg(format!("--init-file={}", path.display())),
        None => command,
    };
    command.args(&spec.options)
}

fn as_user(spec: CommandSpec, runs_as: RunsAs) -> CommandSpec {
    match runs_as {
        RunsAs::Root => spec.arg("--user=root"),
        RunsAs::User => spec,
    }
}

/// Gives the address a server for a target on this host listens on.
fn bind_address(host: &str) -> &str {
    if host == "localhost" { "127.0.0.1" } else { host }
}

/// Gives the statements of the first start: the target's account instead of every account that the installer
/// made (they have no password), and the replication account when there is one.
///
/// One statement a line, as the server reads an init file. Nothing of it reaches the binary log, so the GTID
/// position of a new sandbox is empty.
pub(crate) fn first_statements(spec: &SandboxSpec) -> Secret {
    let mut lines = vec!["SET sql_mode = '', sql_log_bin = 0;".to_owned()];
    let without_accounts: &[&str] = match spec.flavour {
        Flavour::Mariadb => &[
            "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';",
            "DELETE FROM mysql.proxies_priv;",
            "FLUSH PRIVILEGES;",
        ],
        // The only one that can be entered (MySQL manual, "Reserved Accounts": the others are locked).
        Flavour::Mysql => &["DROP USER 'root'@'localhost';"],
    };
    lines.extend(without_accounts.iter().map(ToString::to_string));
    let mut account = |user: &str, password: &str, privileges: &str| {
        for host in [bind_address(&spec.login.host), "localhost"] {
            let account = format!("{}@{}", quote_string(user), quote_string(host));
            lines.push(format!("CREATE USER {account} IDENTIFIED BY {};", quote_string(password)));
            lines.push(privileges.replace("ACCOUNT", &account));
        }
    };
    let password = spec.login.password.as_ref().map_or("", Secret::expose);
    account(&spec.login.user, password, "GRANT ALL PRIVILEGES ON *.* TO ACCOUNT WITH GRANT OPTION;");
    if let Some(replication) = &spec.replication {
        account(
            &replication.user,
            replication.password.expose(),
            "GRANT REPLICATION SLAVE ON *.* TO ACCOUNT;",
        );
    }
    lines.push(String::new());
    Secret::new(lines.join("\n"))
}

/// Options of a server on files of another one: it follows nobody, and takes over no settings that were persisted there.
pub(crate) const ON_FILES: [&str; 3] =
    ["--loose-skip-slave-start", "--loose-skip-replica-start", "--loose-persisted-globals-load=OFF"];

/// Gives the statements of every start on files of another server: the target's account beside those that it has.
pub(crate) fn account_statements(spec: &SandboxSpec) -> Secret {
    let mut lines = vec!["SET sql_mode = '', sql_log_bin = 0;".to_owned()];
    let password = quote_string(spec.login.password.as_ref().map_or("", Secret::expose));
    for host in [bind_address(&spec.login.host), "localhost"] {
        let account = format!("{}@{}", quote_string(&spec.login.user), quote_string(host));
        lines.push(format!("CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {password};"));
        lines.push(format!("ALTER USER {account} IDENTIFIED BY {password} ACCOUNT UNLOCK;"));
        lines.push(format!("GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;"));
    }
    lines.push(String::new());
    Secret::new(lines.join("\n"))
}

/// Options that a sandbox sets by itself, because its promises hang on them.
const OWN_OPTIONS: [&str; 14] = [
    "datadir",
    "tmpdir",
    "socket",
    "port",
    "bind-address",
    "pid-file",
    "init-file",
    "initialize-insecure",
    "user",
    "defaults-file",
    "defaults-extra-file",
    "no-defaults",
    "skip-grant-tables",
    "server-id",
];

/// Tells what is wrong with an extra option, if anything.
pub(crate) fn refuse_option(option: &str) -> Option<&'static str> {
    let Some(name) = option.strip_prefix("--") else { return Some("it does not begin with `--`") };
    let name = name.split('=').next().unwrap_or_default().replace('_', "-");
    OWN_OPTIONS.contains(&name.as_str()).then_some("the sandbox sets it by itself")
}
