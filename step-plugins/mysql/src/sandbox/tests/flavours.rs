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
