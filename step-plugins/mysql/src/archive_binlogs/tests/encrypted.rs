//! Servers that encrypt their logs: what is archived is not, and can be replayed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rekindle_engine::host::{
    CommandSpec, PrivateFile, ProcessError, Processes, RunningProcess, Secret, Standby,
};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "1;770A8A65DA156D24EE2A093277530142\n").unwrap();
    let file = format!("--file-key-management-filename={}", keys.path().display());
    let options = ["--plugin-load-add=file_key_management", &file, "--encrypt-binlog=1"];
    let server = TempServer::start_with("primary", &processes(), &options).await.unwrap();
    assert_logs_are_archived_as_plain_text(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql() {
    let folder = tempfile::tempdir().unwrap();
    let own = WithKeyring::install(folder.path());
    let options = ["--binlog-encryption=ON"];
    let server = TempServer::start_of(Flavour::Mysql, "primary", &own, &options).await.unwrap();
    assert_logs_are_archived_as_plain_text(&server).await;
}

async fn assert_logs_are_archived_as_plain_text(server: &TempServer) {
    let fresh = server_of(server.flavour(), "fresh").await;
    let lab = Lab::of(&[server, &fresh]);
    tell(server, &TABLE).await;
    lab.back_up("b1").await;
    tell(server, &["INSERT INTO shop.t (v) VALUES ('a needle in a stack')"]).await;
    let has_needle = |bytes: &[u8]| bytes.windows(8).any(|window| window == b"a needle");
    let on_disk = std::fs::read(server.directory().join("data/bin.000001")).unwrap();
    assert!(!has_needle(&on_disk));

    assert_eq!(lab.archive().await.transactions, 3);
    let timeline = lab.timelines().await.remove(0);
    assert!(has_needle(&lab.log(&timeline, 0)));
    // In the middle of a log too, and over to the next.
    tell(server, &[ROW]).await;
    lab.try_archive(json!({ "follow": true, "stop_after": "0s" })).await.unwrap();
    tell(server, &[ROW]).await;
    lab.archive().await;
    let timelines = lab.timelines().await;
    assert_eq!(timelines.len(), 1);
    let segments = &timelines[0].segments;
    assert_eq!(segments.iter().map(|segment| segment.transactions).sum::<u64>(), 5);
    assert_eq!(rekindle_backup::binlog::chain::gaps(segments), []);

    lab.restore("b1").await;
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    let rows = "SELECT GROUP_CONCAT(v ORDER BY id) FROM shop.t";
    assert_eq!(ask(&fresh, rows).await, ask(server, rows).await);
}

/// A MySQL of its own with a keyring. Which components it loads stands beside the program, and how beside the plugins
/// (MySQL manual, "Keyring Component Installation"): neither may change for the other tests.
struct WithKeyring {
    inner: Arc<dyn Processes>,
    mysqld: PathBuf,
}

impl WithKeyring {
    fn install(into: &Path) -> Arc<dyn Processes> {
        let inner = processes();
        let script = inner.find("mysqld").expect("MySQL is first on PATH");
        let installed = script.parent().unwrap().parent().unwrap();
        let programs = installed.join("programs");
        let plugins = PathBuf::from("programs/lib/mysql/plugin");
        for folder in [Path::new("bin"), Path::new("programs/sbin"), &plugins] {
            std::fs::create_dir_all(into.join(folder)).unwrap();
        }
        for name in ["lib", "programs/share"] {
            std::os::unix::fs::symlink(installed.join(name), into.join(name)).unwrap();
        }
        std::fs::copy(&script, into.join("bin/mysqld")).unwrap();
        for program in ["sbin/mysqld", "lib/mysql/plugin/component_keyring_file.so"] {
            let to = into.join("programs").join(program);
            // Another file system has no links to this one.
            if std::fs::hard_link(programs.join(program), &to).is_err() {
                std::fs::copy(programs.join(program), &to).unwrap();
            }
        }
        let manifest = r#"{ "components": "file://component_keyring_file" }"#;
        std::fs::write(into.join("programs/sbin/mysqld.my"), manifest).unwrap();
        let keyring = json!({ "path": into.join("keyring"), "read_only": false }).to_string();
        std::fs::write(into.join(plugins).join("component_keyring_file.cnf"), keyring).unwrap();
        Arc::new(Self { inner, mysqld: into.join("bin/mysqld") })
    }
}

impl Processes for WithKeyring {
    fn start(&self, spec: &CommandSpec) -> Result<Box<dyn RunningProcess>, ProcessError> {
        self.inner.start(spec)
    }

    fn start_detached(&self, spec: &CommandSpec, log: &Path) -> Result<i32, ProcessError> {
        self.inner.start_detached(spec, log)
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        if program == "mysqld" { Some(self.mysqld.clone()) } else { self.inner.find(program) }
    }

    fn private_file(&self, contents: &Secret) -> std::io::Result<Box<dyn PrivateFile>> {
        self.inner.private_file(contents)
    }

    fn if_killed(&self, spec: &CommandSpec) -> Box<dyn Standby> {
        self.inner.if_killed(spec)
    }
}
