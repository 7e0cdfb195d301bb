//! A saved plan is run exactly as it was made, or refused with what has changed since.

use serde_json::Value;

use crate::support::{Answer, Project};

const RUNBOOK: &str = r#"apiVersion: rekindle/v1
kind: Runbook
name: book
version: 1.0.0
requires: "rekindle >= 0.1"
values:
  word: { type: string, default: a }
  config: { type: path, default: config.txt }
  out: { type: path, default: out }
steps:
  - { id: find, run: [cat, found.txt], effect: read, phase: plan }
  - { id: work, run: [scripts/work.sh, "{{ values.word }}", "{{ steps.find.outputs.stdout }}"] }
"#;

const ENVIRONMENT: &str = r"apiVersion: rekindle/v1
kind: Environment
name: here
extends: base
objectives: { rto: 1h }
";

const BASE: &str = r"apiVersion: rekindle/v1
kind: Environment
name: base
objectives: { rpo: 15m }
";

/// A project with a plan in `plan.json`.
fn planned() -> Project {
    let project = unplanned(RUNBOOK, ENVIRONMENT);
    project.run(&PLAN).success();
    project
}

const PLAN: [&str; 8] = ["plan", "book", "-e", "here", "--values", "values.yaml", "-o", "plan.json"];

fn unplanned(runbook: &str, environment: &str) -> Project {
    let project = Project::new();
    project.write("runbooks/book.yaml", runbook);
    project.write("environments/here.yaml", environment);
    project.write("environments/base.yaml", BASE);
    project.write("values.yaml", "word: b\n");
    project.write("config.txt", "one");
    project.write("found.txt", "backup-1");
    let script = project.write("scripts/work.sh", "#!/bin/sh\necho \"$@\" >>out\n");
    executable(&script);
    project
}

fn executable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path().join(name)).unwrap()
}

/// Runs the plan, expects a refusal with nothing done, and gives what was said.
#[track_caller]
fn refusal(project: &Project, args: &[&str]) -> String {
    let before = Project::snapshot(project.path());
    let answer = project.run(args).code(2);
    assert_eq!(Project::snapshot(project.path()), before);
    said(&answer)
}

/// What was said, without hashes and ages that differ from run to run.
fn said(answer: &Answer) -> String {
    let mut text = String::new();
    for word in answer.stderr.split_inclusive([' ', '\n', '…']) {
        let hex = word.trim_end_matches(['…', ' ', '\n', ',']);
        let hash = hex.len() >= 12 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        text.push_str(&if hash { word.replace(hex, "HASH") } else { word.to_owned() });
    }
    text
}

fn runs(project: &Project) -> Value {
    project.run(&["runs", "list", "--json"]).success().json()
}

