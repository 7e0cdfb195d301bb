//! `approval`: a place in a runbook where people must agree. Receives what they are asked, yields who agreed.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rekindle_engine::id::StepId;
use rekindle_engine::journal::{Event, Record};
use rekindle_engine::step::{AskedApproval, Effect, Intent, Planned, Probe, Step, StepContext, StepError};
use rekindle_engine::values::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// More people than anybody can wake at night are a slip of the keyboard; as for the environment's policy.
const MOST_APPROVALS: u64 = 10;

/// The kind `approval`. It does nothing itself: the driver starts it when people have agreed, so that what needs it
/// runs, or it fails, so that what needs it is blocked.
#[derive(Debug, Clone, Copy)]
pub struct Approval;

/// The `with:` of `approval`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalParams {
    /// What people are asked: `switch the application over?`
    pub message: String,
    /// How many people must agree; as many as the environment's policy says when absent, and 1 without a policy.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    pub approvals: Option<u32>,
    /// How long they may take; then the step fails. As long as the environment's policy says when absent, and for
    /// ever without one.
    #[serde(default)]
    pub timeout: Option<DurationText>,
}

/// What `approval` gives to later steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalOutputs {
    /// Who agreed, in order.
    pub approvers: Vec<String>,
}

/// Gives a parameter that must be known while planning, since it is part of what people agree to.
fn known<'p>(
    params: &'p Planned<ApprovalParams>,
    name: &str,
) -> Result<Option<&'p serde_json::Value>, StepError> {
    let value = params.value(&format!("/{name}"));
    if value.is_none() && params.rendered().get(name).is_some() {
        return Err(StepError::permanent(format!("`{name}` must be known when the plan is made"))
            .help("use a value, not the output of a step"));
    }
    Ok(value.filter(|value| !value.is_null()))
}

#[async_trait]
impl Step for Approval {
    const KIND: &'static str = "approval";
    const SUMMARY: &'static str = "Waits until people agree.";
    const EFFECT: Effect = Effect::Read;
    const PROBES: bool = true;
    type Params = ApprovalParams;
    type Outputs = ApprovalOutputs;

    fn plan(&self, params: &Planned<ApprovalParams>) -> Result<Intent, StepError> {
        if params.show("/message").trim().is_empty() {
            return Err(StepError::permanent("`message` is empty").help("say what people agree to"));
        }
        Ok(Intent { summary: params.show("/message"), ..Intent::default() })
    }

    fn approval(&self, params: &Planned<ApprovalParams>) -> Result<Option<AskedApproval>, StepError> {
        let needed = match known(params, "approvals")?.map(serde_json::Value::as_u64) {
            None => None,
            Some(Some(count @ 1..=MOST_APPROVALS)) => u32::try_from(count).ok(),
            Some(_) => {
                return Err(StepError::permanent(format!("`approvals` is not from 1 to {MOST_APPROVALS}"))
                    .help("to ask nobody, remove the step"));
            }
        };
        let timeout: Option<DurationText> = known(params, "timeout")?
            .map(|timeout| serde_json::from_value(timeout.clone()))
            .transpose()
            .map_err(|error| StepError::permanent(format!("`timeout` is no duration: {error}")))?;
        if timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            return Err(StepError::permanent("`timeout` is zero: nobody could ever agree")
                .help("give people time, such as `4h`, or leave it out"));
        }
        Ok(Some(AskedApproval { needed, timeout }))
    }

    async fn probe(&self, _: &ApprovalParams, _: &StepContext) -> Result<Probe<ApprovalOutputs>, StepError> {
        // What people said is in the journal: reading it again is always safe.
        Ok(Probe::Absent)
    }

    async fn run(&self, _: &ApprovalParams, cx: &StepContext) -> Result<ApprovalOutputs, StepError> {
        let approvers = approvers(&cx.history(), cx.step());
        if approvers.is_empty() {
            return Err(StepError::permanent("the journal has no approval of it"));
        }
        Ok(ApprovalOutputs { approvers })
    }
}

/// Gives who has agreed since people were asked last, each once.
fn approvers(history: &[Record], id: &StepId) -> Vec<String> {
    let mut approvers: Vec<String> = Vec::new();
    for record in history {
        match &record.event {
            Event::ApprovalRequested { step, .. } if step == id => approvers.clear(),
            Event::StepApproved { step, by, .. } if step == id && !approvers.contains(by) => {
                approvers.push(by.clone());
            }
            _ => {}
        }
    }
    approvers
}
