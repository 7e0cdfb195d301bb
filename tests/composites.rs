//! Composite step kinds: groups of steps that are planned, run, killed and resumed step by step.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::Project;

const HERE: &str = "apiVersion: rekindle/v1\nkind: Environment\nname: here\n";

fn project(kind: &str, runbook: &str) -> Project {
    let project = Project::new();
    let head = "apiVersion: rekindle/v1\nversion: 1.0.0\n";
    project.write("environments/here.yaml", HERE);
    project.write("kinds/shop.work.yaml", &format!("{head}kind: StepKind\nname: shop.work\n{kind}"));
    project.write("runbooks/main.yaml", &format!("{head}kind: Runbook\nname: main\n{runbook}"));
    project
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path().join(name)).unwrap_or_default()
}

#[test]
fn the_example_plans_runs_and_describes_itself() {
    let project = Project::new();
    for (name, text) in [
        ("kinds/files.publish.yaml", include_str!("../examples/composite/kinds/files.publish.yaml")),
        ("runbooks/publish.yaml", include_str!("../examples/composite/runbooks/publish.yaml")),
        ("environments/local.yaml", include_str!("../examples/composite/environments/local.yaml")),
        ("site/index.html", include_str!("../examples/composite/site/index.html")),
        ("site/style.css", include_str!("../examples/composite/site/style.css")),
    ] {
        project.write(name, text);
    }
    let kinds = project.run(&["steps"]).success();
    assert!(kinds.stdout.contains("files.publish  ") && kinds.stderr.is_empty(), "{kinds:?}");
    let described = project.run(&["steps", "files.publish"]).success().stdout;
    for part in ["from  (path, required)", "sha256  (string", "copy  run  Copy it beside its place"] {
        assert!(described.contains(part), "{described}");
    }
    let plan = project.run(&["plan", "publish", "-e", "local"]).success().stdout;
    for part in [
        "  ▾ publish[1]  files.publish 1.0.0  Publish a file",
        "    + publish[1]/switch  run  Put it in its place",
    ] {
        assert!(plan.contains(part), "{plan}");
    }
    project.run(&["run", "publish", "-e", "local", "--yes"]).success();
    assert_eq!(read(&project, "public/style.css"), read(&project, "site/style.css"));
    assert_eq!(read(&project, "public/sums").split_whitespace().map(str::len).collect::<Vec<_>>(), [64, 64]);
}

/// Each step says that it ran; `wait` then goes on once there is a file `go`.
const SLOW: &str = r#"
values: { name: { type: string }, first: { type: string } }
steps:
  - { id: begin, run: [sh, -c, "echo $0 >>ran", "begin-{{ values.name }}"] }
  - id: wait
    needs: [begin]
    on_crash: rerun
    run: [sh, -c, "echo $0 >>ran; while [ ! -e go ]; do sleep 0.05; done", "wait-{{ values.name }}"]
  - { id: end, needs: [wait], run: [sh, -c, "echo $0 >>ran; echo $0", "end-{{ values.name }}-{{ values.first }}"] }
outputs: { said: "{{ steps.end.outputs.stdout }}" }
"#;

const USES: &str = r#"
steps:
  - { id: first, run: [echo, one] }
  - id: work
    uses: shop.work
    for_each: [a, b]
    max_parallel: 1
    with: { name: "{{ each.value }}", first: "{{ steps.first.outputs.stdout | trim }}" }
  - { id: after, run: [sh, -c, "echo $0 >after", "{{ steps.work.outputs | map(attribute='said') | map('trim') | join('+') }}"] }
"#;

#[test]
fn a_killed_group_goes_on_where_it_was_and_no_step_succeeds_twice() {
    let project = project(SLOW, USES);
    let mut runner = project
        .command(&["run", "main", "-e", "here", "--log-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    let waits = |line: &String| line.contains("step_started") && line.contains("work[0]/wait");
    lines.find(|line| waits(line.as_ref().unwrap())).unwrap().unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    drop(lines);
    project.write("go", "");
    // The run goes on with what was planned, whatever became of the file.
    std::fs::remove_file(project.path().join("kinds/shop.work.yaml")).unwrap();
    // Nothing is asked, so `--yes`, a habit from `run`, does no harm.
    project.run(&["resume", "latest", "--yes"]).success();

    assert_eq!(read(&project, "after"), "end-a-one+end-b-one\n");
    let ran = read(&project, "ran");
    let once = |name: &str| ran.lines().filter(|line| *line == name).count();
    for name in ["begin-a", "end-a-one", "begin-b", "wait-b", "end-b-one"] {
        assert_eq!(once(name), 1, "{name} in {ran}");
    }
    let runs = project.path().join(".rekindle/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let journal = std::fs::read_to_string(run.join("journal.jsonl")).unwrap();
    for step in ["work[0]/begin", "work[0]/wait", "work[0]", "work[1]/end", "work[1]", "after"] {
        let succeeded =
            |line: &&str| line.contains("step_succeeded") && line.contains(&format!("\"{step}\""));
        assert_eq!(journal.lines().filter(succeeded).count(), 1, "{step} in {journal}");
    }
}

#[test]
fn a_failure_in_a_group_blocks_what_needs_it_and_a_group_may_clean_up() {
    let kind = "values: { what: { type: string }, ok: { type: boolean } }\nsteps:\n  - { id: try, run: [sh, -c, \"echo $0 >>ran; test $1 = true\", \"{{ values.what }}\", \"{{ values.ok }}\"] }\n  - { id: later, needs: [try], run: [sh, -c, \"echo later-$0 >>ran\", \"{{ values.what }}\"] }\noutputs: { what: \"{{ values.what }}\" }\n";
    let runbook = "steps:\n  - { id: first, run: [echo, 'no'] }\n  - { id: skipped, uses: shop.work, when: \"steps.first.outputs.stdout | trim == 'yes'\", with: { what: never, ok: true } }\n  - { id: bad, uses: shop.work, needs: [skipped], with: { what: bad, ok: false } }\n  - { id: after, needs: [bad], run: [touch, after] }\non_failure:\n  - { id: undo, uses: shop.work, with: { what: \"undo {{ failure.step }}\", ok: true } }\n";
    let project = project(kind, runbook);
    let answer = project.run(&["run", "main", "-e", "here"]).code(1);
    assert_eq!(read(&project, "ran"), "bad\nundo bad/try\nlater-undo bad/try\n", "{answer:?}");
    assert!(!project.path().join("after").exists());
    let report = project.run(&["runs", "report", "latest"]).success().stdout;
    assert!(report.contains("bad/later") && report.contains("blocked"), "{report}");
}

#[test]
fn a_broken_composite_stops_only_what_uses_it() {
    let project = project("stpes: []\n", "steps: [{ id: a, uses: shop.work }]\n");
    project.write(
        "runbooks/other.yaml",
        "apiVersion: rekindle/v1\nkind: Runbook\nname: other\nversion: 1.0.0\nsteps: [{ id: a, run: ['true'] }]\n",
    );
    project.run(&["check", "other", "-e", "here"]).success();
    let answer = project.run(&["check", "main", "-e", "here"]).code(2);
    assert!(
        answer.stderr.contains("kinds/shop.work.yaml") && answer.stderr.contains("did you mean `steps`?"),
        "{}",
        answer.stderr
    );
    assert!(project.run(&["steps"]).success().stderr.contains("warning: shop.work: "));
    project.run(&["steps", "shop.work"]).code(2);
}
