//! Rows of a real server.

use rekindle_backup::dump::RowText as _;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{ErrorClass, StepError};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::dump::open_snapshot;
use crate::guard::blocking;
use crate::sandbox::testing::TempServer;
use crate::stall::Waiting;
use crate::testing::server_of;

async fn server() -> TempServer {
    let server = server_of(Flavour::Mariadb, "primary").await;
    let mut session = server.login().connect().await.unwrap().session;
    for statement in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, f FLOAT)",
        "CREATE TABLE shop.whole (id INT PRIMARY KEY, d DOUBLE)",
        "INSERT INTO shop.t VALUES (1, 16777216), (2, -0.5), (3, NULL)",
    ] {
        session.run("be seeded", statement).await.unwrap();
    }
    server
}

fn until(cancel: &CancellationToken) -> Until<'_> {
    Until { cancel, waiting: Waiting::default(), limit: std::time::Duration::from_mins(1) }
}

/// Asks for rows of tables, so many at a time, and then says that it is over.
async fn asked(
    server: &TempServer,
    wanted: &'static [(&str, u64)],
) -> Result<Vec<Option<String>>, StepError> {
    let mut session = server.login().connect().await.unwrap().session;
    let tables = FloatTable::all(&mut session, &["shop".to_owned()], |_, _| true, false).await.unwrap();
    let (mut exact, asked) = asking(tables.clone(), Waiting::default());
    let asking = blocking(move || {
        let mut given = Vec::new();
        for (table, rows) in wanted {
            let Ok(text) = exact.instead("shop", table, *rows) else { return given };
            given.push(text.map(|all| String::from_utf8(all.join(&b';')).unwrap()));
        }
        let _ = exact.over();
        given
    });
    session.run("begin", "START TRANSACTION").await.unwrap();
    let cancel = CancellationToken::new();
    let (given, end) = tokio::join!(asking, serve(Some(session), &tables, asked, until(&cancel)));
    end.map(|()| given.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_as_many_pieces_as_they_are_asked_for() {
    let server = server().await;

    let given = asked(&server, &[("t", 2), ("t", 1), ("whole", 5)]).await.unwrap();

    let head = "INSERT INTO `t` (`id`, `f`) VALUES\n";
    assert_eq!(given[0].as_deref(), Some(format!("{head}(1,16777216),\n(2,-0.5)").as_str()));
    assert_eq!(given[1].as_deref(), Some(format!("{head}(3,NULL)").as_str()));
    assert_eq!(given[2], None, "a table that loses nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_rows_than_the_client_has_is_an_error() {
    let server = server().await;
    for (wanted, how) in [
        (&[("t", 2)][..], "it has more rows"),
        (&[("t", 2), ("t", 2)], "it has fewer rows"),
        (&[("t", 4)], "it has fewer rows"),
    ] {
        let error = asked(&server, wanted).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert_eq!(
            error.message,
            format!(
                "shop.t was read a second time for the digits of its FLOAT columns, and {how} than in the client's dump"
            )
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_the_clients_text_stays() {
    let server = server().await;
    let mut session = server.login().connect().await.unwrap().session;
    let tables = FloatTable::all(&mut session, &["shop".to_owned()], |_, _| true, false).await.unwrap();
    let (mut exact, asked) = asking(tables.clone(), Waiting::default());
    let asking = blocking(move || exact.instead("shop", "t", 3).unwrap());
    let cancel = CancellationToken::new();
    let (given, end) = tokio::join!(asking, serve(None, &tables, asked, until(&cancel)));
    end.unwrap();
    assert_eq!(given.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_digits_take_more_room_come_in_more_statements() {
    let server = server().await;
    let mut session = server.login().connect().await.unwrap().session;
    let fill =
        "CREATE TABLE shop.many AS SELECT seq AS id, CAST(seq / 10 AS FLOAT) AS f FROM shop.seq_1_to_60000";
    session.run("fill", fill).await.unwrap();

    let given = asked(&server, &[("many", 60_000)]).await.unwrap().remove(0).unwrap();

    assert_eq!(given.matches("INSERT INTO `many`").count(), 2);
    assert_eq!(given.matches('(').count(), 60_000 + 2);
    assert!(given.contains("),\n(3,0.30000001192092896),\n"), "{}", &given[..200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_read_can_be_altered_and_who_waits_for_the_client_is_not_waited_for() {
    let server = server().await;
    let mut session = server.login().connect().await.unwrap().session;
    let names = ["shop".to_owned()];
    let tables = FloatTable::all(&mut session, &names, |_, _| true, false).await.unwrap();
    let (mut exact, asked) = asking(tables.clone(), Waiting::default());
    let session = open_snapshot(server.login()).await.unwrap();
    let login = server.login().clone();
    let asking = blocking(move || {
        exact.instead("shop", "t", 3).unwrap();
        exact.over().unwrap();
        let runtime = tokio::runtime::Handle::current();
        runtime.block_on(async {
            let mut other = login.connect().await.unwrap().session;
            other.run("wait no longer", "SET SESSION lock_wait_timeout = 5").await.unwrap();
            other.run("alter", "ALTER TABLE shop.t ADD COLUMN more INT").await.unwrap();
            other.run("lock", "LOCK TABLES shop.t WRITE").await.unwrap();
            let refused = tokio::task::spawn_blocking(move || exact.instead("shop", "t", 3)).await.unwrap();
            assert!(refused.is_err());
        });
    });
    let cancel = CancellationToken::new();
    let (asked, end) = tokio::join!(asking, serve(Some(session), &tables, asked, until(&cancel)));
    asked.unwrap();
    assert_eq!(end.unwrap_err().class, ErrorClass::Transient);
}
