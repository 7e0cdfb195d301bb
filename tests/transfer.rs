//! Files go to a bucket and come back; a runner that is killed on the way goes on from what has arrived.

use rekindle_emulators::Fault;

use crate::support::{MIB, Transfers, noise};

/// A kill in the fourth of five parts, and what is sent after it.
fn kill_in_the_fourth_part(bench: &Transfers, method: &str, bytes: &[u8]) {
    bench.write_file(bytes);
    bench.faults.add(method, &bench.part(4), 1, Fault::Stall);
    bench.start_and_kill(&["upload"], 1, || !bench.seen(&bench.part(4)).is_empty());
    assert!(bench.objects().iter().all(|name| Transfers::is_part(name)), "nothing half-made is there");

    bench.run(&["resume", "latest"]).success();

    assert_eq!(bench.parts_sent(5), [1, 1, 1, 2, 1]);
    let outputs = bench.outputs();
    let key = outputs["key"].as_str().unwrap();
    let day = key.strip_prefix("mysql/").unwrap();
    assert_eq!((day.matches('/').count(), day.len()), (3, "2026/11/22/backup.sql.gz".len()));
    assert_eq!(bench.objects(), [key]);
    assert_eq!(outputs["size_bytes"], bytes.len());
    assert!(bench.download(key) == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_in_an_upload_sends_one_part_again_and_no_more() {
    let (bench, bytes) = (Transfers::s3().await, noise(37 * MIB));
    kill_in_the_fourth_part(&bench, "PUT", &bytes);
    let [object] = bench.objects().try_into().unwrap();
    assert!(std::fs::read(bench.bucket().join(object)).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_in_an_upload_to_google_sends_one_part_again_and_no_more() {
    kill_in_the_fourth_part(&Transfers::gcs().await, "POST", &noise(37 * MIB));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_before_it_learnt_that_the_upload_is_done_sends_nothing_again() {
    let (bench, bytes) = (Transfers::s3().await, noise(17 * MIB));
    bench.write_file(&bytes);
    // Two looks find that nothing is there; the one at the object that was made never comes back.
    bench.faults.add_after(2, "HEAD", "backup.sql.gz", 1, Fault::Stall);
    bench.start_and_kill(&["upload"], 1, || bench.seen("HEAD").len() == 3);
    assert_eq!(bench.objects().len(), 1);

    bench.run(&["resume", "latest"]).success();

    assert_eq!(bench.parts_sent(3), [1, 1, 1]);
    let [object] = bench.objects().try_into().unwrap();
    assert!(std::fs::read(bench.bucket().join(object)).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_while_google_joins_the_parts_sends_nothing_again() {
    let (bench, bytes) = (Transfers::gcs().await, noise(17 * MIB));
    bench.write_file(&bytes);
    // The object is there, and the answer that says so never comes.
    bench.faults.add("POST", "RewriteObject", 1, Fault::Stall);
    bench.start_and_kill(&["upload"], 1, || !bench.seen("RewriteObject").is_empty());
    assert!(bench.objects().iter().all(|name| Transfers::is_part(name)), "nothing half-made is there");

    bench.run(&["resume", "latest"]).success();

    assert_eq!(bench.parts_sent(3), [1, 1, 1]);
    let [object] = bench.objects().try_into().unwrap();
    assert!(bench.download(&object) == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_in_a_download_goes_on_from_the_byte_it_had() {
    let (bench, bytes) = (Transfers::s3().await, noise(37 * MIB));
    std::fs::create_dir(bench.bucket().join("mysql")).unwrap();
    std::fs::write(bench.bucket().join("mysql/backup.sql.gz"), &bytes).unwrap();

    let reads = kill_in_the_middle_of_a_download(&bench, "mysql/backup.sql.gz", &bytes);

    // Whoever put it there left no checksum: it was read once more for the proof, whole and so without a range first.
    assert_eq!(begins(&reads[..4]), [12, 20, 28, 36].map(|at| at * MIB), "{reads:?}");
    assert_eq!(reads.len(), 4 + 5, "{reads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_in_a_download_from_google_goes_on_from_the_byte_it_had() {
    let (bench, bytes) = (Transfers::gcs().await, noise(37 * MIB));
    bench.write_file(&bytes);
    let key = bench.upload();

    let reads = kill_in_the_middle_of_a_download(&bench, &key, &bytes);

    // The service told its checksum, so that nothing is read twice.
    assert_eq!(begins(&reads), [12, 20, 28, 36].map(|at| at * MIB), "{reads:?}");
}

/// Kills when 12 MiB of the object have been written, and gives what was read of it after that.
fn kill_in_the_middle_of_a_download(bench: &Transfers, key: &str, bytes: &[u8]) -> Vec<String> {
    // Of five spans side by side, the second to fifth stand still after 4 MiB each.
    for begin in [8, 16, 24, 32] {
        bench.faults.add("GET", &format!("bytes={}-", begin * MIB), 1, Fault::StallAnswer(4 * MIB));
    }
    let file = bench.project.path().join("back/backup.sql.gz");
    let part = bench.project.path().join("back/backup.sql.gz.rekindle-part");
    let written = || std::fs::metadata(&part).map_or(0, |found| found.len());
    let reads = || {
        let reads = bench.seen("GET ").into_iter();
        reads.filter(|seen| seen.contains("backup.sql.gz") && !seen.contains("list-type")).collect::<Vec<_>>()
    };
    let set = format!("key={key}");
    let under_way = || written() >= 12 * MIB as u64 && reads().len() == 5;
    bench.start_and_kill(&["download", "--set", &set], 1, under_way);
    assert!(!file.exists());

    bench.run(&["resume", "latest"]).success();

    assert!(std::fs::read(&file).unwrap() == bytes);
    assert!(!part.exists());
    assert_eq!(bench.outputs()["size_bytes"], bytes.len());
    reads().split_off(5)
}

/// Gives the first bytes of ranges, the lowest first.
fn begins(reads: &[String]) -> Vec<usize> {
    let from = |read: &String| read.split_once("bytes=")?.1.split_once('-')?.0.parse().ok();
    let mut begins: Vec<usize> = reads.iter().filter_map(from).collect();
    begins.sort_unstable();
    begins
}
