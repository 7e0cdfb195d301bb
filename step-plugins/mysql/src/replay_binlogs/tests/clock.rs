//! The time of a server whose logs have events of the future.

use super::*;
use crate::binlogs::server;
use crate::server_files::ServerFiles;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_its_time_and_age_also_by_threads_that_replayed_events_of_the_future() {
    let (lab, _primary, fresh) = shop(Flavour::Mariadb).await;
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();

    // All at once, so that one of them is given the thread.
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(fresh.login().connect().await.unwrap());
    }
    let mut in_the_future = 0;
    for server in &mut sessions {
        let seconds: i64 = server.session.row("ask", "SELECT UNIX_TIMESTAMP()").await.unwrap();
        let here = jiff::Timestamp::now().as_second();
        in_the_future += u32::from(seconds > here + 3600);

        let said = server::now(server).await.unwrap().as_second();

        assert!((said - here).abs() < 60, "{said} is not {here}");
        ServerFiles::check_is_here(server, &fresh.directory().join("data")).await.unwrap();
    }
    assert!(in_the_future > 0, "no session was given the thread");
}
