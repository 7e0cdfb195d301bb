use tokio_util::sync::CancellationToken;

use super::{Place, decision, owner, run};
use crate::journal::{Lock, LockError};

fn file(place: &Place) -> std::path::PathBuf {
    place.path().join("recover%2Fprod.lease")
}

#[tokio::test]
async fn a_lease_that_is_flipped_or_cut_anywhere_is_refused_by_name() {
    let place = Place::new();
    place.take(&run(1)).await.unwrap().keep(decision()).await.unwrap();
    let whole = std::fs::read(file(&place)).unwrap();
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 1;
        for damaged in [flipped, whole[..position].to_vec()] {
            std::fs::write(file(&place), &damaged).unwrap();
            match place.take(&run(1)).await.err() {
                Some(LockError::Damaged { path, .. } | LockError::NewerFormat { path, .. }) => {
                    assert_eq!(path, file(&place));
                }
                other => panic!("{position}: {other:?}: {}", String::from_utf8_lossy(&damaged)),
            }
        }
    }
    std::fs::write(file(&place), &whole).unwrap();
    assert!(place.take(&run(1)).await.is_ok());
}

#[tokio::test]
async fn a_damaged_lease_is_left_as_it_is_and_says_what_to_do() {
    let place = Place::new();
    for damage in ["", "{}", "{\"format\":1}\n", &"x".repeat(100_000)] {
        std::fs::write(file(&place), damage).unwrap();
        let refusal = place.refusal(&run(1)).await.replace(place.path().to_str().unwrap(), "");
        assert!(refusal.starts_with("the lock file /recover%2Fprod.lease is damaged: "), "{refusal}");
        assert!(refusal.ends_with("then remove the file"), "{refusal}");
        assert_eq!(std::fs::read_to_string(file(&place)).unwrap(), damage);
    }
}

#[tokio::test]
async fn a_lease_of_a_newer_version_is_refused() {
    let place = Place::new();
    std::fs::write(file(&place), "{\"format\":9,\"who\":\"knows\"}\n").unwrap();
    let refusal = place.refusal(&run(1)).await.replace(place.path().to_str().unwrap(), "");
    insta::assert_snapshot!(refusal, @r"
    the lock file /recover%2Fprod.lease has format 9, and this version reads formats up to 1
    use the version that wrote it, or a newer one
    ");
}

#[tokio::test]
async fn a_lease_of_another_group_is_refused() {
    let place = Place::new();
    place.take(&run(1)).await.unwrap().keep(decision()).await.unwrap();
    std::fs::rename(file(&place), place.path().join("other.lease")).unwrap();
    let owner = run(1);
    let wanted = crate::journal::Wanted {
        group: "other",
        on_conflict: crate::runbook::OnConflict::Fail,
        owner: &owner,
    };
    let error = place.locks().acquire(wanted, &CancellationToken::new(), |_| {}).await.err().unwrap();
    assert!(error.to_string().ends_with("it is of the group `recover/prod`"), "{error}");
}

#[tokio::test]
async fn a_lock_that_an_earlier_version_holds_is_heeded_and_one_it_left_is_not() {
    let place = Place::new();
    let path = place.path().join("recover%2Fprod.lock");
    let held = Lock::try_acquire(&path, "it", Some(&owner(7))).unwrap();
    assert_eq!(
        place.refusal(&run(1)).await.lines().next().unwrap(),
        "the group `recover/prod` is locked: run 20261122T153500Z-1f9c of pid 7 on host db-1 holds it"
    );
    drop(held);
    std::fs::write(&path, serde_json::to_vec(&owner(7)).unwrap()).unwrap();
    assert_eq!(place.take(&run(1)).await.unwrap().token(), 1);
}

#[test]
fn a_lock_file_tells_a_person_who_holds_the_group() {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lease = runtime.block_on(place.take(&run(1))).unwrap();
    let text = std::fs::read_to_string(file(&place)).unwrap();
    runtime.block_on(lease.release()).unwrap();
    let free = std::fs::read_to_string(file(&place)).unwrap();
    insta::assert_snapshot!(text + &free, @r#"
    {"format":1,"group":"recover/prod","token":1,"run":"run-1","holder":{"run":"run-1","runner":{"pid":1,"started_ticks":1,"boot_id":"boot","host":"db-1","version":"0.1.0"},"hold":{"state":"held","expires_at":"2026-11-22T15:01:00Z"}}}
    015675a28314ce9a
    {"format":1,"group":"recover/prod","token":1,"run":"run-1"}
    a159cb36539b6342
    "#);
}
