//! Journals and locks in a store: two machines, each with a state directory of its own, and what lies between them.

mod clocks;
mod patience;

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::lock::{Known, run as runner_of};
use super::runs::plan;
use super::{StandingClock, events, owner};
use crate::host::{Clock as _, Key, ObjectStore, StoreErrorKind};
use crate::journal::{
    Event, Fence, GroupLocks, Journal, JournalError, LockError, LockOwner, NoFence, Record, RunDirectory,
    Runs, RunsError, StoreJournal, StoredRuns, Wanted,
};
use crate::runbook::OnConflict;
use crate::testing::{FakeClock, MemoryStore, Operation};

/// A machine that keeps its runs in a store.
struct Machine {
    state: TempDir,
    stored: StoredRuns,
}

impl Machine {
    fn of(store: &Arc<MemoryStore>) -> Self {
        let state = TempDir::new().unwrap();
        let store: Arc<dyn ObjectStore> = store.clone();
        Self { stored: StoredRuns::new(store, Runs::new(state.path())), state }
    }

    async fn create(&self) -> RunDirectory {
        self.stored.create(&plan(), &StandingClock).await.unwrap()
    }

    async fn journal(&self, run: &RunDirectory) -> StoreJournal {
        self.driven(run, &Arc::new(FakeClock::automatic()), Arc::new(NoFence)).await
    }

    async fn driven(
        &self,
        run: &RunDirectory,
        clock: &Arc<FakeClock>,
        fence: Arc<dyn Fence>,
    ) -> StoreJournal {
        self.stored.journal(run, fence, clock.clone()).await.unwrap()
    }

    async fn records(&self, run: &RunDirectory) -> Vec<Record> {
        self.stored.fetch(run.id()).await.unwrap().records().unwrap()
    }
}

fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new("s3://journals/prod"))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn batch(run: &RunDirectory, first: u64) -> Key {
    key(&format!("runs/events/{}/{first:012}.jsonl", run.id()))
}

fn resumed(pid: u32) -> Event {
    Event::RunResumed { runner: owner(pid).runner, fence: Some(2) }
}

#[tokio::test]
async fn a_run_that_was_begun_on_one_machine_goes_on_on_another() {
    let store = store();
    let (one, other) = (Machine::of(&store), Machine::of(&store));
    let run = one.create().await;
    let journal = one.journal(&run).await;
    journal.append(&events()[..1]).await.unwrap();
    journal.append(&events()[1..3]).await.unwrap();

    let there = other.stored.fetch(run.id()).await.unwrap();
    assert_eq!(there.plan().unwrap().hash, run.plan().unwrap().hash);
    assert_eq!(there.records().unwrap(), run.records().unwrap());
    assert_eq!(std::fs::read(there.journal_path()).unwrap(), std::fs::read(run.journal_path()).unwrap());
    other.journal(&there).await.append(&[resumed(2)]).await.unwrap();

    drop(journal);
    assert_eq!(one.records(&run).await.last().unwrap().event, resumed(2));
    let events: Vec<_> = store.keys().into_iter().filter(|key| key.starts_with("runs/events/")).collect();
    assert_eq!(events, [1, 2, 4].map(|first| batch(&run, first).to_string()));
    assert_eq!(other.stored.list().await.unwrap(), [run.id().clone()]);
}

#[tokio::test]
async fn of_two_runners_one_is_refused_at_its_next_event_and_told_by_whom() {
    let store = store();
    let (one, other) = (Machine::of(&store), Machine::of(&store));
    let run = one.create().await;
    let asleep = one.journal(&run).await;
    asleep.append(&events()[..2]).await.unwrap();
    let there = other.stored.fetch(run.id()).await.unwrap();
    other.journal(&there).await.append(&[resumed(2)]).await.unwrap();

    let told = asleep.append(&events()[2..3]).await.unwrap_err();
    insta::assert_snapshot!(told.to_string().replace(run.id().as_str(), "RUN"), @"the run RUN was taken over by pid 2 on host db-1: it has an event 3 that this runner did not write");
    assert!(told.help().is_some());
    assert!(matches!(asleep.append(&events()[2..3]).await, Err(JournalError::Stopped { .. })));
    drop(asleep);
    assert_eq!(one.records(&run).await, other.records(&run).await);
}

#[tokio::test]
async fn after_a_write_that_failed_nothing_more_is_written_and_the_run_can_be_resumed() {
    let store = store();
    let one = Machine::of(&store);
    let run = one.create().await;
    let journal = one.journal(&run).await;
    journal.append(&events()[..1]).await.unwrap();
    store.fail(Operation::Put, 1, StoreErrorKind::Denied);
    let told = journal.append(&events()[1..2]).await.unwrap_err();
    assert!(matches!(told, JournalError::Store(_)), "{told}");
    assert!(matches!(journal.append(&events()[1..2]).await, Err(JournalError::Stopped { .. })));
    drop(journal);
    one.journal(&run).await.append(&events()[1..2]).await.unwrap();
    assert_eq!(one.records(&run).await.len(), 2);
}

