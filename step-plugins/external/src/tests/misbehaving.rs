//! Every breach of the protocol has an error of its own, and leaves no process.

use super::{Lab, told};

async fn error(mode: &str) -> String {
    told(&Lab::new(mode).error().await)
}

#[tokio::test]
async fn garbage_is_shown_in_part_and_masked() {
    insta::assert_snapshot!(error("garbage").await, @"
    permanent: the plugin wrote a line that is no message: `secret: *** *** *** *** *** *** *** *** *** *** *** *** *** *** *** *** *** *** …`: expected value at line 1 column 1
    help: a plugin writes messages only to its standard output; its other words belong on standard error
    ");
}

#[tokio::test]
async fn a_line_of_ten_mebibytes_is_not_read_to_its_end() {
    insta::assert_snapshot!(error("long line").await, @"
    permanent: the plugin wrote a line of more than 1048576 bytes
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    insta::assert_snapshot!(error("not utf-8").await, @"
    permanent: the plugin wrote bytes that are not UTF-8
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn silence() {
    insta::assert_snapshot!(error("silence").await, @"
    transient: the plugin said nothing for 2s
    help: it may hang; a plugin that works for long writes `heartbeat` or `progress` meanwhile
    ");
}

#[tokio::test]
async fn an_end_without_a_result() {
    insta::assert_snapshot!(error("ends early").await, @"
    transient: the plugin ended with exit code 0 before it gave a result: out of luck
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn a_failure_without_a_result() {
    insta::assert_snapshot!(error("fails early").await, @"
    transient: the plugin ended with exit code 1 before it gave a result: segmentation of faults
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn an_output_that_is_closed() {
    insta::assert_snapshot!(error("closes its output").await, @"
    transient: the plugin closed its standard output before it gave a result
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn two_results() {
    insta::assert_snapshot!(error("two results").await, @"
    permanent: the plugin gave two results
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn words_after_the_result() {
    insta::assert_snapshot!(error("goes on").await, @r#"
    permanent: the plugin went on after its result: `{"type": "log", "text": "bye"}`
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    "#);
}

#[tokio::test]
async fn no_end_after_the_result() {
    insta::assert_snapshot!(error("no end").await, @"
    transient: the plugin did not end within 5s after its result
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn a_failure_after_the_result() {
    insta::assert_snapshot!(error("fails after").await, @"
    transient: the plugin gave a result and then ended with exit code 4
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn a_result_with_two_answers() {
    insta::assert_snapshot!(error("two answers").await, @r#"
    permanent: the plugin's result must hold one answer, it holds outputs, error: `{"type": "result", "outputs": {"said": "one"}, "error": {"class": "permanent", "…`
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    "#);
}

#[tokio::test]
async fn a_result_without_an_answer() {
    insta::assert_snapshot!(error("no answer").await, @r#"
    permanent: the plugin's result must hold one answer, it holds none: `{"type": "result"}`
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    "#);
}

#[tokio::test]
async fn an_answer_to_another_question() {
    insta::assert_snapshot!(error("wrong answer").await, @"
    permanent: the plugin answered `run` with `probe`, not with `outputs`
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn outputs_that_do_not_fit() {
    insta::assert_snapshot!(error("odd outputs").await, @"
    permanent: the outputs do not fit what test.fixture described: unknown field `sad` at /sad
    help: none
    ");
}

#[tokio::test]
async fn a_checkpoint_that_is_too_large() {
    insta::assert_snapshot!(error("large checkpoint").await, @"
    permanent: the plugin wrote a checkpoint of more than 65536 bytes
    help: `rekindle plugin test PATH` shows what the plugin does wrong
    ");
}

#[tokio::test]
async fn an_output_held_by_a_process_that_left_the_group() {
    insta::assert_snapshot!(error("holds its output").await, @"
    permanent: a process that the plugin started, and that left its process group, holds its standard output open
    help: end that process by hand; plugins must not start daemons
    ");
}
