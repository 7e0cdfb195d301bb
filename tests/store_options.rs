//! What the options of a store and the variables of the machine do, as a command sees it.

use rekindle_emulators::{ACCESS_KEY, Fault, S3Server, SECRET_KEY};

use crate::support::{Answer, Project};

const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];

fn project(store: &str) -> Project {
    let project = Project::new();
    let environment = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: here\nstores:\n  primary: {{ {store} }}\n"
    );
    project.write("environments/here.yaml", &environment);
    project
}

/// Lists the backups of a store.
fn list(project: &Project, variables: &[(&str, &str)]) -> Answer {
    let mut command = project.command(&["backups", "list", "-e", "here"]);
    command.envs(variables.iter().copied());
    Answer::from(command.output().unwrap())
}

fn at(endpoint: &str) -> String {
    format!("url: 's3://backups/mysql', endpoint: '{endpoint}', path_style: true, region: eu-central-1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_reached_through_the_proxy_that_the_machine_names() {
    let server = S3Server::start("backups").await.unwrap();
    let proxy = server.endpoint();
    // Nobody else knows this host: what is answered came through the proxy.
    let project = project(&at("http://s3.internal"));
    let named = [&CREDENTIALS[..], &[("HTTP_PROXY", proxy)]].concat();
    list(&project, &named).success();
    assert!(server.faults().seen().iter().any(|seen| seen.starts_with("GET /backups")));
    let hosts = server.faults().said("host");
    assert!(hosts.iter().all(|(_, host)| host.as_deref() == Some("s3.internal")), "{hosts:?}");

    // A secure connection is asked for by name, and nothing of the request is told to the proxy.
    let project = self::project(&at("https://s3.internal"));
    let before = server.faults().seen().len();
    let named = [&CREDENTIALS[..], &[("HTTPS_PROXY", proxy)]].concat();
    list(&project, &named).code(1);
    let asked = server.faults().seen().split_off(before);
    assert!(!asked.is_empty() && asked.iter().all(|seen| seen == "CONNECT s3.internal:443"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_need_no_proxy_are_reached_without() {
    let server = S3Server::start("backups").await.unwrap();
    let project = project(&at(server.endpoint()));
    // Nothing listens there.
    let proxy = [&CREDENTIALS[..], &[("HTTP_PROXY", "http://127.0.0.1:9")]].concat();
    list(&project, &[&proxy[..], &[("NO_PROXY", "s3.internal,127.0.0.1")]].concat()).success();
    let seen = server.faults().seen().len();
    list(&project, &proxy).code(1);
    assert_eq!(server.faults().seen().len(), seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_and_region_are_those_of_the_profile_that_the_store_names() {
    let server = S3Server::start("backups").await.unwrap();
    let project = project(&format!(
        "url: 's3://backups/mysql', endpoint: '{}', path_style: true, profile: backup",
        server.endpoint()
    ));
    let config = format!(
        "[default]\nregion = us-east-1\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n\
         [profile backup]\nregion = eu-west-3\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    );
    project.write("config", &config);
    let file = project.path().join("config");
    // Those of the environment are of somebody else.
    let file = [
        ("AWS_CONFIG_FILE", file.to_str().unwrap()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT"),
        ("AWS_SECRET_ACCESS_KEY", "another"),
    ];
    list(&project, &file).success();
    let signed = server.faults().said("authorization");
    let signed = signed.iter().map(|(_, signed)| signed.as_deref().unwrap());
    for signed in signed {
        assert!(signed.contains(ACCESS_KEY) && signed.contains("/eu-west-3/s3/"), "{signed}");
    }

    let unknown = self::project(&format!("{}, profile: backups", at(server.endpoint())));
    let told = list(&unknown, &file).code(1).stderr;
    assert!(told.contains("profile `backups` was not defined"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_tried_again_is_named_by_operation_and_object() {
    let server = S3Server::start("backups").await.unwrap();
    server.faults().add("GET", "/backups", 1, Fault::Refuse(503, "SlowDown", None));
    let answer = list(&project(&at(server.endpoint())), &CREDENTIALS).success();
    let warned = answer.stderr.lines().find(|line| line.contains("may be tried again")).unwrap();
    for told in ["request=\"ListObjectsV2 /backups/?prefix=mysql%2Fbackups%2Fhere%2F\"", "status=503"] {
        assert!(warned.contains(told), "{warned}");
    }
}

/// Google's own service is named by no endpoint; nothing is asked of it here.
#[test]
fn a_proxy_that_google_can_not_be_reached_by_is_told_at_once() {
    let project = project("url: 'gs://shop-backups/mysql'");
    let proxy = ("HTTPS_PROXY", "http://127.0.0.1:9");
    let told = list(&project, &[proxy]).code(2).stderr;
    insta::assert_snapshot!(told, @"error: failed to open gs://shop-backups/mysql: HTTPS_PROXY is set, but only contents would go through that proxy: lists, looks, copies and removals go by gRPC, which takes none; let this machine reach storage.googleapis.com:443 by itself, and add `storage.googleapis.com` to NO_PROXY");

    let direct = ("NO_PROXY", "storage.googleapis.com");
    let nobody = ("GOOGLE_APPLICATION_CREDENTIALS", "absent.json");
    let told = list(&project, &[proxy, direct, nobody]).code(2).stderr;
    assert!(told.contains("gcloud auth application-default login"), "{told}");
}

#[test]
fn a_preflight_finds_a_class_that_there_is_not_and_a_proxy_that_does_not_serve() {
    let proxy = ("HTTPS_PROXY", "http://127.0.0.1:9");
    let class = "url: 's3://shop-backups', region: eu-central-1, storage_class: STANDARD_AI";
    for (store, told) in [(class, "did you mean `STANDARD_IA`?"), ("url: 'gs://shop-backups'", "NO_PROXY")] {
        let project = project(store);
        project.write("file", "x");
        let runbook = "apiVersion: rekindle/v1\nkind: Runbook\nname: send\nversion: 1.0.0\nsteps:\n  \
                       - { id: send, uses: store.upload, with: { from: file, store: primary, key: a } }\n";
        project.write("runbooks/send.yaml", runbook);
        let mut command = project.command(&["run", "send", "-e", "here"]);
        let found = Answer::from(command.envs([proxy]).output().unwrap()).code(2).stderr;
        assert!(found.contains("rekindle::store::unusable") && found.contains(told), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_ignores_conditions_holds_no_journals() {
    let server = S3Server::start("backups").await.unwrap();
    server.ignore_conditions();
    let project = Project::new();
    let environment = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: here\njournal: {{ store: primary }}\nstores:\n  \
         primary: {{ {} }}\n",
        at(server.endpoint())
    );
    project.write("environments/here.yaml", &environment);
    let runbook = "apiVersion: rekindle/v1\nkind: Runbook\nname: nothing\nversion: 1.0.0\nsteps:\n  \
                   - { id: say, uses: run, with: { command: [echo, hello] } }\n";
    project.write("runbooks/nothing.yaml", runbook);
    let mut command = project.command(&["run", "nothing", "-e", "here"]);
    let refused = Answer::from(command.envs(CREDENTIALS).output().unwrap()).code(2);
    insta::assert_snapshot!(refused.stderr, @r"
    rekindle::store::no_conditions

      × the store s3://backups/mysql replaces an object that was to be written only if there is none
      help: two runners could both hold a lock there; keep journals in a store that heeds `If-None-Match` and `If-Match`, as Amazon S3, Google Cloud Storage, MinIO and folders do, or leave out `journal:` to keep them on this machine
    ");
    let left: Vec<_> = std::fs::read_dir(server.root().join("backups")).unwrap().flatten().collect();
    let left: Vec<_> = left.iter().map(std::fs::DirEntry::path).filter(|path| !is_empty(path)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(
        !project.path().join(".rekindle/runs").is_dir() || is_empty(&project.path().join(".rekindle/runs"))
    );
}

/// Tells whether there is no file below a path.
fn is_empty(path: &std::path::Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().all(|entry| is_empty(&entry.path())),
        Err(_) => false,
    }
}
