//! Runbooks to plans to runs: the pure core of rekindle.
//!
//! One way in, one way out: [`document`] reads YAML with spans, [`runbook`] and [`environment`] give it
//! types, [`compile`] makes a [`plan`], [`preview`] looks at the world without touching it, [`run`] executes
//! the plan and writes a [`journal`], and everything a person reads afterwards is a fold over that journal.
//!
//! Nothing here opens a socket, starts a process or writes to a terminal: the world is behind [`host`].

pub mod compile;
pub mod composite;
pub mod diagnostic;
pub mod document;
pub mod environment;
pub mod estimate;
pub mod explain;
pub mod host;
pub mod id;
pub mod journal;
pub mod plan;
pub mod preview;
pub mod report;
pub mod run;
pub mod runbook;
pub mod schema;
pub mod step;
pub mod template;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod values;
