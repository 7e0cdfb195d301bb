//! Servers that come back from their files.

use std::fs;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::{ErrorClass, Probe, Step as _};
use rekindle_engine::testing::context;
use serde_json::json;

use super::marker::{MARKER, Marker, Stage};
use super::*;
use crate::physical_testing::{Bench, ask, bench, key, tell};
use crate::reset_replication::ResetReplication;
use crate::sandbox::testing::{REPLICATION_USER, TempServer};
use crate::testing::{on_both, planned, position_query, server_of, shop_of};

mod drill;
mod forward;
mod owner;
mod start;

/// A server with a shop, and one whose disk was lost: its data directory is empty.
async fn shop(flavour: Flavour) -> (TempServer, TempServer, Bench) {
    let (source, fresh) = tokio::join!(server_of(flavour, "source"), server_of(flavour, "fresh"));
    tell(source.login(), &shop_of(flavour)).await;
    tell(
        source.login(),
        &["CREATE TABLE shop.old (id INT) ENGINE=MyISAM", "INSERT INTO shop.old VALUES (2)"],
    )
    .await;
    if flavour == Flavour::Mariadb {
        let aria = ["CREATE TABLE shop.aria (id INT) ENGINE=Aria", "INSERT INTO shop.aria VALUES (1)"];
        tell(source.login(), &aria).await;
    }
    let bench = bench(&[("source", &source), ("fresh", &fresh)]);
    fresh.kill().await.unwrap();
    let data = bench.data_dir("fresh");
    fs::remove_dir_all(&data).unwrap();
    fs::create_dir(&data).unwrap();
    (source, fresh, bench)
}

/// Gives the program that unpacks a full backup, and the name of its stream.
fn stream_of(flavour: Flavour) -> (&'static str, &'static str) {
    match flavour {
        Flavour::Mariadb => ("mbstream", "base.mbstream.gz"),
        Flavour::Mysql => ("tar", "base.tar.gz"),
    }
}

async fn assert_equal(bench: &Bench) {
    let params = json!({ "target": "source", "against": "fresh" });
    let outputs = bench.run(&crate::assert::Assert, params).await.unwrap();
    assert!(outputs.checksums > 0 && outputs.rows > 0, "{outputs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_and_its_increments_come_back_as_one_server_that_replicas_follow() {
    let (source, fresh, bench) = shop(Flavour::Mariadb).await;
    bench.publish("b1", json!({})).await;
    tell(
        source.login(),
        &[
            "INSERT INTO shop.customers VALUES (3, 'third', NULL)",
            "CREATE TABLE shop.between (id INT PRIMARY KEY) AS SELECT 1 AS id",
            "DROP TABLE shop.empty",
        ],
    )
    .await;
    bench.publish("b2", json!({ "base": "latest" })).await;
    tell(
        source.login(),
        &[
            "UPDATE shop.customers SET name = 'changed' WHERE id = 3",
            "RENAME TABLE shop.between TO shop.later",
            "INSERT INTO shop.aria VALUES (2)",
        ],
    )
    .await;
    let last = bench.publish("b3", json!({ "base": "latest" })).await;
    let params = Bench::restoring("b3", json!({}));
    assert_eq!(RestorePhysical.probe(&params, &bench.cx().cx).await.unwrap(), Probe::Absent);

    let outputs = bench.restore("b3", json!({})).await.unwrap();

    assert_equal(&bench).await;
    assert_eq!(outputs.gtid, last.gtid);
    assert_eq!(outputs.backups.len(), 3);
    assert_eq!(
        ask(fresh.login(), "SELECT CONCAT(@@gtid_slave_pos, ' ', @@gtid_binlog_pos, ' ', @@read_only)").await,
        format!("{0} {0} OFF", last.gtid)
    );
    let data = bench.data_dir("fresh");
    let left: Vec<_> =
        fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with("xtrabackup") || name == "backup-my.cnf"), "{left:?}");
    assert!(!data.with_file_name("data.rekindle-restore").exists());
    assert_eq!(
        RestorePhysical.probe(&params, &bench.cx().cx).await.unwrap(),
        Probe::Complete(outputs.clone())
    );
    assert_eq!(bench.restore("b3", json!({})).await.unwrap(), outputs);

    assert_follows(&source, &bench, &outputs.gtid).await;
}

