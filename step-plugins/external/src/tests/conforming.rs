//! The conformance test finds what plugins do wrong.

use std::sync::Arc;

use rekindle_host::{SystemClock, SystemProcesses};

use super::Lab;
use crate::{Conformance, Verdict, conformance};

async fn tested(lab: &Lab) -> Conformance {
    let processes = Arc::new(SystemProcesses::new(None));
    conformance(&lab.path(), processes, Arc::new(SystemClock)).await.unwrap()
}

async fn told(mode: &str) -> String {
    let lab = Lab::new(mode);
    let found = tested(&lab).await;
    let broken: Vec<_> = found
        .checked
        .iter()
        .filter_map(|checked| match &checked.verdict {
            Verdict::Kept => None,
            Verdict::Broken(why) => Some(format!("{}: {why}", checked.rule)),
            Verdict::Skipped(why) => Some(format!("({}: {why})", checked.rule)),
        })
        .collect();
    assert_eq!(super::children_of(&lab.path()), Vec::<i32>::new());
    broken.join("\n")
}

#[tokio::test]
async fn a_plugin_that_tells_secrets_and_does_not_find_its_effect_is_found_out() {
    insta::assert_snapshot!(told("").await, @"
    example 1: probe after: it does not find the effect of the run that has just succeeded
    keeps secrets: a secret was seen in its result
    ");
}

#[tokio::test]
async fn a_plugin_that_breaks_the_protocol_is_told_so_at_every_rule() {
    insta::assert_snapshot!(told("two results").await, @"
    example 1: run: the plugin gave two results
    cancel: the plugin gave two results
    ");
    insta::assert_snapshot!(told("late").await, @"
    example 1: probe after: it does not find the effect of the run that has just succeeded
    cancel: the plugin did not stop within 5s of being asked to, so it was killed
    ");
    insta::assert_snapshot!(told("careless").await, @"
    wrong parameters: it must answer with `error`
    example 1: probe after: it does not find the effect of the run that has just succeeded
    keeps secrets: a secret was seen in its result
    ");
}

#[tokio::test]
async fn a_plugin_that_leaves_processes_is_found_out() {
    insta::assert_snapshot!(told("leaves a child").await, @"
    example 1: probe after: it does not find the effect of the run that has just succeeded
    leaves no process: it left processes behind when it ended
    ");
}

#[tokio::test]
async fn a_plugin_that_cannot_be_described_is_not_tested_further() {
    insta::assert_snapshot!(told("garbage at once").await, @r"describe: the plugin wrote a line that is no message: `Traceback: no JSON \u{1b}[31m here`: expected value at line 1 column 1");
}

#[tokio::test]
async fn a_secret_on_a_command_line_is_seen() {
    let text = include_str!("fixture.py").replace("@MODE@", "").replace(
        "    say(type=\"progress\"",
        "    subprocess.run([\"sh\", \"-c\", \"sleep 0.3\", request[\"secrets\"][\"any\"]])\n    say(type=\"progress\"",
    );
    let found = tested(&Lab::with(&text)).await;
    let verdict = found.checked.into_iter().find(|checked| checked.rule == "keeps secrets").unwrap().verdict;
    assert_eq!(verdict, Verdict::Broken("a secret was seen in the command line of `sh`".to_owned()));
}

#[tokio::test]
async fn a_file_that_is_no_plugin_is_refused() {
    let refused = async |path: &str| {
        let processes = Arc::new(SystemProcesses::new(None));
        conformance(path.as_ref(), processes, Arc::new(SystemClock)).await.unwrap_err()
    };
    insta::assert_snapshot!(refused("/bin/true").await, @"a plugin's file is named `rekindle-step-KIND`");
    insta::assert_snapshot!(refused("rekindle-step-plain").await, @"`plain` is no name for a kind: write kebab-case parts joined by dots, such as `acme.notify`");
}
