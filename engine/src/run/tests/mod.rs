//! Runs on fakes: single rules first, then random plans, outcomes, crashes and cancellations.

mod driver;
mod killed;
mod resume;
mod rig;
mod state;
mod support;
