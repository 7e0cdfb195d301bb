//! Six tables of a million rows to a dump and back, beside `mariadb-dump | gzip` and `gunzip | mariadb`.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::measure::{Measured, measure, spread};
use super::servers::Programs;

const TABLES: u32 = 6;
const ROWS: u32 = 1_000_000;
const LOOK: Duration = Duration::from_millis(50);
const START_LIMIT: Duration = Duration::from_mins(1);

const BACKUP: &str = "
version: 1.0.0
values: { id: { type: string } }
steps:
  - id: full
    uses: mysql.dump
    with: { target: server, store: bench, name: full, scope: databases, databases: [bench], id: '{{ values.id }}' }
";

const PUBLISH: &str = "
version: 1.0.0
values: { id: { type: string } }
steps:
  - { id: facts, uses: mysql.inspect, with: { target: server, store: bench, id: '{{ values.id }}' } }
  - id: publish
    uses: backup.publish
    needs: [facts]
    with: { store: bench, id: '{{ values.id }}', objects: [full] }
";

const RESTORE: &str = "
version: 1.0.0
values: { id: { type: string } }
steps:
  - id: restore
    uses: mysql.restore
    with: { backup: 'backup://bench/bench/{{ values.id }}', target: server, overwrite: true }
";

/// A MariaDB in a folder of its own.
struct Server {
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Server {
    fn start(folder: &Path) -> Result<Self> {
        let folder = folder.join("server");
        std::fs::create_dir_all(&folder)?;
        let data = format!("--datadir={}", folder.join("data").display());
        let made = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
                &data,
            ])
            .stdout(Stdio::null())
            .status()
            .context("failed to start mariadb-install-db")?;
        ensure!(made.success(), "mariadb-install-db ended with {made}");
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = std::fs::File::create(folder.join("log"))?;
        let child = Command::new("mariadbd")
            .args([
                "--no-defaults",
                "--user=root",
                &data,
                "--bind-address=127.0.0.1",
                "--server-id=1",
                "--log-bin=bin",
            ])
            .args(["--skip-name-resolve", "--innodb-buffer-pool-size=1G", "--innodb-log-file-size=512M"])
            .args(["--max-allowed-packet=64M", &format!("--port={port}")])
            .arg(format!("--socket={}", folder.join("socket").display()))
            .stderr(log)
            .spawn()
            .context("failed to start mariadbd")?;
        let server = Self { folder, port, child };
        let begun = Instant::now();
        while server.sql("SELECT 1").is_err() {
            ensure!(begun.elapsed() < START_LIMIT, "the server did not start");
            std::thread::sleep(LOOK);
        }
        Ok(server)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("--no-defaults")
            .arg("-uroot")
            .arg(format!("--socket={}", self.folder.join("socket").display()));
        command
    }

    fn sql(&self, text: &str) -> Result<String> {
        let output = self.client("mariadb").args(["-N", "-e", text]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Fills it: every row follows from its number.
    fn fill(&self) -> Result<()> {
        self.sql("SET PASSWORD FOR root@localhost = ''; CREATE DATABASE bench CHARACTER SET utf8mb4")?;
        for table in 1..=TABLES {
            self.sql(&format!(
                "CREATE TABLE bench.t{table} (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, \
                 placed DATETIME NOT NULL, amount DECIMAL(12,2) NOT NULL, state VARCHAR(16) NOT NULL, note VARCHAR(200) \
                 NOT NULL, KEY customer (customer), KEY placed (placed, state)); \
                 INSERT INTO bench.t{table} SELECT seq, CRC32(CONCAT(seq, 'c{table}')) % 100000, '2020-01-01' + INTERVAL \
                 (CRC32(CONCAT(seq, 'p{table}')) % 150000000) SECOND, (CRC32(seq * 7 + {table}) % 10000000) / 100, \
                 ELT(1 + CRC32(seq + {table}) % 5, 'new', 'paid', 'packed', 'sent', 'returned'), \
                 CONCAT(SHA1(CONCAT(seq, 'n{table}')), ' ', SHA1(CONCAT(seq, 'm{table}')), ' order of ', seq) \
                 FROM bench.seq_1_to_{ROWS}"
            ))?;
        }
        Ok(())
    }

    fn checksums(&self) -> Result<String> {
        let tables: Vec<_> = (1..=TABLES).map(|table| format!("bench.t{table}")).collect();
        self.sql(&format!("CHECKSUM TABLE {}", tables.join(", ")))
    }

    /// Writes what was written to disk, so that no measurement pays for the one before it.
    fn settle(&self) -> Result<()> {
        self.sql("FLUSH TABLES").map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Everything of it is removed with its folder.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures dumps.
pub(super) fn dump(programs: &Programs, rounds: u8) -> Result<()> {
    let place = Place::new()?;
    let (mut ours, mut checked, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        ours.push(measure(&mut place.run(programs, "backup", &format!("id=d{round}")))?);
        checked.push(measure(&mut place.run(programs, "checked", &format!("id=c{round}")))?);
        let text = format!(
            "mariadb-dump {} --single-transaction --routines --events --triggers --hex-blob --databases bench | gzip > peer.sql.gz",
            place.login()
        );
        theirs.push(measure(&mut place.shell(&text))?);
        std::fs::remove_dir_all(place.folder.path().join("store"))?;
        std::fs::remove_file(place.folder.path().join("peer.sql.gz"))?;
    }
    say("dump   ", "mariadb-dump | gzip", &ours, &theirs);
    say("dump with checksums", "mariadb-dump | gzip", &checked, &theirs);
    Ok(())
}

/// Measures restores of one dump.
pub(super) fn restore(programs: &Programs, rounds: u8) -> Result<()> {
    let place = Place::new()?;
    for runbook in ["backup", "publish"] {
        measure(&mut place.run(programs, runbook, "id=b1"))?;
    }
    let checksums = place.server.checksums()?;
    let dump = place.folder.path().join("store/backups/bench/b1/full.sql.gz");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        place.server.sql("SET sql_log_bin = 0; DROP DATABASE bench")?;
        place.server.settle()?;
        ours.push(measure(&mut place.run(programs, "restore", "id=b1"))?);
        ensure!(place.server.checksums()? == checksums, "what rekindle restored is not what was dumped");
        place.server.sql("SET sql_log_bin = 0; DROP DATABASE bench")?;
        place.server.settle()?;
        let text = format!(
            "gunzip < '{}' | mariadb {} --init-command='SET sql_log_bin = 0'",
            dump.display(),
            place.login()
        );
        theirs.push(measure(&mut place.shell(&text))?);
        ensure!(place.server.checksums()? == checksums, "what mariadb restored is not what was dumped");
    }
    say("restore", "gunzip | mariadb", &ours, &theirs);
    Ok(())
}

fn say(what: &str, peer: &str, ours: &[Measured], theirs: &[Measured]) {
    let seconds = |all: &[Measured]| spread(&all.iter().map(|one| one.seconds).collect::<Vec<_>>());
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(our, their)| our.seconds / their.seconds).collect();
    let peak = ours.iter().map(|one| one.peak_mib).fold(0.0, f64::max);
    let ((our, our_least, our_most), (their, their_least, their_most)) = (seconds(ours), seconds(theirs));
    let (ratio, least, most) = spread(&ratios);
    println!(
        "  {what}  rekindle {our:.1} s ({our_least:.1}-{our_most:.1}), {peak:.0} MiB of memory; {peer} {their:.1} s \
         ({their_least:.1}-{their_most:.1}); ratio {ratio:.2} ({least:.2}-{most:.2})"
    );
}

/// A project with a server and a store.
struct Place {
    folder: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rekindle-bench-").tempdir()?;
        let server = Server::start(folder.path())?;
        println!("\n{TABLES} tables of {ROWS} rows, alternating");
        server.fill()?;
        server.sql("CREATE USER bench@'127.0.0.1' IDENTIFIED BY 'bench'; GRANT ALL ON *.* TO bench@'127.0.0.1' WITH GRANT OPTION")?;
        let head = |kind: &str, name: &str| format!("apiVersion: rekindle/v1\nkind: {kind}\nname: {name}");
        for folder in [folder.path().join("environments"), folder.path().join("runbooks")] {
            std::fs::create_dir_all(folder)?;
        }
        let password = folder.path().join("password");
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password)?;
        std::io::Write::write_all(&mut file, b"bench")?;
        let environment = format!(
            "{}\ntargets: {{ server: {{ host: 127.0.0.1, port: {}, user: bench, password: {{ secret: bench }} }} }}\n\
             secrets: {{ bench: {{ file: '{}' }} }}\nstores: {{ bench: {{ url: 'file://{}' }} }}\n",
            head("Environment", "bench"),
            server.port,
            password.display(),
            folder.path().join("store").display()
        );
        std::fs::write(folder.path().join("environments/bench.yaml"), environment)?;
        // As the shipped runbook `backup` has it.
        let checked = BACKUP.replace("name: full,", "name: full, checksums: true,");
        for (name, body) in
            [("backup", BACKUP), ("checked", &checked), ("publish", PUBLISH), ("restore", RESTORE)]
        {
            let path = folder.path().join(format!("runbooks/{name}.yaml"));
            std::fs::write(path, head("Runbook", name) + body)?;
        }
        Ok(Self { folder, server })
    }

    fn run(&self, programs: &Programs, runbook: &str, set: &str) -> Command {
        programs.rekindle(self.folder.path(), &["run", runbook, "-e", "bench", "--yes", "--set", set])
    }

    fn login(&self) -> String {
        format!("--no-defaults -ubench -pbench -h127.0.0.1 -P{}", self.server.port)
    }

    /// Prepares a pipe of programs, any of which may make it fail.
    fn shell(&self, text: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", text]).current_dir(self.folder.path());
        command
    }
}
