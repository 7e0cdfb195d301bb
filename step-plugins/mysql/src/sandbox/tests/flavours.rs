//! Which server a sandbox is of.

use super::super::testing::TempServer;
use super::*;

#[tokio::test]
async fn mariadbs_mysqld_makes_no_sandbox_of_mysql() {
    let folder = tempfile::tempdir().unwrap();
    let world = testing::world();
    let said = "mysqld  Ver 10.11.19-MariaDB-log for debian-linux-gnu on x86_64 (Debian 12)";
    for program in ["mysqld", "/usr/bin/mysqld"] {
        world.processes.answer(program, testing::Answer::success(said));
    }
    let spec = spec_of(Flavour::Mysql, &folder.path().join("s"));
    let error = spec.check(&world.world.processes).await.unwrap_err();
    insta::assert_snapshot!(error, @"`mysqld` on PATH is not MySQL's (mysqld  Ver 10.11.19-MariaDB-log for debian-linux-gnu on x86_64 (Debian 12))");
}

#[tokio::test]
async fn a_sandbox_of_the_other_flavour_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("s");
    let made = SandboxDirectory::at(&directory).unwrap();
    made.create().unwrap();
    made.mark(&Marker { format: 1, initialised: true, port: 1, server_id: 1, flavour: Flavour::Mysql })
        .unwrap();
    let error = bring_up(&spec_in(&directory)).await.unwrap_err();
    assert_eq!(error.code(), "rekindle::sandbox::other_flavour");
    let text = error.to_string().replace(&made.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text, @"the sandbox `DIR` is of MySQL, not of MariaDB");
}

#[test]
fn a_marker_of_before_there_were_flavours_is_mariadbs() {
    let marker: Marker =
        serde_json::from_str(r#"{"format":1,"initialised":true,"port":3306,"server_id":1}"#).unwrap();
    assert_eq!(marker.flavour, Flavour::Mariadb);
}

#[test]
fn the_plan_shows_the_commands_of_the_flavour_once_it_is_known() {
    let shown = |params: serde_json::Value| {
        let intent = Sandbox.plan(&planned(&params)).unwrap();
        format!("{}\n{}", intent.summary, intent.commands.join("\n"))
    };
    insta::assert_snapshot!(shown(serde_json::json!({ "target": "new", "directory": "box", "flavour": "mysql" })), @"
    start a throw-away MySQL for new in box
    mysqld --initialize-insecure --datadir=box/data
    mysqld --datadir=box/data --bind-address=127.0.0.1
    ");
    insta::assert_snapshot!(shown(serde_json::json!({ "target": "new", "directory": "box" })), @"
    start a throw-away MariaDB for new in box
    mariadb-install-db --datadir=box/data
    mariadbd --datadir=box/data --bind-address=127.0.0.1
    ");
    let later = "(known after find)".to_owned();
    let rendered = serde_json::json!({ "target": "new", "directory": "box", "flavour": later });
    let unknown = [("/flavour".to_owned(), later)].into();
    let intent = Sandbox.plan(&Planned::partly_known(rendered, unknown)).unwrap();
    assert_eq!(intent.summary, "start a throw-away server for new in box");
    assert_eq!(intent.commands, [""; 0]);
}

#[test]
fn every_version_of_a_flavour_starts_with_the_same_options() {
    let directory = SandboxDirectory::at(Path::new("/box")).unwrap();
    let shown = |flavour| {
        let mut spec = spec_of(flavour, Path::new("/box"));
        spec.login.port = 3307;
        spec.server_id = 7;
        let programs = Programs::of(flavour);
        let (installer, server) = (Path::new(programs.installer), Path::new(programs.server));
        let install = commands::install_command(installer, &directory, flavour, RunsAs::User);
        let start = commands::server_command(server, &directory, &spec, RunsAs::Root, None);
        format!("{}\n{}", install.display(), start.display())
    };
    // What not every version from 10.3 and from 5.7 on knows is loose: the others only warn of it.
    insta::assert_snapshot!(shown(Flavour::Mariadb), @"
    mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db --datadir=/box/data --tmpdir=/box/tmp --innodb-buffer-pool-size=32M --innodb-log-file-size=16M
    mariadbd --no-defaults --datadir=/box/data --tmpdir=/box/tmp --socket=server.sock --port=3307 --bind-address=127.0.0.1 --pid-file=/box/pid --server-id=7 --log-bin=bin --skip-name-resolve --performance-schema=0 --log-slave-updates --binlog-format=ROW --gtid-strict-mode=1 --innodb-buffer-pool-size=32M --innodb-log-file-size=16M --user=root
    ");
    insta::assert_snapshot!(shown(Flavour::Mysql), @"
    mysqld --no-defaults --initialize-insecure --innodb-doublewrite=OFF --secure-file-priv=NULL --datadir=/box/data --tmpdir=/box/tmp --innodb-buffer-pool-size=32M --loose-innodb-redo-log-capacity=16M
    mysqld --no-defaults --datadir=/box/data --tmpdir=/box/tmp --socket=server.sock --port=3307 --bind-address=127.0.0.1 --pid-file=/box/pid --server-id=7 --log-bin=bin --skip-name-resolve --performance-schema=0 --loose-mysqlx=OFF --loose-log-slave-updates --secure-file-priv=NULL --gtid-mode=ON --enforce-gtid-consistency=ON --innodb-buffer-pool-size=32M --loose-innodb-redo-log-capacity=16M --user=root
    ");
}

/// `caching_sha2_password` sends the password itself when it does not know it yet: over TLS, or encrypted with the server's
/// key (MySQL manual, "Caching SHA-2 Pluggable Authentication").
mod a_server_without_tls_is_entered_too {
    use super::*;

    #[tokio::test]
    async fn mysql() {
        let options = ["--tls-version="];
        let server = TempServer::start_of(Flavour::Mysql, "primary", &processes(), &options).await.unwrap();
        let mut open = server.login().connect().await.unwrap();
        let tls: Vec<(String, String)> =
            open.session.rows("look", "SHOW STATUS LIKE 'Ssl_cipher'").await.unwrap();
        assert_eq!(tls, [("Ssl_cipher".to_owned(), String::new())]);
        // The cache is empty again: the key is asked for.
        open.session.run("forget", "FLUSH PRIVILEGES").await.unwrap();
        server.login().connect().await.unwrap().session.close().await;
    }
}

/// MySQL writes its number beside its socket, and takes whoever has got it meanwhile for the server.
mod a_killed_server_starts_again_though_another_process_has_its_number {
    use super::*;

    #[tokio::test]
    async fn mysql() {
        let mut server = TempServer::start_of(Flavour::Mysql, "primary", &processes(), &[]).await.unwrap();
        server.kill().await.unwrap();
        let ours = format!("{}\n", std::process::id());
        std::fs::write(server.directory().join("data/server.sock.lock"), ours).unwrap();

        server.start_again().await.unwrap();

        server.login().connect().await.unwrap().session.close().await;
    }
}
