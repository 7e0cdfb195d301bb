//! Files that are in place, and a server on them that does not come up or does not let us in.

use rekindle_engine::host::ObjectStore as _;

use super::*;
use crate::sandbox::testing::CANARY_PASSWORD;

on_both!(a_server_that_does_not_start_is_told_and_the_run_goes_on_with_the_files_in_place);
async fn a_server_that_does_not_start_is_told_and_the_run_goes_on_with_the_files_in_place(flavour: Flavour) {
    let (_source, fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    let data = bench.data_dir("fresh");
    let script = fresh.directory().join("start.sh");
    let sound = fs::read_to_string(&script).unwrap();
    let stage = || Marker::read(&data).unwrap().unwrap().stage;

    fs::write(&script, "echo 'no such unit' >&2; exit 5\n").unwrap();
    let error = bench.restore("b1", json!({})).await.unwrap_err();
    let told = error.message.replace(&script.display().to_string(), "START");
    insta::assert_snapshot!(told, @"`sh START`, which is to start `fresh`, failed with exit code 5: no such unit");
    insta::assert_snapshot!(error.help.unwrap(), @"check `start` in the `local:` of the target; it must also succeed when there is nothing to do");
    assert_eq!(stage(), Stage::Placed);
    assert!(!data.with_file_name("data.rekindle-restore").exists());

    // It says that it has started one.
    fs::write(&script, "exit 0\n").unwrap();
    let error = bench.restore("b1", json!({})).await.unwrap_err();
    let told = error.message.replace(&data.display().to_string(), "DATA");
    insta::assert_snapshot!(told, @"`fresh` was started 3 times, and no server works on DATA");
    assert_eq!(stage(), Stage::Placed);

    // Nothing is fetched again.
    bench.store.delete(&key("b1", stream_of(flavour).1)).await.unwrap();
    fs::write(&script, sound).unwrap();
    bench.restore("b1", json!({})).await.unwrap();
    assert_equal(&bench).await;
}

on_both!(a_server_with_the_accounts_of_the_backup_is_gone_on_with_by_the_password_of_then);
async fn a_server_with_the_accounts_of_the_backup_is_gone_on_with_by_the_password_of_then(flavour: Flavour) {
    let (_source, fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    bench.world.secrets.set("secret-of-fresh", "of today");

    let error = bench.restore("b1", json!({})).await.unwrap_err();

    assert!(error.message.contains(" refuses the account `root`: "), "{error}");
    let help = error.help.unwrap();
    assert!(help.starts_with("the server has the accounts and passwords of 20"), "{help}");
    assert!(help.ends_with(" now: give the target the password of then, and resume the run"), "{help}");
    let data = bench.data_dir("fresh");
    assert_eq!(Marker::read(&data).unwrap().unwrap().stage, Stage::Placed);
    let process = crate::server_files::server_process(&data);
    bench.world.secrets.set("secret-of-fresh", CANARY_PASSWORD);
    bench.restore("b1", json!({})).await.unwrap();
    assert_equal(&bench).await;
    assert_eq!(crate::server_files::server_process(&data), process);
    drop(fresh);
}
