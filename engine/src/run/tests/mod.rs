//! Runs on fakes: single rules first, then random plans, outcomes, crashes and cancellations.

mod approvals;
mod approving;
mod driver;
mod fence;
mod groups;
mod invariants;
mod killed;
mod logs;
mod random;
mod random_driver;
mod replan;
mod replan_approved;
mod resume;
mod rig;
mod rounds;
mod shipped;
mod state;
mod stopping;
mod support;
mod walk;
