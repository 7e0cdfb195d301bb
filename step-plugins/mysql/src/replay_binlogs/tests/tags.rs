//! GTIDs with tags (MySQL 8.3 and later).

use super::*;

/// In the lane of MySQL by its name.
mod transactions_with_tags_are_archived_and_replayed_to_one_of_them_and_to_the_end {
    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        super::replay_transactions_with_tags().await;
    }
}

async fn replay_transactions_with_tags() {
    let (primary, fresh) = servers(Flavour::Mysql).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    tell(&primary, &["SET GTID_NEXT = 'AUTOMATIC:blue'", &row(2)]).await;
    lab.back_up("b1").await;
    tell(&primary, &["SET GTID_NEXT = 'AUTOMATIC:blue'", &row(3)]).await;
    tell(&primary, &["FLUSH BINARY LOGS", &row(4)]).await;
    tell(&primary, &["SET GTID_NEXT = 'AUTOMATIC:a_long_tag_of_32_characters____'", &row(5)]).await;
    tell(&primary, &["FLUSH BINARY LOGS", "SET GTID_NEXT = 'AUTOMATIC:blue'", &row(6)]).await;
    lab.archive().await;
    let uuid = ask(&primary, "SELECT @@server_uuid").await;

    lab.restore("b1").await;
    assert_eq!(ids(&fresh).await, "1,2");
    let done = lab.replay(json!({ "until": { "gtid": format!("{uuid}:blue:2") } })).await.unwrap();
    assert_eq!((ids(&fresh).await.as_str(), done.transactions), ("1,2,3", 1));
    let skipped = format!("{uuid}:a_long_tag_of_32_characters____:1");
    lab.replay(json!({ "until": { "before_gtid": skipped } })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2,3,4");
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2,3,4,5,6");
    assert_eq!(position(&fresh).await, position(&primary).await);
}
