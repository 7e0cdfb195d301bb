use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::rig::Rig;
use super::support::{RUN, runner, step, with};
use crate::host::{Clock, ObjectStore};
use crate::journal::{
    Event, Fence, FenceError, GroupLocks, Holders, JournalError, LeaseFiles, Liveness, LockOwner, NoFence,
    Outcome, RunnerIdentity, Runs, StoredRuns, Waiting, Wanted,
};
use crate::plan::PlanStep;
use crate::run::{Resume, RunEnd, RunError, execute, resume};
use crate::runbook::{OnConflict, OnCrash};
use crate::step::Effect;
use crate::testing::{Act, FakeClock, FakeWorld, MemoryStore};

/// Lets so many checks pass.
struct ScriptedFence {
    passes: AtomicUsize,
    lost: CancellationToken,
}

impl ScriptedFence {
    fn new(passes: usize) -> Arc<Self> {
        Arc::new(Self { passes: AtomicUsize::new(passes), lost: CancellationToken::new() })
    }
}

fn taken_over() -> FenceError {
    FenceError::TakenOver { group: "g".to_owned(), by: Some("other".into()) }
}

#[async_trait]
impl Fence for ScriptedFence {
    fn token(&self) -> Option<u64> {
        Some(7)
    }

    async fn check(&self) -> Result<(), FenceError> {
        let passes = self.passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        passes.map(drop).map_err(|_| taken_over())
    }

    async fn lost(&self) -> FenceError {
        self.lost.cancelled().await;
        taken_over()
    }
}

fn destroying(id: &str, needs: &[&str]) -> PlanStep {
    with(step(id, needs), |step| {
        step.kind = "fake.destroy".to_owned();
        step.effect = Effect::Destroy;
        step.on_crash = OnCrash::Probe;
    })
}

fn rig(fence: Arc<dyn Fence>) -> Rig {
    let mut rig = Rig::new(vec![step("a", &[]), destroying("b", &["a"]), step("c", &["b"])]);
    rig.fence = fence;
    rig
}

