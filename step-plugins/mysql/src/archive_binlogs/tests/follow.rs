//! An archiver that follows a server for a while.

use std::time::{Duration, Instant};

use rekindle_engine::step::{ErrorClass, StepError};
use rekindle_engine::testing::{Operation, TestContext};

use super::*;
use crate::archive_binlogs::{ArchiveBinlogs, ArchiveBinlogsOutputs};

/// Waits until so many transactions are in the archive.
async fn archived(lab: &Lab, wanted: u64) {
    let begun = Instant::now();
    loop {
        let count: u64 = transactions(lab).await;
        if count == wanted {
            return;
        }
        assert!(
            count < wanted && begun.elapsed() < Duration::from_mins(1),
            "{count} of {wanted} transactions"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks ten times a second until it is cancelled.
async fn follow(test: TestContext) -> Result<ArchiveBinlogsOutputs, StepError> {
    let params = json!({ "target": "primary", "store": "primary", "follow": true, "every": "100ms" });
    ArchiveBinlogs.run(&serde_json::from_value(params).unwrap(), &test.cx).await
}

async fn transactions(lab: &Lab) -> u64 {
    let timelines = lab.timelines().await;
    timelines.iter().flat_map(|timeline| &timeline.segments).map(|segment| segment.transactions).sum()
}

on_both!(following_goes_on_over_looks_and_a_restart_until_it_is_cancelled);
async fn following_goes_on_over_looks_and_a_restart_until_it_is_cancelled(flavour: Flavour) {
    let (mut server, fresh) = tokio::join!(primary(flavour), server_of(flavour, "fresh"));
    let lab = Lab::of(&[&server, &fresh]);
    tell(&server, &TABLE).await;
    lab.back_up("b1").await;
    let test = lab.cx();
    let (cancel, reporter) = (test.cancel.clone(), test.reporter.clone());
    let running = tokio::spawn(follow(test));

    archived(&lab, 2).await;
    tell(&server, &[ROW]).await;
    archived(&lab, 3).await;
    tell(&server, &[ROW, "FLUSH BINARY LOGS", ROW]).await;
    archived(&lab, 5).await;
    let of_one_server = |(operation, key): &(Operation, String)| {
        *operation == Operation::List && key.trim_end_matches('/').matches('/').count() == 2
    };
    let lists = lab.store.calls().iter().filter(|call| of_one_server(call)).count();
    assert_eq!(lists, 1, "what is known is not listed again");
    server.kill().await.unwrap();
    server.start_again().await.unwrap();
    tell(&server, &[ROW]).await;
    archived(&lab, 6).await;
    cancel.cancel();

    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
    assert_eq!(reporter.warnings(), Vec::<String>::new());
    let timelines = lab.timelines().await;
    assert_eq!(timelines.len(), 1);
    assert_eq!(rekindle_backup::binlog::chain::gaps(&timelines[0].segments), []);
    // Nothing was left to archive, and nothing is archived twice.
    assert_eq!(lab.archive().await.transactions, 0);
    assert_eq!(transactions(&lab).await, 6);
    // The parts of a log are replayed as the log is.
    lab.restore("b1").await;
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    let rows = "SELECT GROUP_CONCAT(id ORDER BY id) FROM shop.t";
    assert_eq!(ask(&fresh, rows).await, ask(&server, rows).await);
}

on_both!(logs_that_begin_anew_while_they_are_followed_are_another_timeline);
async fn logs_that_begin_anew_while_they_are_followed_are_another_timeline(flavour: Flavour) {
    let server = primary(flavour).await;
    let lab = Lab::of(&[&server]);
    tell(&server, &TABLE).await;
    let test = lab.cx();
    let (cancel, reporter) = (test.cancel.clone(), test.reporter.clone());
    let running = tokio::spawn(follow(test));

    archived(&lab, 2).await;
    tell(&server, &[reset(flavour), ROW]).await;
    archived(&lab, 3).await;
    tell(&server, &[ROW]).await;
    archived(&lab, 4).await;
    cancel.cancel();

    assert_eq!(running.await.unwrap().unwrap_err().class, ErrorClass::Cancelled);
    assert_eq!(lab.timelines().await.len(), 2);
    let warnings = reporter.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("they become another timeline"), "{warnings:?}");
}
