//! Which parts of the checks ran: receives what happened, yields the last line of `cargo xtask test`.

use std::fmt;

/// What ran and what did not, in order.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    ran: Vec<String>,
    left_out: Vec<(String, String)>,
}

impl Lanes {
    /// Notes a lane that ran to its good end.
    pub(crate) fn ran(&mut self, lane: impl Into<String>) {
        self.ran.push(lane.into());
    }

    /// Notes a lane that did not run, and why.
    pub(crate) fn left_out(&mut self, lane: impl Into<String>, why: impl Into<String>) {
        self.left_out.push((lane.into(), why.into()));
    }

    /// Notes a lane of tests: one without tests did not run, whatever the exit code says.
    pub(crate) fn tests(&mut self, lane: &str, count: u64) {
        if count == 0 {
            self.left_out(lane, "it has no tests");
        } else {
            self.ran(format!("{lane} ({count} tests)"));
        }
    }
}

impl fmt::Display for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lanes: {}", if self.ran.is_empty() { "none".to_owned() } else { self.ran.join(", ") })?;
        if self.left_out.is_empty() {
            return f.write_str("; all ran");
        }
        let left_out: Vec<String> =
            self.left_out.iter().map(|(lane, why)| format!("{lane} ({why})")).collect();
        write!(f, "; did not run: {}", left_out.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_without_tests_is_not_reported_as_run() {
        let mut lanes = Lanes::default();
        lanes.ran("fmt");
        lanes.tests("unit", 12);
        assert_eq!(lanes.to_string(), "lanes: fmt, unit (12 tests); all ran");
        lanes.tests("e2e", 0);
        assert_eq!(lanes.to_string(), "lanes: fmt, unit (12 tests); did not run: e2e (it has no tests)");
    }

    #[test]
    fn nothing_at_all_is_said_to_be_nothing() {
        let mut lanes = Lanes::default();
        lanes.left_out("fmt", "failed");
        assert_eq!(lanes.to_string(), "lanes: none; did not run: fmt (failed)");
    }
}