#[tokio::test]
async fn a_copy_that_was_cut_at_any_byte_is_made_whole_again() {
    let store = store();
    let one = Machine::of(&store);
    let run = one.create().await;
    let journal = one.journal(&run).await;
    journal.append(&events()[..1]).await.unwrap();
    journal.append(&events()[1..]).await.unwrap();
    drop(journal);
    let whole = std::fs::read(run.journal_path()).unwrap();
    for length in 0..=whole.len() {
        std::fs::write(run.journal_path(), &whole[..length]).unwrap();
        one.stored.fetch(run.id()).await.unwrap();
        assert!(std::fs::read(run.journal_path()).unwrap() == whole, "cut at {length}");
    }
}

#[tokio::test]
async fn damage_in_the_store_is_refused_by_name() {
    let store = store();
    let (one, other) = (Machine::of(&store), Machine::of(&store));
    let run = one.create().await;
    let journal = one.journal(&run).await;
    for event in events() {
        journal.append(&[event]).await.unwrap();
    }
    drop(journal);
    let second = store.object(&batch(&run, 2)).unwrap();
    let refused = async |machine: &Machine| match machine.stored.fetch(run.id()).await {
        Err(RunsError::Journal(error)) => error,
        other => panic!("{other:?}"),
    };

    for at in 0..second.len() {
        store.flip_byte(&batch(&run, 2), at);
        let told = refused(&Machine::of(&store)).await;
        assert!(matches!(told, JournalError::Damaged { line: 2, .. }), "byte {at}: {told}");
        store.flip_byte(&batch(&run, 2), at);
    }
    store.insert(&batch(&run, 2), second[..second.len() - 1].to_vec());
    assert!(refused(&other).await.to_string().ends_with("does not end with a whole line"));
    store.delete(&batch(&run, 2)).await.unwrap();
    let told = refused(&Machine::of(&store)).await.to_string();
    assert!(told.contains("comes where other events are missing"), "{told}");
}

#[tokio::test]
async fn events_that_this_machine_has_and_the_store_has_lost_are_missed() {
    let store = store();
    let one = Machine::of(&store);
    let run = one.create().await;
    let journal = one.journal(&run).await;
    journal.append(&events()[..2]).await.unwrap();
    journal.append(&events()[2..]).await.unwrap();
    drop(journal);
    for gone in [3, 1] {
        store.delete(&batch(&run, gone)).await.unwrap();
        let told = one.stored.fetch(run.id()).await.unwrap_err().to_string();
        insta::allow_duplicates! {
            insta::assert_snapshot!(told.replace(run.id().as_str(), "RUN"), @"s3://journals/prod has lost events of the run RUN: this machine has 4 of them, and the store other ones or fewer");
        }
    }
    assert_eq!(run.records().unwrap().len(), 4);
}

#[tokio::test]
async fn a_copy_that_a_living_process_writes_is_left_to_it() {
    let store = store();
    let one = Machine::of(&store);
    let run = one.create().await;
    let journal = one.journal(&run).await;
    journal.append(&events()[..1]).await.unwrap();
    // Between the store and the copy: whoever looks now must not add the line a second time.
    std::fs::write(run.journal_path(), "").unwrap();
    assert!(one.records(&run).await.is_empty());
    drop(journal);
    assert_eq!(one.records(&run).await.len(), 1);
}

#[tokio::test]
async fn a_run_id_that_another_machine_took_in_the_same_second_is_not_taken() {
    let store = store();
    let one = Machine::of(&store);
    store.fail(Operation::Put, 1, StoreErrorKind::AlreadyExists);
    let run = one.create().await;
    let kept = Runs::new(one.state.path()).list().unwrap();
    assert_eq!(kept.iter().map(RunDirectory::id).collect::<Vec<_>>(), [run.id()]);
}

#[tokio::test]
async fn a_run_that_can_not_be_stored_leaves_nothing_behind() {
    let store = store();
    let one = Machine::of(&store);
    store.fail(Operation::Put, 1, StoreErrorKind::Denied);
    assert!(matches!(one.stored.create(&plan(), &StandingClock).await, Err(RunsError::Store(_))));
    assert!(Runs::new(one.state.path()).list().unwrap().is_empty());

    let begun = one.create().await;
    one.stored.forget(&begun).await;
    assert!(store.keys().is_empty());
    let told = one.stored.fetch(begun.id()).await.unwrap_err().to_string();
    assert!(told.ends_with("in s3://journals/prod"), "{told}");
}

