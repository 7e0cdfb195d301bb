//! What lies between a restore and its replay, and which logs follow it.

use super::*;

on_both!(nothing_is_written_between_a_restore_and_its_replay);
async fn nothing_is_written_between_a_restore_and_its_replay(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    let busy = "CREATE EVENT shop.busy ON SCHEDULE EVERY 1 SECOND DO INSERT INTO shop.seen VALUES (NOW(6))";
    let seen = "CREATE TABLE shop.seen (at DATETIME(6)) ENGINE=InnoDB";
    tell(&primary, &["SET GLOBAL event_scheduler = OFF", seen, busy]).await;
    lab.back_up("b1").await;
    tell(&primary, &[&row(2)]).await;
    lab.archive().await;
    tell(&fresh, &["SET GLOBAL event_scheduler = ON"]).await;
    let fenced = json!({ "stay_fenced": true });

    lab.restore_as("fresh", "b1", fenced).await.unwrap();

    assert_eq!(ask(&fresh, "SELECT @@read_only, @@event_scheduler").await, "1|OFF");
    assert_eq!(ask(&fresh, "SELECT COUNT(*) FROM shop.seen").await, "0");
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2");
    assert_eq!(ask(&fresh, "SELECT @@read_only, @@event_scheduler").await, "0|ON");
    let error =
        lab.restore_as("fresh", "b1", json!({ "stay_fenced": true, "binlog": "on" })).await.unwrap_err();
    insta::assert_snapshot!(error, @"`stay_fenced` is for a whole backup with `binlog: off`");
}

on_both!(what_a_server_has_logged_is_archived_before_it_is_replaced);
async fn what_a_server_has_logged_is_archived_before_it_is_replaced(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b1").await;
    lab.archive().await;
    tell(&primary, &[&row(2)]).await;
    let before = state(&primary).await;

    let lost = lab.restore_as("primary", "b1", json!({ "archive_to": "none" })).await.unwrap_err();
    let help = lost.help.clone().unwrap();
    insta::assert_snapshot!(format!("{lost}; {help}"), @"the binary logs of `primary` were not archived: the environment has no store `none`; nothing was replaced; leave `archive_to` out (`--set archive=false`) to lose what only they have");
    assert_eq!((ids(&primary).await.as_str(), state(&primary).await), ("1,2", before));

    lab.restore_as("primary", "b1", json!({ "archive_to": "primary", "stay_fenced": true })).await.unwrap();
    assert_eq!(ids(&primary).await, "1");
    lab.replay(json!({ "target": "primary", "until": { "end": true } })).await.unwrap();
    assert_eq!(ids(&primary).await, "1,2");
}

on_both!(a_recovery_after_a_recovery_leaves_out_what_was_undone_and_has_what_came_since);
async fn a_recovery_after_a_recovery_leaves_out_what_was_undone_and_has_what_came_since(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b0").await;
    row_at(&primary, 2, "2027-10-31T00:29:59Z").await;
    lab.back_up("b1").await;
    row_at(&primary, 3, "2027-10-31T00:30:00Z").await;
    row_at(&primary, 666, "2027-10-31T01:30:00Z").await;
    let again = json!({ "archive_to": "primary", "stay_fenced": true });
    lab.restore_as("primary", "b1", again.clone()).await.unwrap();
    let undone = json!({ "target": "primary", "until": { "time": "2027-10-31T01:00:00Z" } });
    lab.replay(undone).await.unwrap();
    tell(&primary, &[&row(4)]).await;
    lab.archive().await;

    lab.restore("b1").await;
    lab.replay(json!({ "until": { "end": true } })).await.unwrap();

    assert_eq!(ids(&fresh).await, "1,2,3,4");
    lab.back_up("b2").await;
    lab.restore("b2").await;
    let newer = json!({ "backup": "backup://primary/shop/b2", "until": { "end": true } });
    lab.replay(newer).await.unwrap();
    assert_eq!(ids(&fresh).await, "1,2,3,4");
    // The logs that begin at the backup are its own, however much later they began.
    let mut timelines = lab.timelines().await;
    let hours = jiff::SignedDuration::from_hours(5);
    timelines[1].segments.iter_mut().for_each(|segment| segment.log_created_at += hours);
    let newest = timelines[1].key.prefix();
    let chosen = async |id: &str, until: serde_json::Value| {
        let base = super::super::base::Base::of(&lab.manifest(id).await);
        let goal = super::super::goal::Goal::read(&serde_json::from_value(until).unwrap()).unwrap();
        super::super::select::select(&timelines, &base, None, &goal)
    };
    assert_eq!(chosen("b1", json!({ "end": true })).await.unwrap().prefix, newest);
    // An older backup leads into what was undone, and to nothing of what came since.
    let error = chosen("b0", json!({ "end": true })).await.unwrap_err();
    assert!(error.message.contains(" began its logs anew at "), "{error}");
    let began = timelines[1].segments[0].log_created_at.to_string();
    chosen("b0", json!({ "time": began })).await.unwrap();
    chosen("b0", json!({ "time": "2027-10-31T01:00:00Z" })).await.unwrap_err();
}

on_both!(a_backup_of_a_replica_is_brought_forward_by_the_logs_of_its_source);
async fn a_backup_of_a_replica_is_brought_forward_by_the_logs_of_its_source(flavour: Flavour) {
    let (primary, fresh) = servers(flavour).await;
    let lab = Lab::of(&[&primary, &fresh]);
    tell(&primary, &TABLE).await;
    lab.back_up("b0").await;
    lab.restore("b0").await;
    let renumbered = match flavour {
        Flavour::Mariadb => ["SET GLOBAL server_id = 77"],
        Flavour::Mysql => ["DO 0"],
    };
    tell(&fresh, &renumbered).await;
    lab.back_up_of("fresh", "b1").await;
    tell(&primary, &[&row(2)]).await;
    lab.archive().await;

    lab.restore("b1").await;
    let end = json!({ "until": { "end": true } });
    let preview = lab.preview(end.clone()).await;
    lab.replay(end).await.unwrap();

    assert_eq!(ids(&fresh).await, "1,2");
    let source = lab.timelines().await.remove(0).key.server;
    let whose = format!("logs of {source}: ");
    assert!(preview.notes.iter().any(|note| note.starts_with(&whose)), "{:?}", preview.notes);
}
