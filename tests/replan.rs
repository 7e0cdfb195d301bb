//! A run goes on under a plan that was mended: what it has done is not done again.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::Project;

const ENVIRONMENT: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: here\n";

fn runbook(steps: &str) -> String {
    format!(
        "apiVersion: rekindle/v1\nkind: Runbook\nname: move\nversion: 1.0.0\n\
         concurrency: {{ group: cluster }}\nsteps:\n{steps}"
    )
}

const BROKEN: &str = "
  - { id: count, run: [sh, -c, 'echo x >> counted'] }
  - { id: wipe, needs: [count], effect: destroy, run: [sh, -c, 'echo x >> wiped'] }
  - { id: move, needs: [wipe], run: [sh, -c, 'exit 3'] }
";

fn failed() -> Project {
    let project = Project::new();
    project.write("runbooks/move.yaml", &runbook(BROKEN));
    project.write("environments/here.yaml", ENVIRONMENT);
    project.run(&["run", "move", "-e", "here", "--yes"]).code(1);
    project
}

fn lines(project: &Project, file: &str) -> usize {
    std::fs::read_to_string(project.path().join(file)).unwrap().lines().count()
}

/// Without what differs from run to run.
fn told(project: &Project, text: &str) -> String {
    let runs = project.run(&["runs", "list", "--json"]).success().json();
    let run = runs[0]["run"].as_str().unwrap();
    let mut told = text.replace(run, "RUN");
    let shown = project.run(&["runs", "show", run, "--json"]).success().json();
    let events = shown["events"].as_array().unwrap().iter();
    let hashes = events.filter_map(|record| record["event"]["plan_hash"].as_str());
    for (name, hash) in ["FIRST", "SECOND"].iter().zip(hashes) {
        told = told.replace(&hash[..12], name);
    }
    told.lines()
        .filter(|line| !line.contains("sha256") && !line.contains(".yaml: "))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_mended_runbook_is_taken_up_only_when_asked_for_and_done_steps_stay_done() {
    let project = failed();
    project.write("runbooks/move.yaml", &runbook(&BROKEN.replace("exit 3", "touch moved")));

    project.run(&["resume", "latest"]).code(1);
    assert!(!project.path().join("moved").exists());

    let refused = project.run(&["resume", "latest", "--replan"]).code(2);
    insta::assert_snapshot!(told(&project, &refused.stdout), @r#"
    steps
      ~ move
          ~ with.command: ["sh","-c","exit 3"] → ["sh","-c","touch moved"]

    still counts: count, wipe
    "#);
    insta::assert_snapshot!(refused.stderr, @r#"
    error: there is no terminal to ask on whether to go on like this
    help: look at the changes above, then resume with --replan --yes
    "#);
    assert!(!project.path().join("moved").exists());

    project.run(&["resume", "latest", "--replan", "--yes", "--resolve", "wipe=done"]).code(2);
    project.run(&["resume", "latest", "--replan", "--yes"]).success();
    assert!(project.path().join("moved").exists());
    assert_eq!((lines(&project, "counted"), lines(&project, "wiped")), (1, 1));

    let shown = project.run(&["runs", "show", "latest"]).success().stdout;
    assert!(told(&project, &shown).contains("  replanned    once: FIRST → SECOND\n"), "{shown}");
    project.run(&["runs", "report", "latest"]).success();
    project.run(&["resume", "latest", "--replan", "--yes"]).code(2);
}

#[test]
fn a_destroy_step_that_would_run_again_is_told_before_it_does() {
    let project = failed();
    let mended = BROKEN.replace("exit 3", "true").replace("x >> counted", "y >> counted");
    project.write("runbooks/move.yaml", &runbook(&mended));
    let refused = project.run(&["resume", "latest", "--replan"]).code(2);
    let consequences = refused.stdout.split_once("still counts").unwrap().1;
    insta::assert_snapshot!(consequences, @r#"
    : nothing
    runs again:
      count (write): with changes: `command`
      wipe (destroy): it needs step `count`, which is due
        WARNING: it was done before and replaces or removes data again
    "#);
    assert_eq!(lines(&project, "wiped"), 1);
    project.run(&["resume", "latest", "--replan", "--yes"]).success();
    assert_eq!((lines(&project, "counted"), lines(&project, "wiped")), (2, 2));
}

#[test]
fn a_mistake_in_todays_runbook_changes_nothing() {
    let project = failed();
    project.write("runbooks/move.yaml", &runbook("  - { id: count, uses: nothing }\n"));
    let before = Project::snapshot(&project.path().join(".rekindle/runs"));
    let answer = project.run(&["resume", "latest", "--replan", "--yes"]).code(2);
    assert!(answer.stderr.contains("unknown_step_kind"), "{}", answer.stderr);
    assert!(before == Project::snapshot(&project.path().join(".rekindle/runs")));
    // The stored plan is as good as ever.
    project.run(&["resume", "latest"]).code(1);
}

#[test]
fn an_unchanged_runbook_goes_on_under_the_stored_plan() {
    let project = failed();
    let answer = project.run(&["resume", "latest", "--replan"]).code(1);
    assert!(answer.stderr.contains("today's plan is the one that is stored"), "{}", answer.stderr);
}

#[test]
fn a_plan_of_another_group_is_refused() {
    let project = failed();
    project.write("runbooks/move.yaml", &runbook(BROKEN).replace("group: cluster", "group: other"));
    let answer = project.run(&["resume", "latest", "--replan", "--yes"]).code(2);
    insta::assert_snapshot!(answer.stderr, @r#"
    error: the new plan is of another concurrency group, so it is not this run's to take up
    help: cancel this run, and start a new one
    "#);
}

#[test]
fn a_step_that_was_under_way_and_is_changed_waits_for_a_decision() {
    let project = Project::new();
    let steps = "  - { id: move, run: [sh, -c, 'echo x >> begun; sleep 1000'] }\n";
    project.write("runbooks/move.yaml", &runbook(steps));
    project.write("environments/here.yaml", ENVIRONMENT);
    let args = ["run", "move", "-e", "here", "--log-format", "json"];
    let mut runner = project.command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(runner.stdout.take().unwrap()).lines();
    out.find(|line| line.as_ref().unwrap().contains("step_started")).unwrap().unwrap();

    // Its runner lives.
    let alive = project.run(&["resume", "latest", "--replan", "--yes"]).code(2);
    assert!(alive.stderr.contains("is still driven by pid"), "{}", alive.stderr);
    runner.kill().unwrap();
    runner.wait().unwrap();

    project.write("runbooks/move.yaml", &runbook(&steps.replace("sleep 1000", "true")));
    let undecided = project.run(&["resume", "latest", "--replan", "--yes"]).code(2);
    insta::assert_snapshot!(undecided.stderr, @r#"
    error: step `move` was under way when the run was cut off, and the new plan does not go on with it
    help: look what they left, then say so with `--resolve STEP=done|rerun|fail` on each, or finish them first by resuming without --replan
    "#);
    project.run(&["resume", "latest", "--replan", "--yes", "--resolve", "move=rerun"]).success();
}

#[test]
fn where_plans_must_be_saved_no_other_one_is_taken_up() {
    let project = failed();
    let policy = format!("{ENVIRONMENT}policy: {{ saved_plan: required }}\n");
    project.write("environments/here.yaml", &policy);
    let answer = project.run(&["resume", "latest", "--replan", "--yes"]).code(2);
    assert!(answer.stderr.contains("the environment `here` wants a saved plan"), "{}", answer.stderr);
    project.run(&["resume", "latest"]).code(1);
}
