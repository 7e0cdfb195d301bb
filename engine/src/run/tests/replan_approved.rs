//! What people agreed to, and a plan that is made again.

use std::sync::Arc;

use super::replan::{anew, finished, param};
use super::rig::Rig;
use super::support::{step, with};
use crate::journal::Outcome;
use crate::plan::{ApprovalRule, PlanStep};
use crate::run::{Answer, Resume, RunEnd, RunError, Verdict, resume};
use crate::testing::Act;

#[tokio::test]
async fn what_people_agreed_to_counts_for_the_plan_they_saw_alone() {
    let approved =
        |step: PlanStep| with(step, |step| step.approval = Some(ApprovalRule { needed: 1, timeout: None }));
    let steps = |value: &str| {
        vec![step("a", &[]), param(approved(step("b", &["a"])), value), approved(step("c", &["a"]))]
    };
    let mut rig = Rig::new(steps("x"));
    assert!(matches!(rig.execute().await, Ok(RunEnd::Waiting { .. })));
    let verdict = |rig: &Rig, id: &str| {
        let awaited = rig.state().awaited().into_iter().find(|awaited| awaited.step.as_str() == id).unwrap();
        Verdict {
            step: awaited.step,
            request: awaited.request,
            plan_hash: rig.plan.hash.clone(),
            answer: Answer::Approve,
            by: "kim".to_owned(),
            why: String::new(),
            from: String::new(),
        }
    };
    let answers = |verdicts| Resume { decisions: Vec::new(), verdicts, is_alive: Arc::new(|_| false) };
    // `c` is agreed to and done; `b` is agreed to and fails.
    rig.write.script("b", [Act::permanent("no such table")]);
    let both = vec![verdict(&rig, "b"), verdict(&rig, "c")];
    rig.next_process(None);
    assert_eq!(finished(resume(rig.request(2), answers(both)).await), Outcome::Failed);

    let end = rig.replan(anew("bb", steps("y")), Vec::new()).await;
    assert!(matches!(end, Ok(RunEnd::Waiting { .. })), "{end:?}");
    assert_eq!(rig.state().awaited().len(), 1, "what is done needs nobody's word");
    let old = Verdict { plan_hash: "aa".to_owned(), ..verdict(&rig, "b") };
    rig.next_process(None);
    assert!(matches!(resume(rig.request(2), answers(vec![old])).await, Err(RunError::NotAwaited { .. })));
    let new = vec![verdict(&rig, "b")];
    assert_eq!(finished(resume(rig.request(2), answers(new)).await), Outcome::Succeeded);
    assert_eq!((rig.write.runs_of("b"), rig.write.runs_of("c")), (2, 1));
}