/// The restored server follows the one that it is a copy of, from where the copy was made.
async fn assert_follows(source: &TempServer, bench: &Bench, gtid: &str) {
    tell(source.login(), &["INSERT INTO shop.customers VALUES (4, 'after', NULL)"]).await;
    let follow = json!({
        "replica": "fresh", "source": "source", "gtid": gtid,
        "account": { "user": REPLICATION_USER, "password": { "secret": "root" } }
    });
    bench.run(&ResetReplication, follow).await.unwrap();
    assert_equal(bench).await;
}

on_both!(a_cold_backup_comes_back_at_its_own_position_and_follows_from_there);
async fn a_cold_backup_comes_back_at_its_own_position_and_follows_from_there(flavour: Flavour) {
    let (source, fresh, bench) = shop(flavour).await;
    let copied = bench.publish("b1", json!({ "mode": "cold" })).await;
    let outputs = bench.restore("b1", json!({})).await.unwrap();
    assert_equal(&bench).await;
    assert_eq!(outputs.gtid, copied.gtid);
    assert_eq!(ask(fresh.login(), position_query(flavour)).await, copied.gtid);
    assert_eq!(ask(source.login(), position_query(flavour)).await, copied.gtid);

    assert_follows(&source, &bench, &outputs.gtid).await;
}

