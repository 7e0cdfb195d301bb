//! Rows of a real server.

use rekindle_backup::dump::RowText as _;
use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{ErrorClass, StepError};
use tokio_util::sync::CancellationToken;

use super::*;
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

/// Asks for rows of tables, so many at a time, and then says that it is over.
async fn asked(
    server: &TempServer,
    wanted: &'static [(&str, u64)],
) -> Result<Vec<Option<String>>, StepError> {
    let mut session = server.login().connect().await.unwrap().session;
    let tables = FloatTable::all(&mut session, |database, _| database == "shop", false).await.unwrap();
    let (mut exact, asked) = asking(tables.clone(), Waiting::default());
    let asking = blocking(move || {
        let mut given = Vec::new();
        for (table, rows) in wanted {
            let Ok(text) = exact.instead("shop", table, *rows) else { return given };
            given.push(text.map(|text| String::from_utf8(text).unwrap()));
        }
        let _ = exact.over();
        given
    });
    let cancel = CancellationToken::new();
    let (given, end) = tokio::join!(asking, serve(Some(session), &tables, asked, &cancel));
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
    let tables = FloatTable::all(&mut session, |_, _| true, false).await.unwrap();
    let (mut exact, asked) = asking(tables.clone(), Waiting::default());
    let asking = blocking(move || exact.instead("shop", "t", 3).unwrap());
    let cancel = CancellationToken::new();
    let (given, end) = tokio::join!(asking, serve(None, &tables, asked, &cancel));
    end.unwrap();
    assert_eq!(given.unwrap(), None);
}
