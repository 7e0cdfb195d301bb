//! People's agreement on the terminal that shows the run.

use serde_json::Value;

use crate::support::{Project, Terminal};

fn project(policy: &str) -> Project {
    let project = Project::new();
    project.write(
        "runbooks/wipe.yaml",
        r"
apiVersion: rekindle/v1
kind: Runbook
name: wipe
version: 1.0.0
steps:
  - { id: look, run: [echo, seen] }
  - { id: wipe, needs: [look], effect: destroy, run: [touch, gone] }
finally:
  - { id: clean, run: [touch, cleaned] }
",
    );
    let environment = format!("apiVersion: rekindle/v1\nkind: Environment\nname: here\npolicy: {policy}\n");
    project.write("environments/here.yaml", &environment);
    project
}

fn sit_down(project: &Project, user: &str, args: &[&str]) -> Terminal {
    let mut command = project.command(args);
    command.env("USER", user);
    Terminal::start(command)
}

fn exists(project: &Project, name: &str) -> bool {
    project.path().join(name).exists()
}

fn events(project: &Project, kind: &str) -> Vec<Value> {
    let shown = project.run(&["runs", "show", "latest", "--json"]).success().json();
    let records = shown["events"].as_array().unwrap().clone();
    records.into_iter().map(|record| record["event"].clone()).filter(|event| event["type"] == kind).collect()
}

const ONE: &str = "{ approve: [destroy] }";
const TWO: &str = "{ approve: [destroy], approvals: 2 }";
const RUN: &[&str] = &["run", "wipe", "-e", "here", "--yes"];

#[test]
fn a_run_on_a_terminal_asks_there_and_goes_on_with_the_answer() {
    let project = project(ONE);
    let mut terminal = sit_down(&project, "kim", RUN);
    terminal.sees("kim: approve, reject or later, and why? ", 1);
    let screen = terminal.screen();
    assert!(screen.contains("now: run touch gone"), "{screen}");
    assert!(screen.contains("wipe 1.0.0 on here, plan "), "{screen}");
    assert!(!exists(&project, "gone"));

    terminal.types("y\n");
    terminal.sees("Only `approve`, `reject` and `later` are heard", 1);
    assert!(!exists(&project, "gone"));

    terminal.types("approve ticket 4711\n");
    assert_eq!(terminal.code(), Some(0));
    assert!(exists(&project, "gone") && exists(&project, "cleaned"));
    let approved = events(&project, "step_approved");
    assert_eq!((&approved[0]["by"], &approved[0]["why"]), (&"kim".into(), &"ticket 4711".into()));
}

#[test]
fn a_rejection_on_the_terminal_fails_the_step_and_still_cleans_up() {
    let project = project(ONE);
    let mut terminal = sit_down(&project, "kim", RUN);
    terminal.sees("and why? ", 1);
    terminal.types("reject wrong server\n");
    assert_eq!(terminal.code(), Some(1));
    assert!(!exists(&project, "gone") && exists(&project, "cleaned"));
    assert_eq!(events(&project, "step_rejected")[0]["why"], "wrong server");
}

#[test]
fn one_person_at_the_terminal_counts_once_and_the_run_is_left_to_the_second() {
    let project = project(TWO);
    let mut first = sit_down(&project, "kim", RUN);
    first.sees("and why? ", 1);
    first.types("approve\n");
    assert_eq!(first.code(), Some(3));
    assert!(first.screen().contains("wipe (1 of 2: kim)"), "{}", first.screen());

    let mut again = sit_down(&project, "kim", &["resume", "latest"]);
    assert_eq!(again.code(), Some(3));
    assert!(!again.screen().contains("and why? "), "{}", again.screen());

    let mut second = sit_down(&project, "root", &["resume", "latest", "--as", "ana"]);
    second.sees("ana: approve, reject or later, and why? ", 1);
    second.types("approve\n");
    assert_eq!(second.code(), Some(0));
    assert!(exists(&project, "gone"));
}

#[test]
fn what_is_left_for_later_waits_and_so_does_a_run_whose_input_ends() {
    for typed in ["later\n", "\u{4}"] {
        let project = project(ONE);
        let mut terminal = sit_down(&project, "kim", RUN);
        terminal.sees("and why? ", 1);
        terminal.types(typed);
        assert_eq!(terminal.code(), Some(3), "{typed:?}: {}", terminal.screen());
        assert!(terminal.screen().contains("rekindle approve"), "{}", terminal.screen());
        assert!(!exists(&project, "gone"));
    }
}

#[test]
fn what_was_typed_before_the_question_answers_nothing() {
    let project = project(ONE);
    let slow = std::fs::read_to_string(project.path().join("runbooks/wipe.yaml")).unwrap();
    let slow =
        slow.replace("[echo, seen]", "[sh, -c, \"echo started; until test -e go; do sleep 0.05; done\"]");
    project.write("runbooks/wipe.yaml", &slow);
    let mut terminal = sit_down(&project, "kim", RUN);
    terminal.sees("started", 1);
    terminal.types("approve\n");
    project.write("go", "");
    terminal.sees("and why? ", 1);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!exists(&project, "gone"));
    terminal.types("later\n");
    assert_eq!(terminal.code(), Some(3));
}

#[test]
fn an_answer_from_elsewhere_takes_the_question_off_the_screen() {
    let project = project(TWO);
    let mut terminal = sit_down(&project, "kim", RUN);
    terminal.sees("kim: approve, reject or later, and why? ", 1);
    let mut command = project.command(&["approve", "latest", "wipe"]);
    let ana = command.env("USER", "ana").output().unwrap();
    assert_eq!(ana.status.code(), Some(3));
    terminal.sees("approved so far by ana", 1);
    terminal.sees("kim: approve, reject or later, and why? ", 2);
    terminal.types("approve\n");
    assert_eq!(terminal.code(), Some(0));
    assert!(exists(&project, "gone"));
}

#[test]
fn an_interrupt_while_the_question_stands_cancels_the_run_in_order() {
    let project = project(ONE);
    let mut terminal = sit_down(&project, "kim", RUN);
    terminal.sees("and why? ", 1);
    rustix::process::kill_process(terminal.pid(), rustix::process::Signal::INT).unwrap();
    assert_eq!(terminal.code(), Some(130), "{}", terminal.screen());
    assert!(!exists(&project, "gone") && exists(&project, "cleaned"));
}