on_both!(a_server_with_files_is_left_alone_unless_they_may_be_moved_aside);
async fn a_server_with_files_is_left_alone_unless_they_may_be_moved_aside(flavour: Flavour) {
    let (_source, mut fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    bench.restore("b1", json!({})).await.unwrap();
    tell(fresh.login(), &["CREATE DATABASE of_its_own"]).await;
    // The marker of a restore that is done makes the same one complete; another backup is another restore.
    bench.publish_full("b2").await;
    let error = bench.restore("b2", json!({})).await.unwrap_err();
    assert!(error.message.contains("is not empty: "), "{error}");
    let params = Bench::restoring("b2", json!({}));
    assert!(matches!(RestorePhysical.probe(&params, &bench.cx().cx).await.unwrap(), Probe::Partial { .. }));

    let outputs = bench.restore("b2", json!({ "overwrite": true })).await.unwrap();

    assert_equal(&bench).await;
    assert!(fs::metadata(std::path::Path::new(&outputs.moved_aside).join("of_its_own")).unwrap().is_dir());
    let aside = outputs.moved_aside.clone();
    fs::remove_dir_all(aside).unwrap();
    fresh.kill().await.unwrap();
    fresh.start_again().await.unwrap();
    assert_equal(&bench).await;
}

on_both!(a_flipped_byte_puts_nothing_in_place_and_the_run_can_go_on_with_a_whole_one);
async fn a_flipped_byte_puts_nothing_in_place_and_the_run_can_go_on_with_a_whole_one(flavour: Flavour) {
    let (_source, fresh, bench) = shop(flavour).await;
    let copied = bench.publish_full("b1").await;
    let (_, name) = stream_of(flavour);
    let stream = key("b1", name);
    let whole = bench.store.object(&stream).unwrap();
    assert!(bench.store.flip_byte(&stream, usize::try_from(copied.size_bytes).unwrap() / 2));
    let error = bench.restore("b1", json!({})).await.unwrap_err();
    let begins = format!("`{name}` of backup://primary/shop/b1 is damaged: ");
    assert!(error.message.starts_with(&begins), "{error}");
    let data = bench.data_dir("fresh");
    assert_eq!(super::place::held(&data).unwrap(), Vec::<std::ffi::OsString>::new());
    assert_eq!(Marker::read(&data).unwrap().unwrap().stage, Stage::Unpacking);
    bench.store.insert(&stream, whole.slice(..whole.len() / 2));
    assert!(bench.restore("b1", json!({})).await.unwrap_err().message.contains("is damaged: "));

    bench.store.insert(&stream, whole);
    bench.restore("b1", json!({})).await.unwrap();
    assert_equal(&bench).await;
    drop(fresh);
}

on_both!(a_restore_goes_on_from_every_stage_that_it_can_be_killed_in);
async fn a_restore_goes_on_from_every_stage_that_it_can_be_killed_in(flavour: Flavour) {
    let (_source, fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    let data = bench.data_dir("fresh");
    for killed_in in [Stage::Unpacking, Stage::Prepared, Stage::Cleared, Stage::Placed] {
        let outputs = bench.restore("b1", json!({})).await.unwrap();
        assert_equal(&bench).await;
        // As a kill leaves it: the server stopped, the files of a later stage where they were in this one.
        fresh.kill().await.unwrap();
        let mut marker = Marker::read(&data).unwrap().unwrap();
        marker.outputs = None;
        marker.stage = killed_in;
        let base = super::prepare::base_folder(&marker.work);
        match killed_in {
            Stage::Unpacking => {
                fs::remove_dir_all(&data).unwrap();
                fs::create_dir(&data).unwrap();
                fs::create_dir_all(base.join("half")).unwrap();
            }
            Stage::Prepared | Stage::Cleared => {
                fs::create_dir_all(&base).unwrap();
                for name in super::place::held(&data).unwrap() {
                    // One of them had been moved before the kill.
                    if killed_in == Stage::Prepared || name != "ibdata1" {
                        fs::rename(data.join(&name), base.join(&name)).unwrap();
                    }
                }
            }
            Stage::Placed | Stage::Complete => {}
        }
        marker.write(&data).unwrap();
        let params = Bench::restoring("b1", json!({}));
        assert_eq!(
            RestorePhysical.probe(&params, &bench.cx().cx).await.unwrap(),
            Probe::Absent,
            "{killed_in:?}"
        );
        assert_eq!(bench.restore("b1", json!({})).await.unwrap(), outputs, "{killed_in:?}");
        assert_equal(&bench).await;
        fresh.kill().await.unwrap();
        fs::remove_dir_all(&data).unwrap();
        fs::create_dir(&data).unwrap();
    }
}

on_both!(a_cancelled_restore_leaves_no_process_and_begins_anew);
async fn a_cancelled_restore_leaves_no_process_and_begins_anew(flavour: Flavour) {
    let (_source, fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    let test = bench.cx();
    test.cancel.cancel();
    let error = RestorePhysical.run(&Bench::restoring("b1", json!({})), &test.cx).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled);
    bench.restore("b1", json!({})).await.unwrap();
    assert_equal(&bench).await;
    drop(fresh);
}

on_both!(too_small_a_disk_is_refused_before_anything_is_unpacked);
async fn too_small_a_disk_is_refused_before_anything_is_unpacked(flavour: Flavour) {
    let (_source, fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    let mut manifest = bench.manifest("b1");
    manifest.physical.as_mut().unwrap().stream_bytes = 1 << 60;
    bench.store.insert(&key("b1", "manifest.json"), rekindle_backup::sealed::seal(&manifest).unwrap());
    let error = bench.restore("b1", json!({})).await.unwrap_err();
    assert!(
        error.message.starts_with("the backup unpacks to 1152921504606846976 bytes, and the disk of "),
        "{error}"
    );
    assert!(super::place::held(&bench.data_dir("fresh")).unwrap().is_empty());
    drop(fresh);
}

/// A small disk of its own in the place of a folder.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(folder: std::path::PathBuf, size: &str) -> Option<Self> {
        let disk = Self(folder);
        disk.command("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).then_some(disk)
    }

    fn grow(&self, size: &str) {
        assert!(self.command("mount", &["-o", &format!("remount,size={size}")]));
    }

    fn command(&self, program: &str, args: &[&str]) -> bool {
        let output = std::process::Command::new(program).args(args).arg(&self.0).output().unwrap();
        output.status.success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.command("umount", &["--lazy"]);
    }
}

on_both!(a_disk_of_its_own_that_fills_up_has_nothing_in_place_and_with_more_room_it_goes_on);
async fn a_disk_of_its_own_that_fills_up_has_nothing_in_place_and_with_more_room_it_goes_on(
    flavour: Flavour,
) {
    let (source, fresh, bench) = shop(flavour).await;
    let mut large = vec!["CREATE TABLE shop.large AS SELECT RANDOM_BYTES(1000) AS noise"];
    large.extend(["INSERT INTO shop.large SELECT RANDOM_BYTES(1000) FROM shop.large"; 14]);
    tell(source.login(), &large).await;
    bench.publish_full("b1").await;
    // The manifest promises less than there is, so that it is the disk that says no.
    let mut manifest = bench.manifest("b1");
    let honest = rekindle_backup::sealed::seal(&manifest).unwrap();
    manifest.physical.as_mut().unwrap().stream_bytes = 1;
    bench.store.insert(&key("b1", "manifest.json"), rekindle_backup::sealed::seal(&manifest).unwrap());
    let data = bench.data_dir("fresh");
    let Some(disk) = Disk::mount(data.clone(), "20m") else {
        println!("skipped: mounting a tmpfs needs root and CAP_SYS_ADMIN");
        return;
    };
    let error = bench.restore("b1", json!({})).await.unwrap_err();
    let (program, _) = stream_of(flavour);
    assert!(error.message.starts_with(&format!("{program} failed in ")), "{error}");
    assert!(error.help.unwrap().starts_with("free space on the disk of "));
    assert!(super::place::held(&data).unwrap().is_empty());

    bench.store.insert(&key("b1", "manifest.json"), honest);
    let error = bench.restore("b1", json!({})).await.unwrap_err();
    assert!(error.message.starts_with("the backup unpacks to "), "{error}");
    disk.grow("300m");
    bench.restore("b1", json!({})).await.unwrap();
    assert_equal(&bench).await;
    assert!(!data.join(super::place::INNER_WORK).exists());
    bench.publish_full("b2").await;
    let error = bench.restore("b2", json!({ "overwrite": true })).await.unwrap_err();
    assert!(error.help.unwrap().starts_with("it is a disk of its own"), "{}", error.message);
    fresh.kill().await.unwrap();
}

on_both!(preflight_refuses_what_can_not_be_restored_here);
async fn preflight_refuses_what_can_not_be_restored_here(flavour: Flavour) {
    let (source, fresh, mut bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    let look = async |bench: &Bench, params: serde_json::Value| {
        let cx = context(&bench.world).settings(bench.settings.clone()).preflight([]);
        let found = RestorePhysical.preflight(&planned(&params), &cx).await;
        found
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.code, problem.message))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let params = json!({ "backup": "backup://primary/shop/b1", "target": "fresh" });
    assert_eq!(look(&bench, params.clone()).await, "");
    fs::write(bench.data_dir("fresh").join("ibdata1"), "x").unwrap();
    let found = look(&bench, params.clone()).await;
    assert!(
        found.starts_with("rekindle::physical::not_possible: the data directory ")
            && found.ends_with("is not empty: ibdata1"),
        "{found}"
    );
    fs::remove_file(bench.data_dir("fresh").join("ibdata1")).unwrap();
    // Its port is another server's: what is restored could not answer there.
    let port = source.login().port;
    bench.target("fresh").port = port;
    assert!(look(&bench, params).await.contains("another server answers at 127.0.0.1:"));
    let missing = json!({ "backup": "backup://primary/shop/b7", "target": "source" });
    assert!(
        look(&bench, missing)
            .await
            .starts_with("rekindle::backup::unusable: there is no backup backup://primary/shop/b7")
    );
    assert!(!fs::exists(bench.data_dir("fresh").join(MARKER)).unwrap());
    drop(fresh);
}
