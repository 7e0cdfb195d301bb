//! What a restored server is to those that replicate from it, and to the source that it followed.

use crate::connection::{Server, quote_identifier};
use crate::error::ServerError;
use crate::replication::statements::Dialect;

/// Makes a server forget its source, which may be none.
pub(super) async fn leave_source(server: &mut Server) -> Result<(), ServerError> {
    for statement in Dialect::of(&server.version).leave_sources() {
        server.session.run("forget its replication source", statement).await?;
    }
    Ok(())
}

/// `ER_NO_SUCH_THREAD`: it has gone by itself.
const NO_SUCH_THREAD: u16 = 1094;

/// Ends the sessions of replicas that read this server's binary log: it is about to be emptied, and none of them
/// may follow a server that is half restored. They come back by themselves.
pub(super) async fn send_replicas_away(server: &mut Server) -> Result<(), ServerError> {
    let query = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
    let sessions: Vec<u64> = server.session.rows("list the replicas that read from it", query).await?;
    for id in sessions {
        match server.session.run("send a replica away", &format!("KILL {id}")).await {
            Err(error) if error.server_code() == Some(NO_SUCH_THREAD) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Disables the events of a replica, as replication itself does with those that it creates: they are the
/// source's to run, and run twice they would write twice.
pub(super) async fn leave_events_to_source(server: &mut Server) -> Result<(), ServerError> {
    let query = "SELECT event_schema, event_name FROM information_schema.events WHERE status = 'ENABLED'";
    let events: Vec<(String, String)> = server.session.rows("list its events", query).await?;
    let dialect = Dialect::of(&server.version);
    for (database, event) in events {
        let name = format!("{}.{}", quote_identifier(&database), quote_identifier(&event));
        server.session.run("leave an event to the source", &dialect.leave_event_to_source(&name)).await?;
    }
    Ok(())
}
