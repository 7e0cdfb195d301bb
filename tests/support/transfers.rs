//! A project that sends files to a bucket and fetches them, with a runner that can be killed on the way.

use std::any::Any;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rekindle_emulators::{ACCESS_KEY, Faults, GcsServer, S3Server, SECRET_KEY};
use serde_json::Value;

use super::{Answer, Project};

pub(crate) const MIB: usize = 1 << 20;

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
values: { key: { type: string } }
steps:
  - { id: download, uses: store.download, with: { store: offsite, key: \"{{ values.key }}\", to: back/backup.sql.gz } }
";

/// A project with a bucket of some provider.
pub(crate) struct Transfers {
    pub(crate) project: Project,
    pub(crate) faults: Faults,
    /// What only the requests that send a part have, before its number and after it.
    part: (&'static str, &'static str),
    server: Box<dyn Any + Send>,
}

impl Transfers {
    pub(crate) async fn s3() -> Self {
        let server = S3Server::start("backups").await.unwrap();
        let store = format!(
            "url: 's3://backups', endpoint: '{}', path_style: true, region: eu-central-1",
            server.endpoint()
        );
        Self::new(&store, server.faults().clone(), ("partNumber=", "&"), Box::new(server))
    }

    pub(crate) async fn gcs() -> Self {
        let server = GcsServer::start("backups").await.unwrap();
        let store = format!("url: 'gs://backups', endpoint: '{}', anonymous: true", server.endpoint());
        Self::new(&store, server.faults().clone(), ("%2F", "&"), Box::new(server))
    }

    fn new(
        store: &str,
        faults: Faults,
        part: (&'static str, &'static str),
        server: Box<dyn Any + Send>,
    ) -> Self {
        let project = Project::new();
        project.write("runbooks/upload.yaml", UPLOAD);
        project.write("runbooks/download.yaml", DOWNLOAD);
        std::fs::create_dir(project.path().join("back")).unwrap();
        let environment = format!(
            "apiVersion: rekindle/v1\nkind: Environment\nname: here\nstores:\n  offsite: {{ {store} }}\n"
        );
        project.write("environments/here.yaml", &environment);
        Self { project, faults, part, server }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        Answer::from(self.command(args).output().unwrap())
    }

    /// Sends the file, and gives its key in the bucket.
    pub(crate) fn upload(&self) -> String {
        self.run(&["run", "upload", "-e", "here", "--yes"]).success();
        self.outputs()["key"].as_str().unwrap().to_owned()
    }

    /// Fetches an object, and gives its bytes.
    pub(crate) fn download(&self, key: &str) -> Vec<u8> {
        self.run(&["run", "download", "-e", "here", "--yes", "--set", &format!("key={key}")]).success();
        std::fs::read(self.project.path().join("back/backup.sql.gz")).unwrap()
    }

    /// Starts a runbook and kills its runner with -9 once it has written so many checkpoints and `under_way` holds.
    pub(crate) fn start_and_kill(&self, args: &[&str], checkpoints: usize, under_way: impl Fn() -> bool) {
        let mut all = vec!["run", "-e", "here", "--yes", "--log-format", "json"];
        all.extend(args);
        let mut runner = self.command(&all).stdout(Stdio::piped()).spawn().unwrap();
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

    /// Lists the requests so far that have a text in them.
    pub(crate) fn seen(&self, part: &str) -> Vec<String> {
        self.faults.seen().into_iter().filter(|seen| seen.contains(part)).collect()
    }

    /// Gives what only the requests that send a part have.
    pub(crate) fn part(&self, number: usize) -> String {
        let (before, after) = self.part;
        format!("{before}{number}{after}")
    }

    /// Gives how often each part was sent. The look whether a bucket of Google can be written sends a part too, of an
    /// upload of its own, which has no second one.
    pub(crate) fn parts_sent(&self, parts: usize) -> Vec<usize> {
        let second = self.seen(&self.part(2));
        let (upload, _) = second[0].split_once(&self.part(2)).unwrap();
        (1..=parts).map(|number| self.seen(&format!("{upload}{}", self.part(number))).len()).collect()
    }

    /// Names the objects that are there, with the parts of uploads where those are objects too.
    pub(crate) fn objects(&self) -> Vec<String> {
        if let Some(server) = self.server.downcast_ref::<GcsServer>() {
            return server.objects("backups");
        }
        let (root, mut names) = (self.bucket(), Vec::new());
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                // What the server itself keeps of uploads and objects begins with a dot.
                } else if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                    names.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        names
    }

    /// Tells whether an object is a part of an upload.
    pub(crate) fn is_part(name: &str) -> bool {
        name.contains("rekindle-parts")
    }

    /// Gives the folder that is a bucket of S3.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.server.downcast_ref::<S3Server>().unwrap().root().join("backups")
    }

    /// Gives the file that is sent, after writing it.
    pub(crate) fn write_file(&self, bytes: &[u8]) {
        std::fs::write(self.project.path().join("backup.sql.gz"), bytes).unwrap();
    }

    /// Gives the outputs of the one step of the newest run.
    pub(crate) fn outputs(&self) -> Value {
        let runs = self.run(&["runs", "list", "--json"]).success().json();
        let shown = self.run(&["runs", "show", runs[0]["run"].as_str().unwrap(), "--json"]).success().json();
        let events = shown["events"].as_array().unwrap().iter().map(|record| &record["event"]);
        let succeeded: Vec<_> = events.filter(|event| event["type"] == "step_succeeded").collect();
        assert_eq!(succeeded.len(), 1);
        succeeded[0]["outputs"].clone()
    }
}

/// Bytes that are different everywhere.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}
