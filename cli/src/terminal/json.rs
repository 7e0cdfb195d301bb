//! JSON lines: journal records as they are, progress and logs beside them.

use rekindle_engine::id::StepId;
use rekindle_engine::journal::Record;
use rekindle_engine::run::Observer;
use rekindle_engine::step::Progress;
use serde_json::json;

use crate::output;

/// Writes one JSON object a line: `{"record": …}`, `{"progress": …}` or `{"log": …}`.
pub(super) struct JsonLines;

impl Observer for JsonLines {
    fn record(&self, record: &Record) {
        output::line(&json!({ "record": record }).to_string());
    }

    fn progress(&self, step: &StepId, progress: &Progress) {
        let Progress { bytes, total_bytes, note } = progress;
        output::line(
            &json!({ "progress": { "step": step, "bytes": bytes, "total_bytes": total_bytes, "note": note } })
                .to_string(),
        );
    }

    fn log(&self, step: &StepId, line: &str) {
        output::line(&json!({ "log": { "step": step, "line": line } }).to_string());
    }
}
