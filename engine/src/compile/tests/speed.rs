//! Ten thousand steps are compiled in moments: nothing is quadratic.

use std::fmt::Write;
use std::time::Instant;

use super::fixture::plan;

#[test]
fn ten_thousand_steps_compile_in_moments() {
    let mut runbook = String::from("steps:\n");
    for number in 0..10_000 {
        let before = match number {
            0 => String::new(),
            _ => format!(", text: \"{{{{ steps.s_{}.outputs.uri }}}}/{{{{ values.name }}}}\"", number - 1),
        };
        writeln!(runbook, "  - {{ id: s-{number}, uses: test.work, with: {{ target: primary{before} }} }}")
            .unwrap();
    }
    let started = Instant::now();
    let plan = plan(&runbook);
    assert_eq!(plan.steps.len(), 10_000);
    // Well under a second where it is built with optimisation; quadratic work would take minutes here.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
