//! Whether a statement that the server gave up for another session's is sent again: its error in, a wait and the answer
//! out.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;

use crate::connection::Server;
use crate::error::ServerError;

/// How long one statement is sent again.
const PATIENCE: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// `ER_LOCK_WAIT_TIMEOUT`, `ER_LOCK_DEADLOCK`: both say "try restarting transaction". Sessions that make or drop tables
/// with foreign keys side by side get in each other's way; of two `DROP TABLE`, of parent and child, MariaDB gives one up
/// at once.
const GIVEN_UP: [u16; 2] = [1205, 1213];

/// The patience with one statement that is a transaction of its own: given up, it has done nothing.
pub(super) struct Patience {
    begun: Instant,
    pause: Duration,
}

impl Patience {
    /// Begins with the first try.
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now(), pause: FIRST_PAUSE }
    }

    /// Runs a statement until it is done, or no longer given up. `what` fits "refused to …".
    pub(super) async fn run(
        mut self,
        server: &mut Server,
        what: &str,
        statement: &str,
    ) -> Result<(), ServerError> {
        while let Err(error) = server.session.conn.query_drop(statement).await {
            if !self.allows(&error).await {
                return Err(server.session.error(what, &error));
            }
        }
        Ok(())
    }

    /// Tells whether the statement is worth another try, and waits until then.
    pub(super) async fn allows(&mut self, error: &mysql_async::Error) -> bool {
        let mysql_async::Error::Server(error) = error else { return false };
        if !GIVEN_UP.contains(&error.code) || self.begun.elapsed() >= PATIENCE {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
