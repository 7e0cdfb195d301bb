//! The example with three environments, and what is said when environments are wrong.

use std::path::Path;

use crate::support::{Cluster, Project};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/three-environments/environments");

/// Copies the example's environments into a project.
fn copy_example(project: &Project) {
    for entry in std::fs::read_dir(Path::new(EXAMPLE)).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("environments/{}", path.file_name().unwrap().to_str().unwrap());
        project.write(&name, &std::fs::read_to_string(&path).unwrap());
    }
}

#[tokio::test]
async fn the_dev_environment_backs_a_server_up_and_brings_it_back() {
    let cluster = Cluster::up(0);
    cluster.fill(500).await;
    let before = cluster.checksums(0).await;
    copy_example(&cluster.project);
    let sandbox = std::fs::read_to_string(cluster.environment()).unwrap();
    let port = sandbox.split_once("port: ").unwrap().1.split(',').next().unwrap();
    cluster.project.write(
        "environments/mine.yaml",
        &format!(
            "apiVersion: rekindle/v1\nkind: Environment\nextends: dev\nname: dev\n\
             targets: {{ primary: {{ port: {port} }} }}\n\
             secrets: {{ root: {{ env: null, file: box/secrets/root }} }}\n\
             values: {{ sandbox_dir: box/servers/primary }}\n"
        ),
    );

    let plan = cluster.run(&["plan", "backup", "-e", "mine"]).success().stdout;
    assert!(plan.contains("- schema  mysql.dump  disabled: the full dump is small enough"), "{plan}");
    cluster.run(&["run", "backup", "-e", "mine", "--yes"]).success();
    let shown = cluster.run(&["backups", "show", "latest", "-e", "mine"]).success().stdout;
    assert!(shown.contains("full.sql.gz") && !shown.contains("schema.sql.gz"), "{shown}");

    cluster.destroy_primary();
    cluster.run(&["run", "disaster-recovery", "-e", "mine", "--yes"]).success();
    assert_eq!(cluster.checksums(0).await, before);
}

