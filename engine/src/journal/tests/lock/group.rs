use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Place, decision, run};
use crate::host::Clock as _;
use crate::journal::{
    FenceError, LeaseFiles, LeaseStore as _, LockError, LockOwner, RunnerIdentity, Waiting, Wanted,
};
use crate::runbook::OnConflict;

#[tokio::test]
async fn the_second_run_of_a_group_is_told_who_is_first_and_what_to_type() {
    let place = Place::new();
    let _first = place.take(&run(41)).await.unwrap();
    insta::assert_snapshot!(place.refusal(&run(42)).await, @r"
    the group `recover/prod` is locked: run run-41 of pid 41 on host db-1 holds it
    wait for that run, or cancel it with `rekindle cancel run-41`
    ");
}

#[tokio::test]
async fn groups_with_like_names_do_not_exclude_each_other() {
    let place = Place::new();
    let long = "x".repeat(400);
    let mut held = Vec::new();
    for group in ["a/b", "a%2Fb", "a_b", "..", "", &long, &format!("{long}y")] {
        let owner = run(1);
        let wanted = Wanted { group, on_conflict: OnConflict::Fail, owner: &owner };
        held.push(place.locks().acquire(wanted, &CancellationToken::new(), |_| {}).await.unwrap());
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), held.len());
}

