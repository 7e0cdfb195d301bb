//! `approval` without a driver: what it asks for, and whom it names.

use jiff::Timestamp;
use rekindle_engine::journal::{Event, Record};
use rekindle_engine::step::{AskedApproval, Planned, Step, StepError};
use rekindle_engine::testing;
use serde_json::{Value, json};

use super::{Approval, ApprovalParams};

fn planned(with: &Value) -> Planned<ApprovalParams> {
    Planned::known(serde_json::from_value(with.clone()).unwrap(), with.clone())
}

fn asked(with: &Value) -> Result<AskedApproval, StepError> {
    Approval.approval(&planned(with)).map(Option::unwrap)
}

#[test]
fn it_always_asks_and_leaves_open_what_it_does_not_say() {
    assert_eq!(asked(&json!({ "message": "go?" })).unwrap(), AskedApproval::default());
    let asked = asked(&json!({ "message": "go?", "approvals": 2, "timeout": "4h" })).unwrap();
    assert_eq!(asked.needed, Some(2));
    assert_eq!(asked.timeout.unwrap().to_string(), "4h");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (with, message) in [
        (json!({ "message": "go?", "approvals": 0 }), "`approvals` is not from 1 to 10"),
        (json!({ "message": "go?", "approvals": 11 }), "`approvals` is not from 1 to 10"),
        (json!({ "message": "go?", "timeout": "0s" }), "`timeout` is zero: nobody could ever agree"),
    ] {
        assert_eq!(asked(&with).unwrap_err().message, message);
    }
    assert_eq!(
        Approval.plan(&planned(&json!({ "message": " " }))).unwrap_err().message,
        "`message` is empty"
    );
}

#[test]
fn the_question_may_be_open_while_planning_and_who_must_agree_may_not() {
    let open = |name: &str| {
        let rendered = json!({ "message": "restore (known after find)?", "approvals": 2, "timeout": "4h" });
        let unknown = [(format!("/{name}"), "(known after find)".to_owned())].into();
        Approval.approval(&Planned::partly_known(rendered, unknown))
    };
    assert_eq!(open("message").unwrap().unwrap().needed, Some(2));
    for name in ["approvals", "timeout"] {
        let error = open(name).unwrap_err();
        assert_eq!(error.message, format!("`{name}` must be known when the plan is made"));
    }
}

fn record(seq: u64, event: Event) -> Record {
    Record { seq, at: Timestamp::UNIX_EPOCH, event }
}

fn approved(step: &str, by: &str) -> Event {
    let (step, by, why, from) = (step.into(), by.to_owned(), String::new(), String::new());
    Event::StepApproved { step, plan_hash: "aa".to_owned(), by, why, from }
}

fn requested() -> Event {
    Event::ApprovalRequested { step: "gate".into(), needed: 2, what: "go?".to_owned(), expires_at: None }
}

#[tokio::test]
async fn its_outputs_name_who_agreed_when_they_were_asked_last() {
    let history = [
        requested(),
        approved("gate", "old"),
        requested(),
        approved("other", "ben"),
        approved("gate", "kim"),
        approved("gate", "kim"),
        approved("gate", "ana"),
    ];
    let history = (1..).zip(history).map(|(seq, event)| record(seq, event)).collect();
    let test = testing::context(&testing::world()).step("gate").history(history).build();
    let params = serde_json::from_value(json!({ "message": "go?" })).unwrap();
    assert_eq!(Approval.run(&params, &test.cx).await.unwrap().approvers, ["kim", "ana"]);
}

#[tokio::test]
async fn without_an_approval_in_the_journal_it_fails() {
    let test = testing::context(&testing::world()).step("gate").history(vec![record(1, requested())]).build();
    let params = serde_json::from_value(json!({ "message": "go?" })).unwrap();
    assert!(Approval.run(&params, &test.cx).await.is_err());
}
