//! What is damaged or half-made is found, named, and never counted as a backup.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use rekindle_backup::manifest::Flavour;

use crate::support::{Cluster, kill, on_both, server_pid};

on_both!(one_flipped_byte_in_any_object_is_found_by_name);
async fn one_flipped_byte_in_any_object_is_found_by_name(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(2_000).await;
    cluster.with_environment(&["run", "backup", "--yes", "--set", "copy_to=[]"]).success();
    let objects = objects(&cluster);
    assert!(objects.len() >= 6, "{objects:?}");
    let backup = objects[0].parent().unwrap().file_name().unwrap().to_str().unwrap();
    let named = format!("backup={backup}");

    for object in objects {
        let name = object.file_name().unwrap().to_str().unwrap().to_owned();
        let sound = fs::read(&object).unwrap();
        for at in [0, sound.len() / 2, sound.len() - 1] {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x01;
            fs::write(&object, &damaged).unwrap();
            // A backup that was found bad is taken only when it is named.
            let answer =
                cluster.with_environment(&["run", "verify", "--set", "level=objects", "--set", &named]);
            assert_ne!(answer.code, Some(0), "byte {at} of {name} was flipped and nobody saw it");
            assert!(answer.stderr.contains(&name), "byte {at} of {name}: {}", answer.stderr);
        }
        fs::write(&object, &sound).unwrap();
    }
    cluster.with_environment(&["run", "verify", "--set", &named]).success();
}

on_both!(a_dump_whose_client_dies_half_way_leaves_no_backup);
async fn a_dump_whose_client_dies_half_way_leaves_no_backup(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(400_000).await;
    let runner = start_dump(&cluster);
    let dump = children_named(client(flavour), cluster.project.path());
    assert!(!dump.is_empty(), "no dump is running");
    dump.into_iter().for_each(kill);

    let output = runner.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    no_backup(&cluster);
}

on_both!(a_dump_whose_server_dies_half_way_leaves_no_backup);
async fn a_dump_whose_server_dies_half_way_leaves_no_backup(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(400_000).await;
    let runner = start_dump(&cluster);
    kill(server_pid(&cluster.server("primary")));

    let output = runner.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    no_backup(&cluster);
}

on_both!(a_runner_killed_while_it_dumps_leaves_neither_a_process_nor_a_backup);
async fn a_runner_killed_while_it_dumps_leaves_neither_a_process_nor_a_backup(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(400_000).await;
    let mut runner = start_dump(&cluster);
    runner.kill().unwrap();
    runner.wait().unwrap();

    no_backup(&cluster);
    let begun = std::time::Instant::now();
    while !children_named(client(flavour), cluster.project.path()).is_empty() {
        assert!(begun.elapsed().as_secs() < 10, "the dump outlives its runner");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    cluster.run(&["resume", "latest"]).success();
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

on_both!(a_full_disk_ends_the_run_and_lists_no_backup);
async fn a_full_disk_ends_the_run_and_lists_no_backup(flavour: Flavour) {
    let cluster = Cluster::up_of(flavour, 0);
    cluster.fill(100_000).await;
    let store = cluster.store("store");
    fs::create_dir_all(&store).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&store)
        .status()
        .unwrap();
    assert!(mounted.success(), "this test needs to mount a tmpfs: run it as root");

    let answer = cluster.with_environment(&["run", "backup", "--yes"]);
    let listed = cluster.with_environment(&["backups", "list", "--json"]);
    let unmounted = std::process::Command::new("umount").arg(&store).status().unwrap();

    assert!(unmounted.success());
    let answer = answer.code(1);
    assert!(answer.stderr.contains("No space left") || answer.stderr.contains("full"), "{}", answer.stderr);
    assert_eq!(listed.success().json().as_array().unwrap().len(), 0);
}

fn objects(cluster: &Cluster) -> Vec<PathBuf> {
    let backups = cluster.store("store").join("backups/sandbox");
    // Beside the backup lies the index of all.
    let mut entries = fs::read_dir(backups).unwrap().map(|entry| entry.unwrap().path());
    let backup = entries.find(|path| path.is_dir()).unwrap();
    let mut objects: Vec<_> = fs::read_dir(backup)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    objects.sort();
    objects
}

/// Starts a backup and gives its runner once the full dump has streamed something.
fn start_dump(cluster: &Cluster) -> std::process::Child {
    let environment = cluster.environment();
    let args = ["run", "backup", "--yes", "--log-format", "json", "-e", environment.to_str().unwrap()];
    let mut runner =
        cluster.project.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(runner.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "the backup ended before it dumped anything");
        let message: serde_json::Value = serde_json::from_str(&line).unwrap();
        if message["progress"]["step"] == "full" && message["progress"]["bytes"].as_u64() > Some(0) {
            break;
        }
    }
    // Goes on reading, or the runner would wait for us.
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    runner
}

fn no_backup(cluster: &Cluster) {
    let listed = cluster.with_environment(&["backups", "list", "--json"]).success().json();
    assert_eq!(listed.as_array().unwrap().len(), 0, "{listed}");
}

/// Gives the name of the program that dumps.
fn client(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Mariadb => "mariadb-dump",
        Flavour::Mysql => "mysqldump",
    }
}

/// Finds processes of a program that were started in a folder. Its name stands somewhere on the command line: a loader may
/// have started it.
fn children_named(name: &str, folder: &std::path::Path) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let is_it = line.split('\0').any(|word| word.rsplit('/').next() == Some(name));
        let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if is_it && cwd.starts_with(folder) {
            found.push(pid);
        }
    }
    found
}
