//! Runs on fakes: single rules first, then random plans, outcomes, crashes and cancellations.

mod state;
mod support;