#[test]
fn explain_reads_files_only_and_names_every_layer() {
    let project = Project::new();
    copy_example(&project);
    let before = Project::snapshot(project.path());
    let args = ["plan", "disaster-recovery", "-e", "production"];
    let ask = |more: &[&str]| project.run(&[&args[..], more].concat());

    let answer =
        ask(&["--explain", "targets.primary.user", "--explain", "values.backup", "--set", "backup=b7"]);
    insta::assert_snapshot!(answer.success().stdout, @r#"
    targets.primary.user = "rekindle"
        environment  environments/base.yaml:7         "root"
      → environment  environments/production.yaml:10  "rekindle"

    values.backup = "b7"
        runbook      disaster-recovery.yaml (shipped):24  "latest"
      → --set        --set backup=b7                      "b7"
    "#);
    let answer = ask(&["--explain", "steps.restore.timeout", "--format", "json"]).success();
    assert_eq!(answer.json()["explained"][0]["value"], "45m");
    insta::assert_snapshot!(ask(&["--explain", "steps.restor.timeout"]).code(2).stderr, @r"
    error: nothing sets `steps.restor.timeout`
    help: did you mean `steps.restore.timeout`?
    ");
    insta::assert_snapshot!(ask(&["--explain", "policy", "--format", "dot"]).code(2).stderr, @r"
    error: `--explain` is text, not a picture
    help: leave `--format` out, or write `--format json`
    ");
    assert_eq!(Project::snapshot(project.path()), before);
}

#[test]
fn what_is_extended_is_looked_up_beside_the_file_that_names_it() {
    let project = Project::new();
    copy_example(&project);
    let environment = |extends: &str| {
        format!("apiVersion: rekindle/v1\nkind: Environment\nextends: {extends}\nname: other\n")
    };
    for (name, extends) in [
        ("environments/beside.yaml", "dev"),
        ("elsewhere/by-path.yaml", "../environments/dev.yaml"),
        ("environments/dotted.yaml", "./../environments/dev.yaml"),
    ] {
        project.write(name, &environment(extends));
        project.run(&["check", "backup", "-e", name]).success();
    }
    project.write("elsewhere/wrong.yaml", &environment("dev"));
    insta::assert_snapshot!(project.run(&["check", "backup", "-e", "elsewhere/wrong.yaml"]).code(2).stderr, @r"
    rekindle::environment::unknown_base

      × there is no environment `dev`: elsewhere/dev.yaml is no file
       ╭─[elsewhere/wrong.yaml:3:10]
     2 │ kind: Environment
     3 │ extends: dev
       ·          ─┬─
       ·           ╰── extends this
     4 │ name: other
       ╰────
      help: write the NAME of NAME.yaml beside this file, or a path that counts from its folder
    ");
    project.write("environments/misspelt.yaml", &environment("stagin"));
    insta::assert_snapshot!(project.run(&["check", "backup", "-e", "misspelt"]).code(2).stderr, @r"
    rekindle::environment::unknown_base

      × there is no environment `stagin`: environments/stagin.yaml is no file
       ╭─[environments/misspelt.yaml:3:10]
     2 │ kind: Environment
     3 │ extends: stagin
       ·          ───┬──
       ·             ╰── extends this
     4 │ name: other
       ╰────
      help: did you mean `staging`?
    ");
    project.write("environments/round.yaml", &environment("../environments/round"));
    project.write("environments/a.yaml", &environment("./b.yaml"));
    project.write("environments/b.yaml", &environment("../environments/a.yaml"));
    insta::assert_snapshot!(project.run(&["check", "backup", "-e", "a"]).code(2).stderr, @r"
    rekindle::environment::extends_cycle

      × environments extend each other: environments/a.yaml → environments/b.yaml → environments/a.yaml
       ╭─[environments/b.yaml:3:10]
     2 │ kind: Environment
     3 │ extends: ../environments/a.yaml
       ·          ───────────┬──────────
       ·                     ╰── leads back
     4 │ name: other
       ╰────
      help: remove the `extends` of the one that is the base of all
    ");
}

#[test]
fn a_base_alone_is_no_environment() {
    let project = Project::new();
    copy_example(&project);
    insta::assert_snapshot!(project.run(&["check", "backup", "-e", "base"]).code(2).stderr, @r"
    rekindle::environment::missing_field

      × an environment has no `name`
       ╭─[environments/base.yaml:3:1]
     2 │ # What dev, staging and production share. It has no name, so nobody can run anything in it by mistake.
     3 │ apiVersion: rekindle/v1
       · ─────┬────
       ·      ╰── `name` belongs to this map
     4 │ kind: Environment
       ╰────
      help: add `name:`
    ");
}

#[test]
fn a_misspelt_runbook_among_patches_is_a_mistake_and_one_that_is_elsewhere_is_pointed_out() {
    let project = Project::new();
    copy_example(&project);
    let environment = |patches: &str| {
        format!(
            "apiVersion: rekindle/v1\nkind: Environment\nextends: base\nname: here\npatches:\n  {patches}\n"
        )
    };
    project.write("environments/here.yaml", &environment("{ of-another-team: [], disaster-recovery: [] }"));
    let answer = project.run(&["check", "backup", "-e", "here"]).success();
    insta::assert_snapshot!(answer.stderr, @"hint: environment `here` patches a runbook `of-another-team` that is not there");

    let misspelt = "disaster_recovery:\n    - { step: report, set: { timeout: 1m } }";
    project.write("environments/here.yaml", &environment(misspelt));
    insta::assert_snapshot!(project.run(&["check", "backup", "-e", "here"]).code(2).stderr, @"
    rekindle::patch::unknown_runbook

      × environment `here` patches a runbook `disaster_recovery` that is not there
       ╭─[environments/here.yaml:7:7]
     6 │   disaster_recovery:
     7 │     - { step: report, set: { timeout: 1m } }
       ·       ───────────────────┬──────────────────
       ·                          ╰── never applied to `disaster-recovery`
       ╰────
      help: did you mean `disaster-recovery`?
    ");
}

#[test]
fn a_password_next_to_broken_yaml_is_not_printed() {
    let project = Project::new();
    project.write(
        "environments/here.yaml",
        "apiVersion: rekindle/v1\nkind: Environment\nname: here\ntargets:\n  primary:\n    password: hunter2\n    host: a: b\n",
    );
    let answer = project.run(&["check", "backup", "-e", "here"]).code(2);
    assert!(!answer.stderr.contains("hunter2"), "{}", answer.stderr);
    insta::assert_snapshot!(answer.stderr, @r"
    rekindle::document::syntax

      × a `:` is not allowed here
       ╭─[environments/here.yaml:7:12]
     6 │     password: *******
     7 │     host: ** *
       ·            ┬
       ·            ╰── here
       ╰────
      help: quote text that contains `: `, or check indentation and brackets; the text is hidden, since an environment could hold a password by mistake
    ");
}
