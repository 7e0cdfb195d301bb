//! Programs that fall silent: from a thread that waits for one to the words about what it waits for itself.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rekindle_engine::step::StepError;
use rekindle_engine::values::DurationText;

use crate::connection::{Login, quote_string};
use crate::error::ServerError;

/// How long a server may take to say what its sessions do; a silent program is ended without it.
const ASKING_AT_MOST: Duration = Duration::from_secs(5);
/// How many sessions a message names.
const NAMED: u32 = 3;

/// Since when a thread waits for a program, if it does. The time that a store takes is none of the program's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<Option<Instant>>>);

impl Waiting {
    /// Does what lasts until the program does something.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        self.set(Some(Instant::now()));
        let done = work();
        self.set(None);
        done
    }

    /// Gives a program's output, watched.
    pub(crate) fn output<R: Read>(&self, output: R) -> WatchedOutput<R> {
        WatchedOutput { output, waiting: self.clone() }
    }

    /// Returns once the program has let wait for so long without a break.
    pub(crate) async fn longer_than(&self, limit: Duration) {
        loop {
            let waited = self.get().map_or(Duration::ZERO, |since| since.elapsed());
            match limit.checked_sub(waited) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                Some(_) | None => return,
            }
        }
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Output that notes while it is waited for.
pub(crate) struct WatchedOutput<R> {
    output: R,
    waiting: Waiting,
}

impl<R: Read> Read for WatchedOutput<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Self { output, waiting } = self;
        waiting.during(|| output.read(into))
    }
}

/// Checks what a runbook says of [`Patience`].
pub(crate) fn check_stall_timeout(limit: Option<DurationText>) -> Result<(), StepError> {
    if limit.is_some_and(|limit| limit.0.is_zero()) {
        return Err(StepError::permanent("with a `stall_timeout` of nothing no program could do anything")
            .help("leave it out, or give it some minutes"));
    }
    Ok(())
}

/// What a program is given before it counts as hanging.
pub(crate) struct Patience<'a> {
    /// The thread that reads from it.
    pub(crate) waiting: Waiting,
    /// How long it may be silent.
    pub(crate) limit: Duration,
    /// Its name.
    pub(crate) program: &'a str,
    /// Where it is logged in; nothing when it needs no server.
    pub(crate) sessions: Option<Sessions>,
}

impl<'a> Patience<'a> {
    /// Nothing is waited for yet.
    pub(crate) fn of(program: &'a str, limit: Duration, sessions: Option<Sessions>) -> Self {
        Self { waiting: Waiting::default(), limit, program, sessions }
    }

    /// Says that the program was silent for too long, and what its sessions were doing.
    pub(crate) async fn at_an_end(&self) -> StepError {
        let doing = match &self.sessions {
            Some(sessions) => sessions.doing().await,
            None => Vec::new(),
        };
        let doing =
            if doing.is_empty() { String::new() } else { format!("; it was in {}", doing.join(", ")) };
        StepError::transient(format!(
            "{} was silent for {} and was ended{doing}",
            self.program,
            DurationText(self.limit)
        ))
        .help(
            "end what it waits for (`SHOW PROCESSLIST` on the server), then resume the run; where the server takes that \
             long by itself, raise `stall_timeout`",
        )
    }
}

/// The sessions that an account has opened from some moment on.
pub(crate) struct Sessions {
    login: Login,
    after: u64,
}

impl Sessions {
    /// Those that are opened from now on.
    ///
    /// # Errors
    /// When the server can't be asked.
    pub(crate) async fn from_now(login: &Login) -> Result<Self, ServerError> {
        let mut session = login.connect().await?.session;
        let after = session.row("tell the session's id", "SELECT CONNECTION_ID()").await?;
        session.close().await;
        Ok(Self { login: login.clone(), after })
    }

    /// Says what they are doing; nothing when the server does not tell in time.
    async fn doing(&self) -> Vec<String> {
        let asking = tokio::time::timeout(ASKING_AT_MOST, self.ask()).await;
        asking.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn ask(&self) -> Result<Vec<String>, ServerError> {
        let mut session = self.login.connect().await?.session;
        let query = format!(
            "SELECT CONCAT('session ', id, ' for ', time, ' s', \
             IF(COALESCE(state, '') = '', '', CONCAT(' (', state, ')')), \
             IF(COALESCE(info, '') = '', '', CONCAT(': ', LEFT(info, 100)))) \
             FROM information_schema.processlist WHERE id > {} AND id <> CONNECTION_ID() AND user = {} \
             ORDER BY time DESC, id LIMIT {NAMED}",
            self.after,
            quote_string(&self.login.user)
        );
        let doing = session.rows("list its sessions", &query).await?;
        session.close().await;
        Ok(doing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_wait_without_a_break_is_too_long() {
        let waiting = Waiting::default();
        let limit = Duration::from_millis(50);
        let far = Duration::from_mins(1);
        let busy = waiting.clone();
        let (done, mut is_done) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            for _ in 0..20 {
                busy.during(|| std::thread::sleep(Duration::from_millis(5)));
            }
            done.send(()).unwrap();
        });
        tokio::select! {
            () = waiting.longer_than(Duration::from_secs(1)) => panic!("no wait was that long"),
            _ = &mut is_done => {}
        }

        let stuck = waiting.clone();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || stuck.during(|| released.recv()));
        tokio::time::timeout(far, waiting.longer_than(limit)).await.unwrap();
        drop(release);
        thread.join().unwrap().unwrap_err();
    }
}
