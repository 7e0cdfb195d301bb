//! Replicas that follow over TLS, and no source that does not prove who it is.

use mysql_async::Row;
use mysql_async::prelude::Queryable as _;
use rekindle_backup::manifest::Flavour;

use crate::support::{Answer, Cluster, kill, on_both, server_pid};

/// Gives the path of a file in the project.
fn file(cluster: &Cluster, name: &str) -> String {
    cluster.project.path().join(name).display().to_string()
}

/// Writes two certificates of 127.0.0.1 with their keys, each its own authority: `source`, and `other`, which no server
/// has.
fn write_certificates(cluster: &Cluster) {
    for name in ["source", "other"] {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        cluster.project.write(&format!("{name}.pem"), &made.cert.pem());
        cluster.project.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
    }
}

/// Starts the primary, which is dead or gone, with the certificate `source`.
fn start_primary(cluster: &Cluster, flavour: Flavour) {
    let flavour = match flavour {
        Flavour::Mariadb => "mariadb",
        Flavour::Mysql => "mysql",
    };
    let directory = cluster.server("primary").display().to_string();
    let [certificate, key] = ["source.pem", "source.key"].map(|name| file(cluster, name));
    let runbook = format!(
        "apiVersion: rekindle/v1\nkind: Runbook\nname: start-primary\nversion: 1.0.0\nsteps:\n  \
         - id: primary\n    uses: mysql.sandbox\n    timeout: 2m\n    with:\n      target: primary\n      \
         directory: {directory}\n      flavour: {flavour}\n      server_id: 1\n      \
         options: ['--ssl-cert={certificate}', '--ssl-key={key}']\n      \
         replication: {{ user: replication, password: {{ secret: replication }} }}\n"
    );
    cluster.project.write("start-primary.yaml", &runbook);
    cluster.with_environment(&["run", "./start-primary.yaml", "--yes"]).success();
}

/// Lets the replication account in over nothing but TLS.
async fn demand_tls(cluster: &Cluster) {
    let of_host =
        ["127.0.0.1", "localhost"].map(|host| format!("ALTER USER replication@'{host}' REQUIRE SSL"));
    cluster.sql(&of_host.each_ref().map(String::as_str)).await;
}

/// Runs something whose replicas are to trust an authority, and to verify.
fn trusting(cluster: &Cluster, authority: &str, args: &[&str]) -> Answer {
    let ca = file(cluster, &format!("{authority}.pem"));
    let tls = format!("replication_tls={{ca: {ca}, verify: true}}");
    cluster.with_environment(&[args, &["--yes", "--set", &tls]].concat())
}

/// Tells of the replica whether it receives, whether over TLS, whether it verifies its source, and by what
/// authority.
async fn channel(cluster: &Cluster, flavour: Flavour) -> [String; 4] {
    let (query, source, receives) = match flavour {
        Flavour::Mariadb => ("SHOW SLAVE STATUS", "Master", "Slave_IO_Running"),
        Flavour::Mysql => ("SHOW REPLICA STATUS", "Source", "Replica_IO_Running"),
    };
    let row: Row = cluster.connect(1).await.query_first(query).await.unwrap().unwrap();
    let of_tls = |name: &str| row.get(format!("{source}_SSL_{name}").as_str()).unwrap();
    [row.get(receives).unwrap(), of_tls("Allowed"), of_tls("Verify_Server_Cert"), of_tls("CA_File")]
}

/// Proves that the replica follows over TLS the one source that it trusts.
async fn follows_over_tls(cluster: &Cluster, flavour: Flavour) {
    let authority = file(cluster, "source.pem");
    assert_eq!(channel(cluster, flavour).await, ["Yes", "Yes", "Yes", authority.as_str()]);
    assert_eq!(cluster.checksums(1).await, cluster.checksums(0).await);
}

on_both!(a_replica_that_is_loaded_anew_follows_over_tls_and_no_source_that_it_can_not_prove);
async fn a_replica_that_is_loaded_anew_follows_over_tls_and_no_source_that_it_can_not_prove(
    flavour: Flavour,
) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(500).await;
    write_certificates(&cluster);
    kill(server_pid(&cluster.server("primary")));
    start_primary(&cluster, flavour);
    demand_tls(&cluster).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    cluster.sql(&["INSERT INTO shop.counter VALUES (2, 2)"]).await;
    let reseed = ["run", "reseed-replica", "--set", "replica=replica-0"];

    let refused = trusting(&cluster, "other", &reseed).code(1);
    let said = "`replica-0` can't follow `primary` over TLS: error 2026: ";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert!(refused.stderr.contains("`ca` is a file on the replica's machine"), "{}", refused.stderr);
    let [receives, ..] = channel(&cluster, flavour).await;
    assert_ne!(receives, "Yes");

    trusting(&cluster, "source", &reseed).success();
    follows_over_tls(&cluster, flavour).await;
    let demanded =
        "SELECT CAST(ssl_type AS CHAR) FROM mysql.user WHERE user = 'replication' AND host = '127.0.0.1'";
    let demanded: Option<String> = cluster.connect(0).await.query_first(demanded).await.unwrap();
    assert_eq!(demanded.as_deref(), Some("ANY"));
}

on_both!(replicas_follow_a_primary_that_was_rebuilt_over_tls);
async fn replicas_follow_a_primary_that_was_rebuilt_over_tls(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 1);
    cluster.fill(500).await;
    demand_tls(&cluster).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    let before = cluster.checksums(0).await;
    cluster.destroy_primary();
    write_certificates(&cluster);
    start_primary(&cluster, flavour);

    let recover = ["run", "disaster-recovery", "--set", "provision=none", "--set", "reseed_replicas=true"];
    trusting(&cluster, "source", &recover).success();

    assert_eq!(cluster.checksums(0).await, before);
    follows_over_tls(&cluster, flavour).await;
}
