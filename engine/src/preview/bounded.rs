//! Many looks at the world, a few at a time, each within its time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::host::Clock;

/// How many looks go on at once: enough to hide waiting, few enough for a server that just came up.
const AT_ONCE: usize = 8;
/// How long one look may take, unless something else is declared.
pub(super) const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// How one look ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked<T> {
    Done(T),
    TimedOut,
    /// A bug in a step kind; what it said.
    Panicked(String),
}

/// Runs all looks, each with its limit, and gives their results in the order of the looks.
pub(super) async fn look_at_all<T, F>(looks: Vec<(Duration, F)>, clock: &Arc<dyn Clock>) -> Vec<Looked<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut results: Vec<Option<Looked<T>>> = looks.iter().map(|_| None).collect();
    let mut waiting = looks.into_iter().enumerate();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((position, (limit, look))) = waiting.next()
        {
            let clock = Arc::clone(clock);
            running.spawn(async move { (position, within_limit(limit, look, &clock).await) });
        }
        match running.join_next().await {
            None => break,
            Some(Ok((position, looked))) => results[position] = Some(looked),
            // Nothing aborts these tasks, and panics are caught inside them.
            Some(Err(_)) => {}
        }
    }
    let lost = || Looked::Panicked("it ended without an answer".to_owned());
    results.into_iter().map(|looked| looked.unwrap_or_else(lost)).collect()
}

/// Runs one look in a task of its own, so that its panic stays its own.
async fn within_limit<T: Send + 'static>(
    limit: Duration,
    look: impl Future<Output = T> + Send + 'static,
    clock: &Arc<dyn Clock>,
) -> Looked<T> {
    let mut task = JoinSet::new();
    task.spawn(look);
    tokio::select! {
        ended = task.join_next() => match ended {
            Some(Ok(found)) => Looked::Done(found),
            Some(Err(error)) => Looked::Panicked(error.to_string()),
            None => Looked::Panicked("it was never started".to_owned()),
        },
        // Dropping the set ends the task.
        () = clock.sleep(limit) => Looked::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{AT_ONCE, LOOK_LIMIT, Looked, look_at_all};
    use crate::testing;

    #[tokio::test]
    async fn few_looks_go_on_at_once_and_all_come_back_in_order() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let looks = (0..40).map(|number| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            let look = async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                number
            };
            (LOOK_LIMIT, look)
        });
        let results = look_at_all(looks.collect(), &testing::world().world.clock).await;
        assert_eq!(results, (0..40).map(Looked::Done).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    }

    #[tokio::test]
    async fn a_look_that_hangs_or_panics_does_not_take_the_others_with_it() {
        let looks = (0..3).map(|number| {
            let look = async move {
                match number {
                    0 => std::future::pending().await,
                    1 => panic!("a bug"),
                    _ => {}
                }
            };
            (LOOK_LIMIT, look)
        });
        let results = look_at_all(looks.collect(), &testing::world().world.clock).await;
        assert_eq!(results[0], Looked::TimedOut);
        assert!(matches!(&results[1], Looked::Panicked(_)));
        assert_eq!(results[2], Looked::Done(()));
    }
}
