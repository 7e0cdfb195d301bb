//! Backups in a bucket: written, proven, restored, pruned, by the same runbooks as in a folder.

use std::path::{Path, PathBuf};

use rekindle_emulators::{ACCESS_KEY, Fault, GcsServer, S3Server, SECRET_KEY};

use crate::support::{Answer, Cluster};

/// Runs a command line with credentials for the bucket.
fn run(cluster: &Cluster, args: &[&str]) -> Answer {
    let mut all = args.to_vec();
    all.extend(["-e", "bucket.yaml"]);
    let mut command = cluster.project.command(&all);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    Answer::from(command.output().unwrap())
}

fn in_a_bucket(cluster: &Cluster, store: &str) {
    let environment = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: bucket\nextends: box/environments/sandbox.yaml\n\
         stores:\n  primary: {{ {store} }}\n"
    );
    cluster.project.write("bucket.yaml", &environment);
}

fn of_s3(server: &S3Server) -> String {
    let endpoint = server.endpoint();
    format!("url: 's3://backups/mysql', endpoint: '{endpoint}', path_style: true, region: eu-central-1")
}

fn of_google(server: &GcsServer) -> String {
    format!("url: 'gs://backups/mysql', endpoint: '{}', anonymous: true", server.endpoint())
}

/// Backs up, proves the backup, destroys the primary and brings it back; a hiccup on the way costs a try, and is
/// told. Gives what the backup said.
async fn is_proven_and_restored(cluster: &Cluster) -> Answer {
    cluster.fill(5_000).await;
    let before = cluster.checksums(0).await;
    let backup = run(cluster, &["run", "backup", "--yes"]).success();
    assert!(backup.stderr.contains("failed and may be tried again"), "{}", backup.stderr);
    assert!(files(&cluster.store("store")).is_empty(), "nothing went to the folder");
    run(cluster, &["run", "verify", "--yes"]).success();
    run(cluster, &["backups", "verify", "latest"]).success();
    cluster.destroy_primary();
    run(cluster, &["run", "disaster-recovery", "--yes", "--set", "reseed_replicas=true"]).success();
    assert_eq!(cluster.checksums(0).await, before);
    assert_eq!(cluster.checksums(1).await, before);
    backup
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>());
    entries
        .unwrap_or_default()
        .into_iter()
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_in_a_bucket_is_proven_and_restored_from_there() {
    let server = S3Server::start("backups").await.unwrap();
    let cluster = Cluster::up(1);
    in_a_bucket(&cluster, &of_s3(&server));
    server.faults().add("PUT", "manifest.json", 1, Fault::Refuse(503, "SlowDown", None));
    let backup = is_proven_and_restored(&cluster).await;
    let stored = files(&server.root().join("backups/mysql"));
    assert!(stored.iter().any(|file| file.ends_with("manifest.json")), "{stored:?}");
    assert!(!format!("{backup:?}").contains(SECRET_KEY));
    for (path, bytes) in crate::support::Project::snapshot(cluster.project.path()) {
        let told = bytes.windows(SECRET_KEY.len()).any(|text| text == SECRET_KEY.as_bytes());
        assert!(!told, "{} holds the secret key", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_in_a_bucket_of_google_is_proven_and_restored_from_there() {
    let server = GcsServer::start("backups").await.unwrap();
    let cluster = Cluster::up(1);
    in_a_bucket(&cluster, &of_google(&server));
    server.faults().add("POST", "manifest.json&", 1, Fault::Refuse(503, "backendError", None));
    is_proven_and_restored(&cluster).await;
    let seen = server.faults().seen();
    assert!(seen.iter().any(|seen| seen.contains("/upload/") && seen.contains("manifest.json")), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_bucket_and_credentials_of_google_are_found_before_anything_starts() {
    let server = GcsServer::start("other").await.unwrap();
    let cluster = Cluster::up(0);
    in_a_bucket(&cluster, &of_google(&server));
    let missing = run(&cluster, &["run", "backup", "--yes"]).code(2);
    assert!(missing.stderr.contains("make the bucket first"), "{}", missing.stderr);
    assert!(missing.stderr.contains("gs://backups/mysql"), "{}", missing.stderr);
    server.require_token("another");
    let wrong = run(&cluster, &["run", "backup", "--yes"]).code(2);
    assert!(wrong.stderr.contains("log in again"), "{}", wrong.stderr);

    // The place where they are to be found holds none: nobody is asked.
    in_a_bucket(&cluster, "url: 'gs://backups/mysql', endpoint: 'https://127.0.0.1:9'");
    let mut none = cluster.project.command(&["run", "backup", "--yes", "-e", "bucket.yaml"]);
    none.env("GOOGLE_APPLICATION_CREDENTIALS", "absent.json");
    let none = Answer::from(none.output().unwrap()).code(2);
    assert!(none.stderr.contains("gcloud auth application-default login"), "{}", none.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_bucket_and_wrong_credentials_are_found_before_anything_starts() {
    let server = S3Server::start("other").await.unwrap();
    let cluster = Cluster::up(0);
    in_a_bucket(&cluster, &of_s3(&server));
    let missing = run(&cluster, &["run", "backup", "--yes"]).code(2);
    assert!(missing.stderr.contains("make the bucket first"), "{}", missing.stderr);
    assert!(missing.stderr.contains("s3://backups/mysql"), "{}", missing.stderr);

    let environment = ["run", "backup", "--yes", "-e", "bucket.yaml"];
    let mut wrong = cluster.project.command(&environment);
    wrong.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", "wrong");
    let wrong = Answer::from(wrong.output().unwrap()).code(2);
    assert!(wrong.stderr.contains("the secret key is wrong"), "{}", wrong.stderr);

    // No other source of credentials is there, and the instance's is not asked for long.
    let mut none = cluster.project.command(&environment);
    none.env("AWS_EC2_METADATA_DISABLED", "true");
    let none = Answer::from(none.output().unwrap()).code(2);
    assert!(none.stderr.contains("credentials"), "{}", none.stderr);
}

#[test]
fn lifecycle_documents_of_both_providers_are_imported_as_declarations() {
    let project = crate::support::Project::new();
    let aws = include_str!("../step-plugins/storage/src/lifecycle/guide-s3.json");
    project.write("s3.json", aws);
    project.write("gcs.json", include_str!("../step-plugins/storage/src/lifecycle/guide-gcs.json"));
    project.write("tags.json", &aws.replace("\"Prefix\": \"mysql/\"", "\"Tag\": {}"));
    let answer = project.run(&["lifecycle", "import", "s3.json"]).success();
    insta::assert_snapshot!(answer.stdout, @r#"
    # Put it under a store with an `s3:` URL. Its `prefix` counts from that URL: without one, it is the whole store.
    lifecycle:
      id: "mysql-backup-lifecycle"
      prefix: "mysql/"
      transitions:
        - { after: 30d, class: STANDARD_IA }
        - { after: 90d, class: GLACIER }
        - { after: 365d, class: DEEP_ARCHIVE }
      expire: 2555d
    "#);
    insta::assert_snapshot!(answer.stderr, @"comments are no part of JSON, and were passed over");
    let answer = project.run(&["lifecycle", "import", "gcs.json"]).success();
    assert!(answer.stdout.contains("    - { after: 90d, class: COLDLINE }\n"), "{}", answer.stdout);
    assert_eq!(answer.stderr, "");
    insta::assert_snapshot!(project.run(&["lifecycle", "import", "tags.json"]).code(2).stderr, @r"
    error: tags.json: it says what can't be declared: unknown field `Tag`, expected `Prefix`
    help: a declaration says a prefix, transitions and deletion by age; keep other rules at the bucket, where `store.lifecycle` leaves them alone
    ");
    project.run(&["lifecycle", "import", "none.json"]).code(2);
}
