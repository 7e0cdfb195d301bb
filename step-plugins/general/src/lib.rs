//! Step kinds that are not about databases: receives a [`Registry`], adds `run`, `report.write` and `approval`.

mod approval;
mod report_write;
mod run;

use rekindle_engine::step::Registry;

pub use approval::{Approval, ApprovalOutputs, ApprovalParams};
pub use report_write::{Format, ReportWrite, ReportWriteOutputs, ReportWriteParams};
pub use run::{Run, RunOutputs, RunParams, Word};

/// Adds every kind of this crate.
pub fn register(registry: &mut Registry) {
    registry.register(Run);
    registry.register(ReportWrite);
    registry.register(Approval);
}
