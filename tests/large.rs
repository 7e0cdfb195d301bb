//! A runbook of ten thousand steps with fifty mistakes: all are told, and nothing is quadratic.

use std::time::{Duration, Instant};

use crate::support::{Answer, Large, Project, large};

const ENVIRONMENT: &str = r#"apiVersion: rekindle/v1
kind: Environment
name: here
targets:
  primary: { host: 127.0.0.1, port: 1, user: root, password: { secret: root } }
stores:
  primary: { url: "file:store" }
secrets:
  root: { env: ROOT_PASSWORD }
"#;

fn check(runbook: &Large) -> (Answer, Duration) {
    let project = Project::new();
    project.write("environments/here.yaml", ENVIRONMENT);
    project.write("large.yaml", &runbook.text);
    let started = Instant::now();
    let answer = project.run(&["check", "large.yaml", "-e", "here"]);
    (answer, started.elapsed())
}

/// Gives the code of every mistake that was told, with the lines it points at.
fn told(answer: &Answer) -> Vec<(String, Vec<usize>)> {
    let mut found: Vec<(String, Vec<usize>)> = Vec::new();
    for line in answer.stderr.lines() {
        if let Some(code) = line.strip_prefix("rekindle::") {
            found.push((code.to_owned(), Vec::new()));
        } else if let Some((_, place)) = line.split_once("[large.yaml:") {
            let (line, _) = place.split_once(':').unwrap();
            found.last_mut().unwrap().1.push(line.parse().unwrap());
        }
    }
    found
}

#[test]
fn ten_thousand_steps_without_a_mistake_are_sound() {
    let (answer, _) = check(&large(10_000, 0));
    let answer = answer.success();
    assert_eq!(answer.stdout, "large 1.0.0 is sound for here: 10000 steps\n");
}

#[test]
fn all_fifty_mistakes_of_ten_thousand_steps_are_told_where_they_are() {
    let runbook = large(10_000, 50);
    let (answer, _) = check(&runbook);
    let answer = answer.code(2);
    let told = told(&answer);
    assert_eq!(told.len(), 50, "{}", answer.stderr);
    for ((code, lines), (line, expected)) in told.iter().zip(&runbook.mistakes) {
        assert!(code == expected && lines.contains(line), "{expected} in line {line} is {code} in {lines:?}");
    }
    assert!(answer.stderr.ends_with("50 mistakes\n"));
    assert!(answer.stderr.len() < 50_000, "{} bytes about fifty mistakes", answer.stderr.len());
}

#[test]
fn ten_times_the_steps_take_ten_times_as_long_and_no_more() {
    let (small, big) = (large(1_000, 50), large(10_000, 50));
    // The shortest of three, since others use the machine too.
    let shortest = |runbook: &Large| (0..3).map(|_| check(runbook).1).min().unwrap();
    let (short, long) = (shortest(&small), shortest(&big));
    // Starting the program costs the same for both, so ten times the steps are less than ten times the time.
    assert!(long < short * 15, "1,000 steps took {short:?}, 10,000 took {long:?}");
}
