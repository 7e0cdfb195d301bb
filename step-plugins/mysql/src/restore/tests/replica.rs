//! A replica is restored.

use super::*;

on_both!(a_replicas_events_are_left_to_its_source);
async fn a_replicas_events_are_left_to_its_source(flavour: Flavour) {
    let (old, new) = tokio::join!(server_of(flavour, "old"), server_of(flavour, "new"));
    execute(&old, &["CREATE DATABASE shop", "CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DO SET @x = 1"])
        .await;
    let port = old.login().port;
    let (statement, word) = match flavour {
        Flavour::Mariadb => ("CHANGE MASTER TO", "MASTER"),
        Flavour::Mysql => ("CHANGE REPLICATION SOURCE TO", "SOURCE"),
    };
    let source = format!("{statement} {word}_HOST='127.0.0.1', {word}_PORT={port}, {word}_USER='x'");
    execute(&new, &[&source]).await;
    let bench = Bench::of(&[&old, &new]).await;
    bench.back_up("old").await;
    bench.run(json!({})).await.unwrap();
    let (disabled, status) = match flavour {
        Flavour::Mariadb => ("SLAVESIDE_DISABLED", "SHOW ALL SLAVES STATUS"),
        Flavour::Mysql => ("REPLICA_SIDE_DISABLED", "SHOW REPLICA STATUS"),
    };
    assert_eq!(ask(&new, "SELECT status FROM information_schema.events").await, disabled);
    assert_eq!(ask(&new, status).await, "");
}

mod a_server_that_refuses_all_writes_is_restored_and_refuses_them_again {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn mysql() {
        let (old, new) = tokio::join!(server_of(Flavour::Mysql, "old"), server_of(Flavour::Mysql, "new"));
        seed_for_tests(&old).await;
        let bench = Bench::of(&[&old, &new]).await;
        bench.back_up("old").await;
        execute(&new, &["SET GLOBAL super_read_only = ON"]).await;

        let outputs = bench.run(json!({})).await.unwrap();

        assert_eq!(ask(&new, "SELECT @@super_read_only, COUNT(*) FROM shop.a").await, "1|3");
        assert_eq!(bench.probe(json!({})).await, Probe::Complete(outputs));
    }
}
