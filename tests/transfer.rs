//! Files go to a bucket and come back; a runner that is killed on the way goes on from what has arrived.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rekindle_emulators::{ACCESS_KEY, Fault, S3Server, SECRET_KEY};
use serde_json::Value;

use crate::support::{Answer, Project};

const MIB: usize = 1 << 20;

const UPLOAD: &str = "
apiVersion: rekindle/v1
kind: Runbook
name: upload
version: 1.0.0
steps:
  - id: upload
    uses: store.upload
    with:
      from: backup.sql.gz
      store: offsite
      key: \"mysql/{{ run.started_at[:10] | replace('-', '/') }}/backup.sql.gz\"
";

const DOWNLOAD: &str = "
apiVersion: rekindle/v1
kind: Runbook
name: download
version: 1.0.0
steps:
  - id: download
    uses: store.download
    with: { store: offsite, key: mysql/backup.sql.gz, to: back/backup.sql.gz }
";

/// A project with a bucket.
struct Bench {
    server: S3Server,
    project: Project,
}

impl Bench {
    async fn new() -> Self {
        let server = S3Server::start("backups").await.unwrap();
        let project = Project::new();
        project.write("runbooks/upload.yaml", UPLOAD);
        project.write("runbooks/download.yaml", DOWNLOAD);
        let environment = format!(
            "apiVersion: rekindle/v1\nkind: Environment\nname: here\n\
             stores:\n  offsite: {{ url: 's3://backups', endpoint: '{}', path_style: true, region: eu-central-1 }}\n",
            server.endpoint()
        );
        project.write("environments/here.yaml", &environment);
        Self { server, project }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command
    }

    fn run(&self, args: &[&str]) -> Answer {
        Answer::from(self.command(args).output().unwrap())
    }

    /// Starts a runbook and kills its runner with -9 once it has written so many checkpoints and `under_way` holds.
    fn start_and_kill(&self, runbook: &str, checkpoints: usize, under_way: impl Fn() -> bool) {
        let args = ["run", runbook, "-e", "here", "--yes", "--log-format", "json"];
        let mut runner = self.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(runner.stdout.take().unwrap()).lines();
        let is_checkpoint = |line: &String| line.contains("step_checkpoint");
        let seen = lines.map(|line| line.unwrap()).filter(is_checkpoint).take(checkpoints).count();
        assert_eq!(seen, checkpoints, "{:?}", runner.wait());
        let begun = Instant::now();
        while !under_way() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", self.seen(""));
            std::thread::sleep(Duration::from_millis(10));
        }
        runner.kill().unwrap();
        runner.wait().unwrap();
    }

    fn seen(&self, part: &str) -> Vec<String> {
        self.server.faults().seen().into_iter().filter(|seen| seen.contains(part)).collect()
    }

    /// Gives how often each part was sent.
    fn parts_sent(&self, parts: usize) -> Vec<usize> {
        (1..=parts).map(|part| self.seen(&format!("partNumber={part}&")).len()).collect()
    }

    fn bucket(&self) -> PathBuf {
        self.server.root().join("backups")
    }

    fn outputs(&self) -> Value {
        let runs = self.run(&["runs", "list", "--json"]).success().json();
        let shown = self.run(&["runs", "show", runs[0]["run"].as_str().unwrap(), "--json"]).success().json();
        let events = shown["events"].as_array().unwrap().iter().map(|record| &record["event"]);
        let succeeded: Vec<_> = events.filter(|event| event["type"] == "step_succeeded").collect();
        assert_eq!(succeeded.len(), 1);
        succeeded[0]["outputs"].clone()
    }
}

/// Bytes that are different everywhere.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    // What the server itself keeps of uploads and objects begins with a dot.
    below.filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_in_an_upload_sends_one_part_again_and_no_more() {
    let bench = Bench::new().await;
    let bytes = noise(37 * MIB);
    std::fs::write(bench.project.path().join("backup.sql.gz"), &bytes).unwrap();
    bench.server.faults().add("PUT", "partNumber=4&", 1, Fault::Stall);
    bench.start_and_kill("upload", 1, || !bench.seen("partNumber=4&").is_empty());
    assert!(files(&bench.bucket()).is_empty(), "nothing half-made is there");

    bench.run(&["resume", "latest"]).success();

    assert_eq!(bench.parts_sent(5), [1, 1, 1, 2, 1]);
    let [object] = files(&bench.bucket()).try_into().unwrap();
    assert!(std::fs::read(&object).unwrap() == bytes);
    let outputs = bench.outputs();
    let day = outputs["key"].as_str().unwrap().strip_prefix("mysql/").unwrap();
    assert_eq!((day.matches('/').count(), day.len()), (3, "2026/11/22/backup.sql.gz".len()));
    assert_eq!(object, bench.bucket().join(outputs["key"].as_str().unwrap()));
    assert_eq!(outputs["size_bytes"], bytes.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_before_it_learnt_that_the_upload_is_done_sends_nothing_again() {
    let bench = Bench::new().await;
    let bytes = noise(17 * MIB);
    std::fs::write(bench.project.path().join("backup.sql.gz"), &bytes).unwrap();
    // Two looks find that nothing is there; the one at the object that was made never comes back.
    bench.server.faults().add_after(2, "HEAD", "backup.sql.gz", 1, Fault::Stall);
    bench.start_and_kill("upload", 1, || bench.seen("HEAD").len() == 3);
    assert_eq!(files(&bench.bucket()).len(), 1);

    bench.run(&["resume", "latest"]).success();

    assert_eq!(bench.parts_sent(3), [1, 1, 1]);
    let [object] = files(&bench.bucket()).try_into().unwrap();
    assert!(std::fs::read(&object).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_killed_in_a_download_goes_on_from_the_byte_it_had() {
    let bench = Bench::new().await;
    let bytes = noise(37 * MIB);
    std::fs::create_dir(bench.bucket().join("mysql")).unwrap();
    std::fs::write(bench.bucket().join("mysql/backup.sql.gz"), &bytes).unwrap();
    std::fs::create_dir(bench.project.path().join("back")).unwrap();
    // Of five spans side by side, the second to fifth stand still after 4 MiB each.
    for begin in [8, 16, 24, 32] {
        let range = format!("bytes={}-", begin * MIB);
        bench.server.faults().add("GET", &range, 1, Fault::StallAnswer(4 * MIB));
    }
    let file = bench.project.path().join("back/backup.sql.gz");
    let part = bench.project.path().join("back/backup.sql.gz.rekindle-part");
    let written = || std::fs::metadata(&part).map_or(0, |found| found.len());
    let asked = || bench.seen("GET /backups/mysql/backup.sql.gz");
    bench.start_and_kill("download", 1, || written() >= 12 * MIB as u64 && asked().len() == 5);
    assert!(!file.exists());

    bench.run(&["resume", "latest"]).success();

    // Whoever put it there left no checksum: it was read once more for the proof, whole and so without a range first.
    let reads = asked().split_off(5);
    let from = |read: &String| read.split_once("bytes=")?.1.split_once('-')?.0.parse().ok();
    let mut again: Vec<usize> = reads.iter().map_while(from).collect();
    again.sort_unstable();
    assert_eq!(again, [12, 20, 28, 36].map(|at| at * MIB), "{reads:?}");
    assert_eq!(reads.len(), 4 + 5, "{reads:?}");
    assert!(std::fs::read(&file).unwrap() == bytes);
    assert!(!part.exists());
    assert_eq!(bench.outputs()["size_bytes"], bytes.len());
}