#[tokio::test]
async fn every_taking_has_a_higher_token_also_after_a_release() {
    let place = Place::new();
    let mut tokens = Vec::new();
    for pid in 1..5 {
        let lease = place.take(&run(pid)).await.unwrap();
        tokens.push(lease.token());
        lease.release().await.unwrap();
    }
    assert_eq!(tokens, [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_lease_of_a_killed_process_of_this_machine_is_taken_at_once() {
    let place = Place::new();
    let lease = place.take(&run(1)).await.unwrap();
    place.dies(&run(1), lease);
    assert_eq!(place.take(&run(2)).await.unwrap().token(), 2);
}

#[tokio::test]
async fn the_lease_of_another_machine_is_taken_only_when_it_has_run_out() {
    let place = Place::new();
    let there = RunnerIdentity { host: "db-2".to_owned(), ..run(1).runner };
    let there = LockOwner { runner: there, ..run(1) };
    drop(place.take(&there).await.unwrap());
    // It lasts a minute and a margin, by the clock of the folder that it lies in.
    written_before(&place, Duration::from_mins(1));
    assert!(matches!(place.take(&run(2)).await, Err(LockError::Held { .. })));
    written_before(&place, Duration::from_secs(15));
    assert_eq!(place.take(&run(2)).await.unwrap().token(), 2);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left beside it");
}

/// Makes the file of the lease so old.
fn written_before(place: &Place, age: Duration) {
    let file = std::fs::File::options().append(true).open(place.path().join("recover%2Fprod.lease")).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() - age).unwrap();
}

#[tokio::test]
async fn a_lease_is_renewed_as_long_as_its_runner_lives() {
    let place = Place::new();
    let lease = place.take(&run(1)).await.unwrap();
    for _ in 0..20 {
        place.clock.until_sleeping(1).await;
        place.clock.advance(Duration::from_secs(15));
        renewed(&place).await;
    }
    assert!(matches!(place.take(&run(2)).await, Err(LockError::Held { .. })));
    assert_eq!(lease.fence().check().await, Ok(()));
}

/// Waits until the stored lease lasts a minute from now.
async fn renewed(place: &Place) {
    let files = LeaseFiles::new(place.path());
    let due = place.clock.now() + jiff::SignedDuration::from_mins(1);
    loop {
        let (lease, _) = files.read("recover/prod").await.unwrap().unwrap();
        let hold = serde_json::to_value(lease.holder.unwrap().hold).unwrap();
        if hold["expires_at"] == serde_json::to_value(due).unwrap() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_runner_that_stood_still_learns_that_another_run_has_its_lease() {
    let place = Place::new();
    let first = place.take(&run(1)).await.unwrap();
    let fence = first.fence();
    // Stopped with SIGSTOP, as it were: nothing of it renews the lease.
    drop(first);
    place.clock.advance(Duration::from_mins(2));
    let _second = place.take(&run(2)).await.unwrap();

    let lost = FenceError::TakenOver { group: "recover/prod".to_owned(), by: Some("run-2".into()) };
    assert_eq!(fence.check().await, Err(lost.clone()));
    assert_eq!(fence.lost().await, lost);
    insta::assert_snapshot!(lost, @"the lock of the group `recover/prod` was taken over by run run-2");
}

#[tokio::test]
async fn a_runner_that_stood_still_goes_on_when_nobody_wanted_its_lease() {
    let place = Place::new();
    let lease = place.take(&run(1)).await.unwrap();
    let fence = lease.fence();
    drop(lease);
    place.clock.advance(Duration::from_mins(2));
    assert_eq!(fence.check().await, Ok(()));
    // The check itself has renewed it.
    assert!(matches!(place.take(&run(2)).await, Err(LockError::Held { .. })));
}

#[tokio::test]
async fn a_heartbeat_finds_out_by_itself_that_the_lease_is_lost() {
    let place = Place::new();
    let first = place.take(&run(1)).await.unwrap();
    place.clock.until_sleeping(1).await;
    // Another machine held the first one for dead.
    place.known.gone.lock().unwrap().insert(1);
    let _second = place.take(&run(2)).await.unwrap();
    place.clock.advance(Duration::from_secs(15));
    assert!(matches!(first.fence().lost().await, FenceError::TakenOver { .. }));
}

#[cfg(unix)]
#[tokio::test]
async fn a_lease_that_can_not_be_renewed_lets_nothing_be_destroyed_once_it_runs_out() {
    let place = Place::new();
    let lease = place.take(&run(1)).await.unwrap();
    let fence = lease.fence();
    drop(lease);
    // In the place of the folder stands a file: nothing can be read or written.
    let away = place.path().with_extension("away");
    std::fs::rename(place.path(), &away).unwrap();
    std::fs::write(place.path(), "").unwrap();
    let fresh = fence.check().await;
    place.clock.advance(Duration::from_secs(46));
    let stale = fence.check().await;
    std::fs::remove_file(place.path()).unwrap();
    std::fs::rename(&away, place.path()).unwrap();

    assert_eq!(fresh, Ok(()));
    let error = stale.unwrap_err();
    assert!(matches!(error, FenceError::NotRenewed { .. }), "{error}");
    assert!(error.to_string().starts_with("the lock of the group `recover/prod` ran out"), "{error}");
    // The disk is back, and nobody had it meanwhile.
    assert_eq!(fence.check().await, Ok(()));
}

#[tokio::test]
async fn a_run_that_waits_for_a_decision_keeps_its_group_without_limit() {
    let place = Place::new();
    let lease = place.take(&run(1)).await.unwrap();
    lease.keep(decision()).await.unwrap();
    place.known.gone.lock().unwrap().insert(1);
    place.clock.advance(Duration::from_hours(24 * 365));
    insta::assert_snapshot!(place.refusal(&run(2)).await, @r"
    the group `recover/prod` is locked: run run-1 keeps it while it waits for a decision on step `restore`
    decide with `rekindle resume run-1 --resolve restore=done|rerun|fail`, or give it up with `rekindle cancel run-1`
    ");
    // The run itself goes on in another process, under a new token.
    let again = LockOwner { runner: run(3).runner, ..run(1) };
    assert_eq!(place.take(&again).await.unwrap().token(), 2);
}

#[tokio::test]
async fn a_run_that_waits_for_approval_keeps_its_group_until_that_is_over() {
    let place = Place::new();
    let until = Some(place.clock.now() + jiff::SignedDuration::from_hours(1));
    let waiting = Waiting::Approval { steps: vec!["restore".into()], until };
    place.take(&run(1)).await.unwrap().keep(waiting).await.unwrap();
    insta::assert_snapshot!(place.refusal(&run(2)).await, @r"
    the group `recover/prod` is locked: run run-1 keeps it while it waits for approval of step `restore` until 2026-11-22T16:00:00Z
    `rekindle approve run-1 restore`, `rekindle reject run-1 restore`, or `rekindle cancel run-1`
    ");
    place.clock.advance(Duration::from_hours(1));
    assert_eq!(place.take(&run(2)).await.unwrap().token(), 2);
}

#[tokio::test]
async fn a_run_that_died_between_its_question_and_keeping_its_group_keeps_it() {
    let place = Place::new();
    let lease = place.take(&run(1)).await.unwrap();
    place.dies(&run(1), lease);
    place.known.waiting.lock().unwrap().insert("run-1".into(), decision());
    assert!(matches!(place.take(&run(2)).await, Err(LockError::Kept { .. })));
    assert!(place.take(&LockOwner { runner: run(3).runner, ..run(1) }).await.is_ok());
}

#[tokio::test]
async fn the_same_run_in_a_living_process_is_refused_too() {
    let place = Place::new();
    let _first = place.take(&run(1)).await.unwrap();
    let again = LockOwner { runner: run(2).runner, ..run(1) };
    assert!(matches!(place.take(&again).await, Err(LockError::Held { .. })));
}

#[tokio::test]
async fn what_was_taken_over_can_not_be_given_back_or_kept_any_more() {
    let place = Place::new();
    for keeps in [true, false] {
        let first = place.take(&run(1)).await.unwrap();
        place.known.gone.lock().unwrap().insert(1);
        let second = place.take(&run(2)).await.unwrap();
        if keeps {
            first.keep(decision()).await.unwrap();
        } else {
            first.release().await.unwrap();
        }
        assert_eq!(second.fence().check().await, Ok(()));
        second.release().await.unwrap();
        place.known.gone.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn waiting_ends_when_the_group_is_released_and_tells_once_for_whom() {
    let place = Place::new();
    let first = place.take(&run(1)).await.unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let waiting = tokio::spawn({
        let (locks, told) = (place.locks(), Arc::clone(&told));
        async move {
            let owner = run(2);
            let wanted = Wanted { group: "recover/prod", on_conflict: OnConflict::Wait, owner: &owner };
            let cancel = CancellationToken::new();
            let tell = |_: &LockError| {
                told.fetch_add(1, Ordering::Relaxed);
            };
            locks.acquire(wanted, &cancel, tell).await.map(drop)
        }
    });
    for _ in 0..3 {
        place.clock.until_sleeping(2).await;
        place.clock.advance(Duration::from_millis(250));
    }
    first.release().await.unwrap();
    while !waiting.is_finished() {
        place.clock.advance(Duration::from_millis(250));
        tokio::task::yield_now().await;
    }
    waiting.await.unwrap().unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn waiting_ends_when_the_operator_stops_it() {
    let place = Place::new();
    let _first = place.take(&run(1)).await.unwrap();
    let (cancel, owner) = (CancellationToken::new(), run(2));
    cancel.cancel();
    let wanted = Wanted { group: "recover/prod", on_conflict: OnConflict::Wait, owner: &owner };
    let error = place.locks().acquire(wanted, &cancel, |_| {}).await.err().unwrap();
    insta::assert_snapshot!(error, @"stopped waiting for the group `recover/prod`");
}
