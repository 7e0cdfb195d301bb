//! Files that another account's server works on than the one that restores them.

use std::os::unix::fs::{MetadataExt as _, lchown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// The account `nobody`, and its group.
const NOBODY: (u32, u32) = (65534, 65534);

/// Gives a folder and all below it; without what goes away meanwhile.
fn all_of(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if fs::symlink_metadata(&path).is_ok_and(|file| file.is_dir()) {
            found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Names what in a folder is not of `nobody`.
fn of_others(folder: &Path) -> Vec<String> {
    let is_of_others =
        |path: &&PathBuf| fs::symlink_metadata(path).is_ok_and(|file| (file.uid(), file.gid()) != NOBODY);
    let all = all_of(folder);
    let names = all.iter().filter(is_of_others).map(|path| path.strip_prefix(folder).unwrap());
    names.map(|name| name.display().to_string()).collect()
}

/// Gives a server to `nobody`, as whom it runs from its next start on; tells whether that can be.
fn give_to_nobody(server: &TempServer) -> bool {
    let folder = server.directory();
    let given = all_of(&folder).iter().all(|path| lchown(path, Some(NOBODY.0), Some(NOBODY.1)).is_ok());
    // All that the folder lies in has to let it in, too.
    let mut writes = Command::new("test");
    writes.arg("-w").arg(&folder).uid(NOBODY.0).gid(NOBODY.1);
    if !given || !writes.status().is_ok_and(|end| end.success()) {
        return false;
    }
    let script = folder.join("start.sh");
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.contains("'--user=root'"), "{text}");
    fs::write(&script, text.replace("'--user=root'", "'--user=nobody'")).unwrap();
    true
}

/// Tells whether the server on these files runs as `nobody`.
fn runs_as_nobody(data: &Path) -> bool {
    let pid = crate::server_files::server_process(data).unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.contains(&format!("\nUid:\t{0}\t{0}\t", NOBODY.0))
}

on_both!(all_files_belong_to_the_account_of_the_data_directory_and_its_server_runs_on_them);
async fn all_files_belong_to_the_account_of_the_data_directory_and_its_server_runs_on_them(flavour: Flavour) {
    let (_source, fresh, bench) = shop(flavour).await;
    bench.publish_full("b1").await;
    let data = bench.data_dir("fresh");
    if !give_to_nobody(&fresh) {
        println!("skipped: a server of `nobody` needs root, and a folder that `nobody` can come to");
        return;
    }

    bench.restore("b1", json!({})).await.unwrap();

    assert_equal(&bench).await;
    assert!(runs_as_nobody(&data));
    // What we note is ours alone.
    assert_eq!(of_others(&data), [MARKER]);

    // The same beside files that were there; they stay whose they were.
    bench.publish_full("b2").await;
    let outputs = bench.restore("b2", json!({ "overwrite": true })).await.unwrap();
    assert_equal(&bench).await;
    assert!(runs_as_nobody(&data));
    assert_eq!(of_others(&data), [MARKER]);
    let aside = of_others(Path::new(&outputs.moved_aside));
    assert!(aside.is_empty(), "{aside:?}");
}
