//! Executes a plan: a pure state machine, and the driver that feeds it.
//!
//! Receives a [`RunRequest`] with a [`crate::plan::Plan`] and a [`crate::journal::Journal`]; yields how the run
//! ended ([`RunEnd`]). Everything in between is in the journal: [`RunState`] is a fold over it, [`execute`] and
//! [`resume`] only differ in whether there is something to fold.

mod approvals;
mod asking;
mod attempt;
mod cancellation;
mod driver;
mod inbox;
mod logs;
mod pins;
mod preparation;
mod replan;
mod reporter;
mod request;
mod resume;
pub(crate) mod retry;
mod state;
mod stopping;
#[cfg(test)]
mod tests;
mod turn;

pub use approvals::{Answer, Approvals, Unattended, Verdict};
pub use cancellation::Cancellation;
pub use driver::execute;
pub use inbox::{Inbox, InboxApprovals, InboxError, Left};
pub use logs::{FileLogs, NoLogs, StepLogs};
pub use replan::{Again, Gone, Had, Proposal, Reuse, replan};
pub use request::{Observer, Question, RunEnd, RunError, RunOptions, RunRequest, Silent};
pub use resume::{Decision, Resume, resume};
pub use state::{Awaited, Command, IllegalTransition, RunState, StepStatus};
