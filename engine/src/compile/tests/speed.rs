//! Ten times the steps take ten times as long, not a hundred times: nothing is quadratic.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::fixture::{mistakes, plan};

/// Steps that each use what the step before gave; every hundredth refers to a step that is not there.
fn steps(count: usize, mistakes: bool) -> String {
    let mut text = String::from("steps:\n");
    for number in 0..count {
        let name = match number {
            0 => "values".to_owned(),
            _ if mistakes && number % 100 == 0 => format!("steps.z_{number}.outputs"),
            _ => format!("steps.s_{}.outputs", number - 1),
        };
        let field = if number == 0 { "name" } else { "uri" };
        writeln!(
            text,
            "  - {{ id: s-{number}, uses: test.work, needs: [s-{}], with: {{ target: primary, text: \"{{{{ {name}.{field} }}}}/{{{{ values.name }}}}\" }} }}",
            number.saturating_sub(2)
        )
        .unwrap();
    }
    text.replacen("needs: [s-0]", "needs: []", 1)
}

/// Gives the shorter of two times: somebody else may use the machine during one.
fn time(work: impl Fn()) -> Duration {
    let once = || {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    once().min(once())
}

#[test]
fn compiling_ten_times_the_steps_takes_ten_times_as_long() {
    let (small, big) = (steps(300, false), steps(3_000, false));
    let short = time(|| assert_eq!(plan(&small).steps.len(), 300));
    let long = time(|| assert_eq!(plan(&big).steps.len(), 3_000));
    assert!(long < short * 25, "300 steps took {short:?}, 3,000 took {long:?}");
}

#[test]
fn every_mistake_of_a_long_runbook_is_told() {
    assert_eq!(mistakes(&steps(3_000, true)).matches("rekindle::runbook::unknown_step").count(), 29);
}