#[test]
fn a_saved_plan_is_run_exactly_as_it_was_made() {
    let project = unplanned(RUNBOOK, ENVIRONMENT);
    let answer = project.run(&PLAN).success();
    insta::assert_snapshot!(said(&answer), @"
    saved in plan.json: plan HASH
    to run exactly this: rekindle run plan.json
    ");
    assert!(answer.stdout.contains("backup-1"), "{}", answer.stdout);

    project.run(&["run", "plan.json"]).success();

    assert_eq!(read(&project, "out"), "b backup-1\n");
    let saved: Value = serde_json::from_str(&read(&project, "plan.json")).unwrap();
    let run = runs(&project)[0]["run"].as_str().unwrap().to_owned();
    assert_eq!(read(&project, &format!(".rekindle/runs/{run}/plan.json")), read(&project, "plan.json"));
    assert!(answer.stderr.contains(saved["hash"].as_str().unwrap()));
}

#[test]
fn a_saved_plan_can_be_looked_at_and_given_its_own_environment() {
    let project = planned();
    let text = project.run(&["run", "plan.json", "--dry-run"]).success().stdout;
    assert!(text.contains("run scripts/work.sh b backup-1"), "{text}");
    assert!(!project.path().join(".rekindle").exists());
    project.run(&["run", "plan.json", "-e", "environments/here.yaml"]).success();
}

#[test]
fn documents_that_were_only_touched_change_nothing() {
    let project = planned();
    for name in ["runbooks/book.yaml", "environments/here.yaml", "values.yaml", "scripts/work.sh"] {
        let file = std::fs::File::options().append(true).open(project.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now()).unwrap();
    }
    project.run(&["run", "plan.json"]).success();
}

#[test]
fn an_output_file_that_appears_is_a_change_and_one_that_is_not_referred_to_is_none() {
    let project = planned();
    project.write("other.txt", "x");
    project.run(&["run", "plan.json"]).success();
    insta::assert_snapshot!(refusal(&project, &["run", "plan.json"]), @"
    changed since the plan was made:

    files it refers to (sha256)
      + out: HASH…

    rekindle::plan::changed

      × plan.json does not fit any more: what it was made from has changed since
      help: nothing was done; look at the changes, then plan again:
            rekindle plan book -e here --values values.yaml -o plan.json
    ");
}

macro_rules! change {
    ($name:ident, $file:expr, $text:expr) => {
        #[test]
        fn $name() {
            let project = planned();
            let text: &str = $text;
            assert_ne!(read(&project, $file), text);
            project.write($file, text);
            executable(&project.path().join("scripts/work.sh"));
            insta::assert_snapshot!(refusal(&project, &["run", "plan.json"]));
        }
    };
}

change!(a_runbook_edited_by_one_byte, "runbooks/book.yaml", &RUNBOOK.replace("1.0.0", "1.0.1"));
change!(a_runbook_edited_by_a_blank, "runbooks/book.yaml", &format!("{RUNBOOK} "));
change!(a_runbook_that_is_no_longer_sound, "runbooks/book.yaml", &RUNBOOK.replace("work.sh", "{{ x }}"));
change!(an_edited_environment, "environments/here.yaml", &ENVIRONMENT.replace("1h", "2h"));
change!(an_edited_base_environment, "environments/base.yaml", &BASE.replace("15m", "20m"));
change!(an_environment_with_one_more_blank_line, "environments/base.yaml", &format!("{BASE}\n"));
change!(an_edited_values_file, "values.yaml", "word: c\n");
change!(an_edited_script, "scripts/work.sh", "#!/bin/sh\necho other >>out\n");
change!(an_edited_file_that_a_value_names, "config.txt", "two");
change!(another_result_of_planning, "found.txt", "backup-2");

#[test]
fn a_step_kind_of_another_version() {
    let project = planned();
    let mut plan: Value = serde_json::from_str(&read(&project, "plan.json")).unwrap();
    plan["origin"]["kinds"]["run"]["version"] = "0.0.9".into();
    rehash(&project, plan);
    let said = refusal(&project, &["run", "plan.json"]);
    assert!(said.contains("step kinds\n  ~ run.version: \"0.0.9\" → "), "{said}");
    assert!(said.contains("rekindle::plan::changed"), "{said}");
}

/// Gives a plan the hash that the program says it has.
fn rehash(project: &Project, mut plan: Value) {
    project.write("plan.json", &plan.to_string());
    let said = project.run(&["run", "plan.json"]).code(2).stderr;
    let actual = said.split_once("have the hash ").unwrap().1.get(..64).unwrap();
    plan["hash"] = actual.into();
    project.write("plan.json", &plan.to_string());
}

#[test]
fn a_result_of_planning_that_is_gone() {
    let project = planned();
    std::fs::remove_file(project.path().join("found.txt")).unwrap();
    let said = refusal(&project, &["run", "plan.json"]);
    insta::assert_snapshot!(said.replace("/usr/bin/cat:", "cat:").replace("/bin/cat:", "cat:"));
}

#[test]
fn results_of_planning_grow_stale() {
    let environment = format!("{ENVIRONMENT}policy: {{ saved_plan_max_age: 1s }}\n");
    let project = unplanned(RUNBOOK, &environment);
    project.run(&PLAN).success();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let said = refusal(&project, &["run", "plan.json"]);
    let ages = ["2s", "3s", "4s", "5s", "6s", "7s", "8s", "9s"];
    let said = ages.iter().fold(said, |said, age| said.replace(&format!("is {age} old"), "is AGE old"));
    insta::assert_snapshot!(said);
}

#[test]
fn a_plan_that_was_altered() {
    let project = planned();
    project.write("plan.json", &read(&project, "plan.json").replace("\"b\"", "\"c\""));
    insta::assert_snapshot!(refusal(&project, &["run", "plan.json"]));
}

#[test]
fn a_plan_of_a_newer_format_and_a_file_that_is_no_plan() {
    let project = planned();
    project.write("newer.json", r#"{"format": 99, "stages": []}"#);
    insta::assert_snapshot!("a_plan_of_a_newer_format", refusal(&project, &["run", "newer.json"]));
    project.write("broken.json", "{\"format\": 2,");
    insta::assert_snapshot!("a_file_that_is_no_plan", refusal(&project, &["run", "broken.json"]));
}

#[test]
fn a_plan_of_format_1_which_does_not_say_what_it_was_made_from() {
    let project = Project::new();
    project.write("plan.json", include_str!("../engine/src/plan/formats/plan-1.json"));
    insta::assert_snapshot!(refusal(&project, &["run", "plan.json"]));
}

#[test]
fn a_plan_that_was_carried_elsewhere() {
    let (project, elsewhere) = (planned(), Project::new());
    elsewhere.write("plan.json", &read(&project, "plan.json"));
    insta::assert_snapshot!(refusal(&elsewhere, &["run", "plan.json"]));
}

#[test]
fn a_plan_with_another_environment_or_values() {
    let project = planned();
    project.write("environments/there.yaml", &ENVIRONMENT.replace("here", "there"));
    insta::assert_snapshot!(
        "a_plan_with_another_environment",
        refusal(&project, &["run", "plan.json", "-e", "there"])
    );
    insta::assert_snapshot!(
        "a_plan_with_values",
        refusal(&project, &["run", "plan.json", "--set", "word=x"])
    );
}

#[test]
fn only_saved_plans_are_run_where_the_policy_says_so() {
    let environment = format!("{ENVIRONMENT}policy: {{ saved_plan: required }}\n");
    let project = unplanned(RUNBOOK, &environment);
    insta::assert_snapshot!(
        "a_runbook_where_a_saved_plan_is_required",
        refusal(&project, &["run", "book", "-e", "here"])
    );
    project.run(&["run", "book", "-e", "here", "--dry-run"]).success();
    project.run(&PLAN).success();
    project.run(&["run", "plan.json"]).success();
}

#[test]
fn a_plan_with_problems_is_not_saved_and_nothing_but_a_plan_is_replaced() {
    let project = unplanned(&RUNBOOK.replace("scripts/work.sh", "no-such-program"), ENVIRONMENT);
    project.run(&PLAN).code(2);
    assert!(!project.path().join("plan.json").exists());
    let project = planned();
    project.run(&PLAN).success();
    insta::assert_snapshot!(
        "a_file_where_the_plan_should_be",
        refusal(&project, &["plan", "book", "-e", "here", "-o", "config.txt"])
    );
}

#[test]
fn what_format_json_prints_can_be_run() {
    let project = unplanned(RUNBOOK, ENVIRONMENT);
    let text = project.run(&["plan", "book", "-e", "here", "--format", "json"]).success().stdout;
    project.write("printed", &text);
    project.run(&["run", "printed"]).success();
}

#[test]
fn a_runbook_for_another_version_of_rekindle() {
    let runbook = RUNBOOK.replace(">= 0.1", ">= 900").replace("steps:", "stages:");
    let project = unplanned(&runbook, ENVIRONMENT);
    insta::assert_snapshot!(refusal(&project, &["check", "book", "-e", "here"]));
}

fn git(project: &Project, words: &[&str]) -> String {
    let git = std::process::Command::new("git")
        .args(["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"])
        .args(words)
        .current_dir(project.path())
        .output()
        .unwrap();
    assert!(git.status.success(), "{git:?}");
    String::from_utf8(git.stdout).unwrap()
}

/// Runs the runbook and gives the run's id; ids of one second are in no order.
fn ran(project: &Project, more: &[&str], code: i32) -> String {
    let answer = project.run(&[&["run", "book", "-e", "here"], more].concat()).code(code);
    let (_, said) = answer.stderr.split_once("run 2").unwrap();
    format!("2{}", said.split([' ', ':']).next().unwrap())
}

fn shown(project: &Project, run: &str) -> Value {
    project.run(&["runs", "show", run, "--json"]).success().json()
}

#[test]
fn a_run_remembers_the_commit_of_its_runbook() {
    let project = unplanned(RUNBOOK, ENVIRONMENT);
    let run = ran(&project, &[], 0);
    assert_eq!(shown(&project, &run)["commit"], Value::Null);

    git(&project, &["init", "--quiet"]);
    git(&project, &["add", "runbooks"]);
    git(&project, &["commit", "--quiet", "--message", "x"]);
    let commit = git(&project, &["rev-parse", "HEAD"]).trim().to_owned();
    let run = ran(&project, &[], 0);
    assert_eq!(shown(&project, &run)["commit"], serde_json::json!({ "id": commit, "dirty": false }));

    project.write("runbooks/book.yaml", &format!("{RUNBOOK}# edited\n"));
    let run = ran(&project, &[], 0);
    assert_eq!(shown(&project, &run)["commit"]["dirty"], true);
    let text = project.run(&["runs", "show", &run]).success().stdout;
    assert!(text.contains(&format!("book 1.0.0, commit {}, edited since\n", &commit[..12])), "{text}");
    assert!(
        text.contains("  environment  here\n") && text.contains("  value        word = \"a\"\n"),
        "{text}"
    );
}

#[test]
fn what_differs_between_two_runs_is_told() {
    let project = unplanned(RUNBOOK, ENVIRONMENT);
    let old = ran(&project, &[], 0);
    project.write("runbooks/book.yaml", &RUNBOOK.replace("1.0.0", "1.1.0"));
    project.write("scripts/work.sh", "#!/bin/sh\nexit 3\n");
    let new = ran(&project, &["--set", "word=z"], 1);

    let text = project.run(&["runs", "diff", &old, &new]).success().stdout;
    let diff = project.run(&["runs", "diff", &old, &new, "--json"]).success().json();

    for told in [
        "book 1.0.0 ",
        "book 1.1.0",
        "~ word: \"a\" → \"z\"",
        "scripts/work.sh: ",
        "succeeded in ",
        "failed in ",
    ] {
        assert!(text.contains(told), "`{told}` is missing in\n{text}");
    }
    assert_eq!(diff["plan"]["values"], serde_json::json!([{ "field": "word", "old": "a", "new": "z" }]));
    assert_eq!((&diff["old"]["outcome"], &diff["new"]["outcome"]), (&"succeeded".into(), &"failed".into()));
    let work = diff["steps"].as_array().unwrap().iter().find(|step| step["id"] == "work").unwrap();
    assert_eq!((&work["old"]["status"], &work["new"]["status"]), (&"succeeded".into(), &"failed".into()));
    let same = project.run(&["runs", "diff", &new, &new]).success().stdout;
    assert!(same.contains("their plans do the same"), "{same}");
}
