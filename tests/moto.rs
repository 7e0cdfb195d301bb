//! Buckets of a server that has versions and lifecycle rules: the lane `moto`.

use std::path::Path;

use rekindle_emulators::{ACCESS_KEY, MotoServer, SECRET_KEY};

use crate::support::{Answer, Project};

/// Runs a command line with credentials for the bucket.
fn run(project: &Project, args: &[&str]) -> Answer {
    let mut all = args.to_vec();
    all.extend(["-e", "mine"]);
    let mut command = project.command(&all);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    Answer::from(command.output().unwrap())
}

/// Copies the example, with the bucket on a server of this machine and the folders below the project's.
fn three_two_one(server: &MotoServer) -> Project {
    let (project, example) =
        (Project::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/three-two-one"));
    for name in ["environments/production.yaml", "runbooks/prepare-stores.yaml"] {
        project.write(name, &std::fs::read_to_string(example.join(name)).unwrap());
    }
    let mine = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nextends: production\nname: mine\nstores:\n  \
         primary: {{ url: 'file:disk' }}\n  nas: {{ url: 'file:nas' }}\n  \
         offsite: {{ endpoint: '{}', path_style: true }}\n",
        server.endpoint()
    );
    project.write("environments/mine.yaml", &mine);
    project
}

#[test]
fn the_stores_of_the_example_are_prepared_with_consent_and_a_second_run_changes_nothing() {
    let server = MotoServer::start().unwrap();
    let project = three_two_one(&server);

    let plan = run(&project, &["plan", "prepare-stores"]).success().stdout;
    for told in [
        "make the bucket `mysql-backups-company`",
        "add rule `rekindle mysql/` below `mysql/`: STANDARD_IA after 30d, GLACIER after 90d, DEEP_ARCHIVE after 365d",
        "what is older than 90d can be read only after up to 5h",
    ] {
        assert!(plan.contains(told), "{told}: {plan}");
    }
    let refused = run(&project, &["run", "prepare-stores"]).code(2).stderr;
    assert!(refused.contains("run with --yes"), "{refused}");
    assert!(!project.path().join("disk").exists(), "without consent nothing is made");

    run(&project, &["run", "prepare-stores", "--yes"]).success();
    assert!(project.path().join("disk").is_dir() && project.path().join("nas").is_dir());
    let plan = run(&project, &["plan", "prepare-stores"]).success().stdout;
    assert!(plan.contains("the bucket `mysql-backups-company` is as it should be"), "{plan}");
    assert!(plan.contains("the bucket `mysql-backups-company` has the declared rules already"), "{plan}");
    run(&project, &["run", "prepare-stores", "--yes"]).success();
}