#[tokio::test]
async fn a_destroy_step_does_not_begin_once_the_lock_is_lost_and_the_journal_says_so() {
    let mut rig = rig(ScriptedFence::new(0));
    let error = rig.execute().await.unwrap_err();
    insta::assert_snapshot!(error, @"the lock of the group `g` was taken over by run other");
    assert!(error.help().is_some());
    assert_eq!(rig.destroy.runs(), 0);
    insta::assert_snapshot!(rig.story(), @r"
    run started by 1
    a started 1
    a succeeded {}
    ");
    // Nothing is in doubt: it goes on where it stopped, without a look.
    rig.next_process(None);
    rig.fence = Arc::new(NoFence);
    rig.resume(Vec::new()).await.unwrap();
    assert_eq!((rig.destroy.runs(), rig.destroy.probed().len()), (1, 0));
}

#[tokio::test]
async fn a_lock_lost_while_the_start_was_written_down_still_keeps_the_step_from_acting() {
    let mut rig = rig(ScriptedFence::new(1));
    assert!(matches!(rig.execute().await, Err(RunError::Fence(_))));
    assert_eq!(rig.destroy.runs(), 0);
    assert!(rig.story().ends_with("b started 1"), "{}", rig.story());
    rig.next_process(None);
    rig.fence = Arc::new(NoFence);
    rig.resume(Vec::new()).await.unwrap();
    assert_eq!((rig.destroy.runs(), rig.destroy.probed().len()), (1, 1));
}

#[tokio::test]
async fn each_attempt_of_a_destroy_step_asks_anew() {
    let mut rig = rig(ScriptedFence::new(2));
    Arc::make_mut(&mut rig.plan).steps[1].retry = Some(super::support::retry(3));
    rig.destroy.script("b", [Act::transient("lost the connection")]);
    assert!(matches!(rig.execute().await, Err(RunError::Fence(_))));
    assert_eq!(rig.destroy.runs(), 1);
}

#[tokio::test]
async fn steps_that_do_not_destroy_do_not_ask() {
    let mut rig = Rig::new(vec![step("a", &[]), step("b", &["a"])]);
    rig.fence = ScriptedFence::new(0);
    rig.execute().await.unwrap();
}

#[tokio::test]
async fn a_runner_that_hears_that_its_lock_is_lost_stops_what_runs_and_writes_nothing_more() {
    let fence = ScriptedFence::new(9);
    let mut rig = rig(fence.clone());
    rig.write.script("a", [Act::Wait(Duration::from_hours(1))]);
    rig.on_record(move |record| {
        if matches!(record.event, Event::StepStarted { .. }) {
            fence.lost.cancel();
        }
    });
    assert!(matches!(rig.execute().await, Err(RunError::Fence(_))));
    insta::assert_snapshot!(rig.story(), @r"
    run started by 1
    a started 1
    ");
    rig.next_process(None);
    rig.fence = Arc::new(NoFence);
    rig.on_record(|_| {});
    rig.resume(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn the_token_is_in_the_journal() {
    let mut rig = rig(ScriptedFence::new(0));
    rig.execute().await.unwrap_err();
    rig.next_process(None);
    rig.resume(Vec::new()).await.unwrap_err();
    let events = rig.events();
    assert!(matches!(events[0], Event::RunStarted { fence: Some(7), .. }));
    assert!(events.iter().any(|event| matches!(event, Event::RunResumed { fence: Some(7), .. })));
}

/// Knows nothing: leases are taken only when they have run out.
struct Nothing;

#[async_trait]
impl Holders for Nothing {
    fn liveness(&self, _: &RunnerIdentity) -> Liveness {
        Liveness::Elsewhere
    }

    async fn waiting(&self, _: &crate::id::RunId) -> Option<Waiting> {
        None
    }
}

#[tokio::test]
async fn a_runner_that_stood_still_until_another_run_had_its_group_destroys_nothing() {
    let folder = TempDir::new().unwrap();
    let mut rig = rig(Arc::new(NoFence));
    let locks = GroupLocks {
        store: Arc::new(LeaseFiles::new(folder.path())),
        clock: rig.fakes.clock.clone(),
        holders: Arc::new(Nothing),
    };
    let ours = LockOwner { run: RUN.into(), runner: runner(1) };
    let theirs = LockOwner { run: "other".into(), runner: runner(2) };
    let wanted = |owner| Wanted { group: "g", on_conflict: OnConflict::Fail, owner };
    let never = CancellationToken::new();
    let first = locks.acquire(wanted(&ours), &never, |_| {}).await.unwrap();
    rig.fence = first.fence();
    // It stands still: its renewal with it.
    drop(first);
    rig.fakes.clock.advance(Duration::from_mins(2));
    let second = locks.acquire(wanted(&theirs), &never, |_| {}).await.unwrap();

    let error = rig.execute().await.unwrap_err();
    insta::assert_snapshot!(error, @"the lock of the group `g` was taken over by run other");
    assert_eq!(rig.destroy.runs(), 0);
    assert_eq!(second.fence().check().await, Ok(()));
}

#[tokio::test]
async fn a_runner_that_stood_still_until_another_took_its_run_over_is_refused_before_its_next_effect() {
    let mut rig = rig(Arc::new(NoFence));
    rig.fakes = FakeWorld::with_clock(FakeClock::manual());
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryStore::new("s3://journals/prod"));
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let [here, there] = [0, 1].map(|at| StoredRuns::new(Arc::clone(&store), Runs::new(folders[at].path())));
    let clock = || rig.fakes.clock.clone() as Arc<dyn Clock>;
    let run = here.create(&rig.plan, clock().as_ref()).await.unwrap();

    // While step `a` works the machine stands still, and another one resumes the run to its end.
    rig.write.script("a", [Act::Wait(Duration::from_hours(1))]);
    let mut asleep = rig.request(1);
    asleep.journal = Arc::new(here.journal(&run, Arc::new(NoFence), clock()).await.unwrap());
    let sleeper = tokio::spawn(execute(asleep));
    while rig.seen.records.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    let taken = there.fetch(run.id()).await.unwrap();
    let mut awake = rig.request(2);
    awake.journal = Arc::new(there.journal(&taken, Arc::new(NoFence), clock()).await.unwrap());
    let end = resume(awake, resumption()).await.unwrap();
    assert!(matches!(end, RunEnd::Finished { outcome: Outcome::Succeeded, .. }));
    assert_eq!(rig.destroy.runs(), 1);

    rig.fakes.clock.advance(Duration::from_hours(2));
    let error = sleeper.await.unwrap().unwrap_err();
    assert!(matches!(&error, RunError::Journal(JournalError::TakenOver { seq: 3, .. })), "{error}");
    assert_eq!(rig.destroy.runs(), 1);
    assert_eq!(here.fetch(run.id()).await.unwrap().records().unwrap(), taken.records().unwrap());
}

/// Nobody decides anything, and no process that ran before is alive.
fn resumption() -> Resume {
    Resume { decisions: Vec::new(), verdicts: Vec::new(), is_alive: Arc::new(|_| false) }
}
