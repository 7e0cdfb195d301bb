//! No secret is anywhere but where it belongs.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{CANARY, Cluster, Project};

#[tokio::test]
async fn a_password_is_in_no_process_plan_journal_log_report_or_backup() {
    let cluster = Cluster::up(1);
    cluster.fill(50_000).await;
    let watching = Arc::new(AtomicBool::new(true));
    let watcher = {
        let watching = Arc::clone(&watching);
        std::thread::spawn(move || watch_processes(&watching))
    };

    let mut said = String::new();
    for args in [
        vec!["plan", "backup"],
        vec!["run", "backup", "--yes"],
        vec!["plan", "disaster-recovery", "--set", "reseed_replicas=true"],
    ] {
        let answer = cluster.with_environment(&args).success();
        said.push_str(&answer.stdout);
        said.push_str(&answer.stderr);
    }
    cluster.destroy_primary();
    let environment = cluster.environment();
    let recovery = cluster
        .project
        .command(&["-vvv", "run", "disaster-recovery", "--yes", "--log-format", "json"])
        .args(["--set", "reseed_replicas=true", "-e", environment.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(recovery.status.success(), "{}", String::from_utf8_lossy(&recovery.stderr));
    said.push_str(&String::from_utf8_lossy(&recovery.stdout));
    said.push_str(&String::from_utf8_lossy(&recovery.stderr));
    watching.store(false, Ordering::Relaxed);

    assert_eq!(watcher.join().unwrap(), Vec::<String>::new());
    for form in forms() {
        assert!(!said.contains(&form), "`{form}` was printed");
    }
    let secrets = cluster.project.path().join("box/secrets");
    let servers = cluster.project.path().join("box/servers");
    let password = cluster.project.path().join("password");
    for (path, bytes) in Project::snapshot(cluster.project.path()) {
        if path.starts_with(&secrets) || path.starts_with(&servers) || path == password {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        for form in forms() {
            assert!(!text.contains(&form), "`{form}` is in {}", path.display());
        }
    }
    assert_eq!(defaults_files(), Vec::<String>::new());
}

/// The password as it could stand somewhere: as it is, and as quoting turns it.
fn forms() -> Vec<String> {
    let json = serde_json::Value::from(CANARY).to_string();
    vec![
        CANARY.to_owned(),
        json[1..json.len() - 1].to_owned(),
        CANARY.replace('\'', "''"),
        "k4n'a".to_owned(),
        "k4n\\'a".to_owned(),
    ]
}

/// Looks at every command line and environment of the machine until told to stop.
fn watch_processes(watching: &AtomicBool) -> Vec<String> {
    let mut seen = Vec::new();
    while watching.load(Ordering::Relaxed) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            for file in ["cmdline", "environ"] {
                let Ok(bytes) = fs::read(entry.path().join(file)) else { continue };
                if String::from_utf8_lossy(&bytes).contains("k4n'a") {
                    seen.push(format!(
                        "{}: {}",
                        entry.path().join(file).display(),
                        String::from_utf8_lossy(&bytes)
                    ));
                }
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    seen
}

/// Option files that were left behind in the places where temporary files go.
fn defaults_files() -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let Ok(text) = fs::read(entry.path()) else { continue };
        if String::from_utf8_lossy(&text).contains("k4n") {
            left.push(entry.path().display().to_string());
        }
    }
    left
}