#[tokio::test]
async fn later_plans_come_along() {
    let store = store();
    let (one, other) = (Machine::of(&store), Machine::of(&store));
    let run = one.create().await;
    let mut next = plan();
    "2.0.0".clone_into(&mut next.runbook.version);
    next.hash = next.compute_hash();
    let journal = one.journal(&run).await;
    journal.append(&events()[..1]).await.unwrap();
    one.stored.add_plan(&run, &next).await.unwrap();
    let replanned =
        Event::RunReplanned { plan_hash: next.hash.clone(), reused: Vec::new(), by: "kim".to_owned() };
    journal.append(&[resumed(1), replanned]).await.unwrap();
    let there = other.stored.fetch(run.id()).await.unwrap();
    assert_eq!(there.plan().unwrap().hash, next.hash);
    assert_eq!(there.plans().unwrap().len(), 2);
}

fn locks(store: &Arc<MemoryStore>, clock: &Arc<FakeClock>) -> GroupLocks {
    let leases = StoredRuns::new(store.clone(), Runs::new("nowhere")).leases();
    GroupLocks { store: Arc::new(leases), clock: clock.clone(), holders: Arc::new(Known::default()) }
}

/// Lets a second pass whenever everybody has had their say.
async fn while_time_passes<T>(clock: &FakeClock, work: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(1));
        }
    };
    tokio::select! {
        done = work => done,
        () = passing => unreachable!(),
    }
}

/// A runner on a machine that nobody here can look into.
fn elsewhere(pid: u32) -> LockOwner {
    let mut owner = runner_of(pid);
    "db-2".clone_into(&mut owner.runner.host);
    owner
}

#[tokio::test]
async fn a_group_in_a_store_is_held_by_one_runner_of_all_machines() {
    let (store, clock) = (store(), Arc::new(FakeClock::manual()));
    let never = CancellationToken::new();
    let wanted = |owner| Wanted { group: "recover/prod", on_conflict: OnConflict::Fail, owner };
    let (first, second) = (runner_of(1), elsewhere(2));
    let held = locks(&store, &clock).acquire(wanted(&first), &never, |_| {}).await.unwrap();
    assert!(matches!(
        locks(&store, &clock).acquire(wanted(&second), &never, |_| {}).await,
        Err(LockError::Held { .. })
    ));
    held.release().await.unwrap();
    let taken = locks(&store, &clock).acquire(wanted(&second), &never, |_| {}).await.unwrap();
    assert_eq!(taken.token(), 2);
    assert_eq!(store.keys(), ["runs/locks/recover%2Fprod.lease"]);

    let lease = key("runs/locks/recover%2Fprod.lease");
    store.flip_byte(&lease, 20);
    let told = locks(&store, &clock).acquire(wanted(&first), &never, |_| {}).await.err().unwrap();
    insta::assert_snapshot!(told, @"the lock file s3://journals/prod/runs/locks/recover%2Fprod.lease is damaged: it is no JSON: expected value at line 1 column 21");
}

#[tokio::test]
async fn the_lease_of_a_machine_that_is_gone_is_waited_for_until_it_runs_out() {
    let (store, clock) = (store(), Arc::new(FakeClock::manual()));
    let never = CancellationToken::new();
    let wanted = |owner| Wanted { group: "recover/prod", on_conflict: OnConflict::Fail, owner };
    let dead = elsewhere(1);
    let successor = LockOwner { run: dead.run.clone(), ..runner_of(3) };
    drop(locks(&store, &clock).acquire(wanted(&dead), &never, |_| {}).await.unwrap());

    let told = std::sync::Mutex::new(String::new());
    let there = locks(&store, &clock);
    let taking = there.acquire(wanted(&successor), &never, |held| {
        *told.lock().unwrap() = format!("{held}\n{}", held.help());
    });
    let begun = clock.now();
    let taken = while_time_passes(&clock, taking).await.unwrap();
    assert_eq!(taken.token(), 2);
    assert!(clock.now().duration_since(begun).as_secs() >= 75);
    assert_eq!(store.keys(), ["runs/locks/recover%2Fprod.lease"]);
    insta::assert_snapshot!(told.lock().unwrap(), @r"
    the group `recover/prod` is locked: pid 1 on host db-2 drives the run run-1, or did; its lease lasts until 2026-11-22T15:01:15Z
    if that machine is gone, its lease is not renewed any more, and this runner takes over then
    ");
}

#[tokio::test]
async fn the_lease_of_a_living_runner_of_the_same_run_is_not_waited_for() {
    let (store, clock) = (store(), Arc::new(FakeClock::manual()));
    let never = CancellationToken::new();
    let wanted = |owner| Wanted { group: "recover/prod", on_conflict: OnConflict::Fail, owner };
    let alive = elsewhere(1);
    let other = LockOwner { run: alive.run.clone(), ..runner_of(3) };
    let held = locks(&store, &clock).acquire(wanted(&alive), &never, |_| {}).await.unwrap();
    let there = locks(&store, &clock);
    let begun = clock.now();
    let refused = while_time_passes(&clock, there.acquire(wanted(&other), &never, |_| {})).await;
    assert!(matches!(refused, Err(LockError::Held { .. })));
    // As soon as it is renewed, which is every 15 seconds.
    assert!(clock.now().duration_since(begun).as_secs() < 30);
    drop(held);
}
