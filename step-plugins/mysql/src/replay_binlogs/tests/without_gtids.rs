//! Servers that keep no GTIDs, as MySQL up to 8.4 by default.

use super::*;

/// In the lane of MySQL by its name.
mod a_server_without_gtids_comes_back_and_is_brought_forward_by_its_positions {
    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        super::come_back_without_gtids().await;
    }
}

async fn come_back_without_gtids() {
    let processes = processes();
    let off = ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"];
    let (primary, fresh) = tokio::join!(
        TempServer::start_of(Flavour::Mysql, "primary", &processes, &off),
        TempServer::start_of(Flavour::Mysql, "fresh", &processes, &off)
    );
    let (primary, fresh) = (primary.unwrap(), fresh.unwrap());
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    row_at(&primary, 2, "2027-10-31T00:29:59Z").await;
    tell(&primary, &["FLUSH BINARY LOGS"]).await;
    row_at(&primary, 3, "2027-10-31T00:30:00Z").await;
    lab.archive().await;
    let point = lab.manifest("b1").await.consistent_point;
    assert!(point.gtid.unwrap_or_default().is_empty() && point.binlog_file.is_some());

    lab.restore("b1").await;
    let until = json!({ "until": { "time": "2027-10-31T00:30:00Z" } });
    let done = lab.replay(until.clone()).await.unwrap();
    assert_eq!((ids(&fresh).await.as_str(), done.transactions), ("1,2", 1));
    assert_eq!(lab.probe(until.clone()).await, Probe::Complete(done));
    lab.replay(until).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2");

    // Without GTIDs nobody can tell how far the server is: it begins from the backup again.
    let error = lab.replay(json!({ "until": { "end": true } })).await.unwrap_err();
    insta::assert_snapshot!(error, @"`fresh` was brought forward to 2027-10-31T00:30:00Z already, and without GTIDs nobody can tell what it has since");
    lab.restore("b1").await;
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2,3");
    lab.restore("b1").await;
    let segment = lab.timelines().await.remove(0).segments.remove(0);
    let position = json!({ "until": { "log": segment.log, "position": segment.to } });
    lab.replay(position).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2");

    let nameless = json!({ "until": { "end": true }, "skip": [""] });
    insta::assert_snapshot!(lab.replay(nameless).await.unwrap_err(), @"`skip` has a transaction without a GTID, which can't be left out");
    tell(&fresh, &["SET GLOBAL enforce_gtid_consistency = ON"]).await;
    for mode in ["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"] {
        tell(&fresh, &[&format!("SET GLOBAL gtid_mode = {mode}")]).await;
    }
    let told = lab.preview(json!({ "until": { "end": true } })).await.problems;
    insta::assert_snapshot!(told.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r"
    rekindle::binlog::gtid_mode: `fresh` takes only transactions with GTIDs (gtid_mode=ON), and those of the logs have none (/target)
      help: start it with `gtid_mode=OFF` and `enforce_gtid_consistency=OFF`, as the server of the logs was
    ");
}
