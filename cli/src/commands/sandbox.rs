//! `rekindle sandbox up|down|list`: a throw-away primary with replicas, and an environment to use them.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use rekindle_mysql::sandbox;
use serde_json::json;

use super::drive::Options;
use super::plan::What;
use super::run::{self, Consent};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::project::{EnvironmentArg, ValueArgs};
use crate::{embedded, output};

const ENVIRONMENT: &str = "environments/sandbox.yaml";
const SERVERS: &str = "servers";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a primary with replicas, and write an environment for them
    Up {
        /// The folder for servers, secrets, stores and the environment
        #[arg(default_value = "sandbox")]
        dir: PathBuf,
        /// How many replicas
        #[arg(long, default_value_t = 0)]
        replicas: u16,
        /// Which servers; their programs have to be on PATH
        #[arg(long, value_enum, default_value_t = Servers::Mariadb)]
        flavour: Servers,
        /// Use the password in this file for root, instead of a random one
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Stop the servers in a folder and remove their data; backups stay
    Down {
        /// The folder given to `up`
        #[arg(default_value = "sandbox")]
        dir: PathBuf,
    },
    /// List the servers in a folder
    List {
        /// The folder given to `up`
        #[arg(default_value = "sandbox")]
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Servers {
    Mariadb,
    Mysql,
}

impl Servers {
    /// As values and step parameters name it.
    fn name(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb",
            Self::Mysql => "mysql",
        }
    }
}

pub(crate) async fn sandbox(args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Up { dir, replicas, flavour, password_file } => {
            up(dir, *replicas, *flavour, password_file.as_deref()).await
        }
        Command::Down { dir } => down(dir).await,
        Command::List { dir, json } => list(dir, *json),
    }
}

async fn up(
    dir: &Path,
    replicas: u16,
    flavour: Servers,
    password_file: Option<&Path>,
) -> Result<Exit, Failure> {
    let dir = prepare(dir, replicas, flavour, password_file).map_err(|error| unwritable(dir, &error))?;
    let environment = dir.join(ENVIRONMENT);
    let what = What {
        runbook: embedded::SANDBOX_CLUSTER.to_owned(),
        environment: EnvironmentArg { environment: environment.display().to_string() },
        values: ValueArgs { set: Vec::new(), values: Vec::new() },
    };
    let exit = run::begin(&what, &dir.join(".rekindle"), Consent::Given, &Options::default()).await?;
    if exit == Exit::Done {
        output::print(&format!(
            "\nthe servers run; once the primary holds a database, use them with\n  rekindle run backup -e {0}\n  rekindle plan disaster-recovery -e {0}\nand stop them with\n  rekindle sandbox down {1}\n",
            environment.display(),
            dir.display()
        ));
    }
    Ok(exit)
}

fn unwritable(dir: &Path, error: &std::io::Error) -> Failure {
    Failure::input(format!("failed to prepare {}: {error}", dir.display()))
}

/// Writes secrets and the environment, once: an existing environment is used as it is.
fn prepare(
    dir: &Path,
    replicas: u16,
    flavour: Servers,
    password_file: Option<&Path>,
) -> std::io::Result<PathBuf> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true).mode(0o700).create(dir)?;
    let dir = dir.canonicalize()?;
    for part in ["environments", "secrets", SERVERS] {
        folder.create(dir.join(part))?;
    }
    if dir.join(ENVIRONMENT).exists() {
        return Ok(dir);
    }
    let root = match password_file {
        Some(file) => fs::read_to_string(file)?.trim_end_matches('\n').to_owned(),
        None => random_password()?,
    };
    write_private(&dir.join("secrets/root"), &root)?;
    write_private(&dir.join("secrets/replication"), &random_password()?)?;
    let ports = free_ports(usize::from(replicas) + 1)?;
    fs::write(dir.join(ENVIRONMENT), environment(&dir, flavour.name(), &ports))?;
    Ok(dir)
}

/// Holds all of them at once, so that they differ.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    let held: Vec<_> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<std::io::Result<_>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

/// 24 hexadecimal digits from the system's randomness.
fn random_password() -> std::io::Result<String> {
    let mut bytes = [0_u8; 12];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:024x}", bytes.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte))))
}

/// Writes the environment of servers of a flavour on these ports: a primary, then replicas.
pub(crate) fn environment(dir: &Path, flavour: &str, ports: &[u16]) -> String {
    // JSON strings are YAML double-quoted scalars: any path is safe.
    let path = |name: &str| serde_json::Value::from(dir.join(name).display().to_string()).to_string();
    let url = |name: &str| serde_json::Value::from(format!("file:{}", dir.join(name).display())).to_string();
    let names: Vec<String> = (0..ports.len())
        .map(|at| if at == 0 { "primary".to_owned() } else { format!("replica-{}", at - 1) })
        .collect();
    let mut targets = String::new();
    for (name, port) in names.iter().zip(ports) {
        let _ = writeln!(
            targets,
            "  {name}: {{ host: 127.0.0.1, port: {port}, user: root, password: {{ secret: root }} }}"
        );
    }
    format!(
        "# Written by `rekindle sandbox up`.\n\
         apiVersion: rekindle/v1\n\
         kind: Environment\n\
         name: sandbox\n\
         objectives: {{ rto: 1h, rpo: 15m }}\n\
         targets:\n{targets}\
         stores:\n  primary: {{ url: {} }}\n  offsite: {{ url: {} }}\n\
         secrets:\n  root: {{ file: {} }}\n  replication: {{ file: {} }}\n\
         values:\n  flavour: {flavour}\n  directory: {}\n  replicas: [{}]\n  copy_to: [offsite]\n  provision: sandbox\n  sandbox_dir: {}\n",
        url("store"),
        url("offsite"),
        path("secrets/root"),
        path("secrets/replication"),
        path(SERVERS),
        names[1..].join(", "),
        path(&format!("{SERVERS}/primary")),
    )
}

fn servers(dir: &Path) -> Result<Vec<sandbox::Listed>, Failure> {
    sandbox::list(&dir.join(SERVERS)).map_err(|error| Failure::failed(error.to_string()))
}

async fn down(dir: &Path) -> Result<Exit, Failure> {
    for server in servers(dir)? {
        sandbox::down(&server.directory).await.map_err(|error| Failure::failed(error.to_string()))?;
        output::line(&format!("stopped and removed {}", server.directory.display()));
    }
    Ok(Exit::Done)
}

fn list(dir: &Path, json: bool) -> Result<Exit, Failure> {
    let servers = servers(dir)?;
    if json {
        let rows: Vec<_> = servers
            .iter()
            .map(|server| {
                json!({
                    "directory": server.directory,
                    "flavour": server.flavour,
                    "port": server.port,
                    "server_id": server.server_id,
                    "pid": server.pid,
                })
            })
            .collect();
        output::json(&rows)?;
        return Ok(Exit::Done);
    }
    for server in servers {
        let state = server.pid.map_or("stopped".to_owned(), |pid| format!("runs as pid {pid}"));
        output::line(&format!("{}  port {}  {state}", server.directory.display(), server.port));
    }
    Ok(Exit::Done)
}
