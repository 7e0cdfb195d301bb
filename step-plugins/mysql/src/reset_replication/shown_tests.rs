//! What a plan shows of the statements, before everything is known.

use std::collections::BTreeMap;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{Planned, Step as _};
use rekindle_engine::testing;
use serde_json::json;

use super::ResetReplication;
use crate::connection::Login;
use crate::sandbox::testing::{CANARY_PASSWORD, REPLICATION_USER, TempServer};
use crate::testing::{processes, server_of, world_of};

/// What a disaster recovery knows: the source is yet to be made, and its position to be restored.
async fn shown(replica: &Login, provided: &[&'static str]) -> String {
    let source =
        Login { target: "source".to_owned(), host: "db-1".to_owned(), port: 3306, ..replica.clone() };
    let (world, settings) = world_of(&[("source", &source), ("replica", replica)]);
    let rendered = json!({
        "replica": "replica", "source": "source", "gtid": "(known after restore)",
        "account": { "user": REPLICATION_USER, "password": { "secret": "root" } },
    });
    let unknown = BTreeMap::from([("/gtid".to_owned(), "(known after restore)".to_owned())]);
    let cx = testing::context(&world).settings(settings).preflight(provided.iter().copied());
    let found = ResetReplication.preflight(&Planned::partly_known(rendered, unknown), &cx).await;
    let shown = found.commands.join("\n");
    assert!(!shown.contains(CANARY_PASSWORD));
    shown
}

#[tokio::test]
async fn a_replica_that_is_up_tells_the_exact_statements_before_its_source_is_there() {
    let replica = TempServer::start("replica", &processes()).await.unwrap();
    insta::assert_snapshot!(shown(replica.login(), &["source"]).await, @r"
    STOP SLAVE
    RESET SLAVE ALL
    RESET MASTER -- unless it is there already
    SET GLOBAL gtid_binlog_state = (known after restore) -- unless it is there already
    SET GLOBAL gtid_slave_pos = (known after restore) -- unless it is there already
    SET GLOBAL read_only = ON
    CHANGE MASTER TO MASTER_HOST='db-1', MASTER_PORT=3306, MASTER_USER='replication', MASTER_PASSWORD='***', MASTER_CONNECT_RETRY=10, MASTER_USE_GTID=slave_pos
    START SLAVE
    FLUSH USER_RESOURCES (at source)
    ");
}

mod a_replica_of_mysql_tells_them_too {
    use super::*;

    #[tokio::test]
    async fn mysql() {
        let replica = server_of(Flavour::Mysql, "replica").await;
        insta::assert_snapshot!(shown(replica.login(), &["source"]).await, @"
        STOP REPLICA
        RESET REPLICA ALL
        RESET BINARY LOGS AND GTIDS -- unless it is there already
        SET GLOBAL gtid_purged = (known after restore) -- unless it is there already
        SET GLOBAL read_only = ON
        CHANGE REPLICATION SOURCE TO SOURCE_HOST='db-1', SOURCE_PORT=3306, SOURCE_USER='replication', SOURCE_PASSWORD='***', SOURCE_CONNECT_RETRY=10, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1
        START REPLICA
        FLUSH USER_RESOURCES (at source)
        ");
    }
}

#[tokio::test]
async fn of_a_replica_that_is_not_there_the_statements_of_each_flavour_are_shown() {
    let login = Login {
        target: "replica".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 1,
        user: "root".to_owned(),
        password: None,
        tls: None,
    };
    let to_be_provided = shown(&login, &["source", "replica"]).await;
    assert_eq!(shown(&login, &["source"]).await, to_be_provided);
    insta::assert_snapshot!(to_be_provided, @r"
    -- MariaDB: STOP SLAVE
    -- MariaDB: RESET SLAVE ALL
    -- MariaDB: RESET MASTER -- unless it is there already
    -- MariaDB: SET GLOBAL gtid_binlog_state = (known after restore) -- unless it is there already
    -- MariaDB: SET GLOBAL gtid_slave_pos = (known after restore) -- unless it is there already
    -- MariaDB: SET GLOBAL read_only = ON
    -- MariaDB: CHANGE MASTER TO MASTER_HOST='db-1', MASTER_PORT=3306, MASTER_USER='replication', MASTER_PASSWORD='***', MASTER_CONNECT_RETRY=10, MASTER_USE_GTID=slave_pos
    -- MariaDB: START SLAVE
    -- MariaDB: FLUSH USER_RESOURCES (at source)
    -- MySQL: STOP REPLICA
    -- MySQL: RESET REPLICA ALL
    -- MySQL: RESET MASTER -- unless it is there already
    -- MySQL: SET GLOBAL gtid_purged = (known after restore) -- unless it is there already
    -- MySQL: SET GLOBAL read_only = ON
    -- MySQL: CHANGE REPLICATION SOURCE TO SOURCE_HOST='db-1', SOURCE_PORT=3306, SOURCE_USER='replication', SOURCE_PASSWORD='***', SOURCE_CONNECT_RETRY=10, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1
    -- MySQL: START REPLICA
    -- MySQL: FLUSH USER_RESOURCES (at source)
    ");
}
